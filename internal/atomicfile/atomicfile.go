// Package atomicfile writes files that exist whole or not at all.
//
// A file is written under a temporary name in its own directory, synced,
// renamed, and the directory synced, so that neither a crash nor a full disk
// leaves a half-written file under the final name.
package atomicfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"personaprobe/internal/disk"
)

// TempInfix separates a final name from the random suffix of its temporary
// file: ".<name>.tmp-<16 hex digits>".
const TempInfix = ".tmp-"

// IsTemp reports whether a file's name is that of a temporary one.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, ".") && strings.Contains(name, TempInfix)
}

// File is a temporary file that Commit turns into the named one.
type File struct {
	*disk.File
	path string
	done bool
}

// Create opens a temporary file beside path. The caller must call Commit or
// Abort; a deferred Abort after a successful Commit does nothing.
//
// A folder or device of that name is refused at once: hours of work could not take
// the folder's place, and would take that of /dev/null.
func Create(path string) (*File, error) {
	dir, base := filepath.Split(path)
	if base == "" || base == "." || base == ".." {
		return nil, fmt.Errorf("create %q: not a file name", path)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("create %s: it is a folder or a device, not a file: %w", path, fs.ErrExist)
	}
	var random [8]byte
	rand.Read(random[:]) // never fails since Go 1.24
	temp := filepath.Join(dir, "."+base+TempInfix+hex.EncodeToString(random[:]))
	// 0o666 and not CreateTemp's 0o600: the umask decides, as for any output.
	f, err := disk.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, fmt.Errorf("create a temporary file for %s: %w", path, err)
	}
	return &File{File: f, path: path}, nil
}

// Path returns the final name.
func (f *File) Path() string { return f.path }

// Commit makes the file durable and visible under its final name, replacing
// an earlier one. After an error nothing is left under either name that was
// not there before.
func (f *File) Commit() error {
	if f.done {
		return fmt.Errorf("commit %s: already committed or aborted", f.path)
	}
	if err := f.Sync(); err != nil {
		f.Abort()
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	f.done = true
	if err := errors.Join(f.Close(), disk.Rename(f.Name(), f.path)); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", f.path, err), removeTemp(f.Name()))
	}
	return SyncDir(filepath.Dir(f.path))
}

// Abort removes the temporary file. It does nothing after Commit.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	_ = f.Close()
	_ = disk.Remove(f.Name())
}

func removeTemp(name string) error {
	if err := disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SyncDir makes renames inside dir durable.
func SyncDir(dir string) error { return disk.SyncDir(dir) }

// MkdirAll makes a folder and those above it, durably. The umask decides who may use
// them, as for any output.
func MkdirAll(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := disk.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return SyncDir(parent)
}

// WriteFile writes data to path as a whole.
func WriteFile(path string, data []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.Commit()
}
