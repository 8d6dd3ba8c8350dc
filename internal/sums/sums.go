// Package sums records the SHA-256 of finished artefacts, and compares them when they
// are read.
//
// A folder of artefacts has a file SHA256SUMS in the format of sha256sum, so that
// `sha256sum -c SHA256SUMS` checks it without this program. What it lists is the hash
// of what was meant to be written, computed on the way to the disk. A file is listed
// after it is durable, and taken off the list before another one takes its place: a
// process that is killed leaves a file that is not listed, never one that looks damaged.
package sums

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"personaprobe/internal/atomicfile"
)

// Name is the list's file in its folder.
const Name = "SHA256SUMS"

// ErrDamaged marks a file that is not the one that was written.
var ErrDamaged = errors.New("damaged file")

// DamagedError says which file is damaged; it matches ErrDamaged.
type DamagedError struct {
	Path       string
	Want, Have string // SHA-256, hexadecimal
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s is damaged: its SHA-256 is %s, %s beside it has %s; restore it from a copy, or make it again",
		e.Path, e.Have, Name, e.Want)
}

// Is makes every DamagedError match ErrDamaged.
func (e *DamagedError) Is(target error) bool { return target == ErrDamaged }

// File is a file that was read.
type File struct {
	Data   []byte
	SHA256 string // hexadecimal
	Listed bool   // so it is what was written
}

// Read reads a file and compares it with the list in its folder. A file that is not
// listed, as those of other programs, is read as it is; one that differs is an error
// that matches ErrDamaged.
func Read(path string) (f File, err error) {
	f.SHA256, f.Listed, err = compare(path, func() (string, error) {
		var err error
		f.Data, err = os.ReadFile(path)
		return hash(f.Data), err
	})
	return f, err
}

// Check is Read for a file that is too large for the memory, or read elsewhere.
func Check(path string) (sum string, listed bool, err error) {
	return compare(path, func() (string, error) { return hashFile(path) })
}

func compare(path string, read func() (string, error)) (sum string, listed bool, err error) {
	dir, name := filepath.Split(path)
	for {
		list, err := ReadList(dir)
		if err != nil {
			return "", false, err
		}
		if sum, err = read(); err != nil {
			return "", false, err
		}
		want, listed := list[name]
		if !listed || want == sum {
			return sum, listed, nil
		}
		// Another process may have replaced the file in between, and then the list.
		if list, err = ReadList(dir); err != nil {
			return "", false, err
		}
		if list[name] == want {
			return sum, true, &DamagedError{Path: path, Want: want, Have: sum}
		}
	}
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// List is the SHA-256 of a folder's artefacts by name; nil where there is no list.
type List map[string]string

// ReadList reads a folder's list. One that cannot be read as such matches ErrDamaged.
func ReadList(dir string) (List, error) {
	path := filepath.Join(dir, Name)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list := List{}
	for i, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		if line == "" && len(data) == 0 {
			break
		}
		sum, name, ok := parse(line)
		if _, twice := list[name]; !ok || twice {
			return nil, fmt.Errorf("%w: %s:%d: %.100q is no line of sha256sum, or a second one of its file; "+
				"without the list the files are read unchecked", ErrDamaged, path, i+1, line)
		}
		list[name] = sum
	}
	return list, nil
}

// parse splits a line of sha256sum, in text or binary mode. Names with a backslash or a
// line break have another form, and are not ours.
func parse(line string) (sum, name string, ok bool) {
	const digits = 2 * sha256.Size
	if len(line) < digits+3 || line[digits] != ' ' || line[digits+1] != ' ' && line[digits+1] != '*' {
		return "", "", false
	}
	sum, name = line[:digits], line[digits+2:]
	_, err := hex.DecodeString(sum)
	return strings.ToLower(sum), name, err == nil
}

// Require reports a file that a folder's list should have and has not; without a list
// there is nothing to report.
func Require(dir string, names ...string) error {
	list, err := ReadList(dir)
	if err != nil || list == nil {
		return err
	}
	for _, name := range names {
		if _, ok := list[name]; !ok {
			return fmt.Errorf("%w: %s does not list %s", ErrDamaged, filepath.Join(dir, Name), name)
		}
	}
	return nil
}

// CheckAll compares files of a folder with its list, which must have them all; without
// a list there is nothing to compare.
func CheckAll(dir string, names ...string) error {
	if !Has(dir) {
		return nil
	}
	if err := Require(dir, names...); err != nil {
		return err
	}
	for _, name := range names {
		if _, _, err := Check(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// Has reports whether a folder has a list.
func Has(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, Name))
	return err == nil
}

// WarnWithout logs which folders have no list: those of earlier builds.
func WarnWithout(folders ...string) {
	var without []string
	for _, dir := range folders {
		if !Has(dir) {
			without = append(without, dir)
		}
	}
	if n := len(without); n > 0 {
		slog.Warn("no "+Name+": whether the files are as they were written is unknown", "folders", n, "first", without[0])
	}
}

// WriteList writes a folder's list anew. The caller has the folder for itself.
func WriteList(dir string, list List) error {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if strings.ContainsAny(name, "\\\n\r") {
			return fmt.Errorf("list %q in %s: the name has a backslash or a line break", name, dir)
		}
		fmt.Fprintf(&b, "%s  %s\n", list[name], name)
	}
	return atomicfile.WriteFile(filepath.Join(dir, Name), []byte(b.String()))
}
