// Package plugins carries the CUDA plugins inside the program. A release build embeds
// them, compressed, with an index of their sizes and hashes; [Dir] unpacks them once
// into the user's cache and checks them before every use.
package plugins

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/klauspost/compress/zstd"

	"personaprobe/internal/filecache"
)

// ErrNone means that this build has no plugins inside.
var ErrNone = errors.New("no CUDA plugins in this build")

// entry describes a file in the index.
type entry struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`   // bytes, unpacked
	SHA256 string `json:"sha256"` // of the unpacked file, hexadecimal
}

const (
	indexName = "index.json"
	suffix    = ".zst"
)

// Dir returns a directory with the embedded plugins, which it unpacks when they are
// not there or not as they should be. The error wraps [ErrNone] in builds without.
func Dir() (string, error) {
	if embedded == nil {
		return "", ErrNone
	}
	cache, err := filecache.Dir()
	if err != nil {
		return "", err
	}
	return Unpack(embedded, cache)
}

// Unpack makes sure that the packed plugins lie in a directory below cache that is
// named after their contents, and returns it. They are code that will be loaded, so
// the directory and the files must belong to this user or root, nobody else may be
// able to write them, and their hashes must be those of the index. Who can write to the
// cache could put another directory in place of the checked one: that is refused, too.
func Unpack(packed fs.FS, cache string) (string, error) {
	raw, err := fs.ReadFile(packed, indexName)
	if err != nil {
		return "", err
	}
	var index []entry
	if err := json.Unmarshal(raw, &index); err != nil {
		return "", fmt.Errorf("plugins: %s: %w", indexName, err)
	}
	sum := sha256.Sum256(raw)
	parent := filepath.Join(cache, "plugins")
	dir := filepath.Join(parent, hex.EncodeToString(sum[:8]))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", fmt.Errorf("unpack plugins: %w; set PERSONAPROBE_CACHE to a directory that can be written", err)
	}
	if err := errors.Join(private(parent, fs.ModeDir), Trusted(cache)); err != nil {
		return "", fmt.Errorf("unpack plugins: %w; change that, or set PERSONAPROBE_CACHE to a directory of your own", err)
	}
	if check(dir, index) == nil {
		return dir, nil
	}
	temp, err := os.MkdirTemp(parent, ".new-")
	if err != nil {
		return "", fmt.Errorf("unpack plugins: %w", err)
	}
	defer os.RemoveAll(temp)
	for _, e := range index {
		if err := unpackFile(packed, e, temp); err != nil {
			return "", fmt.Errorf("unpack plugins: %s: %w", e.Name, err)
		}
	}
	return dir, replace(temp, dir, index)
}

// replace puts a freshly unpacked directory in its place, unless another process has
// just done so.
func replace(temp, dir string, index []entry) error {
	for range 3 {
		if os.Rename(temp, dir) == nil {
			break
		}
		if check(dir, index) == nil {
			return nil
		}
		if err := os.RemoveAll(dir); err != nil { // spoilt
			return fmt.Errorf("replace plugins that fail their checks: %w", err)
		}
	}
	if err := check(dir, index); err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	return nil
}

func unpackFile(packed fs.FS, e entry, dir string) (err error) {
	if e.Name != filepath.Base(e.Name) || strings.HasPrefix(e.Name, ".") {
		return errors.New("not a plain file name")
	}
	in, err := packed.Open(e.Name + suffix)
	if err != nil {
		return err
	}
	defer in.Close()
	z, err := zstd.NewReader(in)
	if err != nil {
		return err
	}
	defer z.Close()
	out, err := os.OpenFile(filepath.Join(dir, e.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, z)
	return errors.Join(err, out.Sync(), out.Close())
}

// check says what is wrong with an unpacked directory.
func check(dir string, index []entry) error {
	if err := private(dir, fs.ModeDir); err != nil {
		return err
	}
	for _, e := range index {
		path := filepath.Join(dir, e.Name)
		if err := private(path, 0); err != nil {
			return err
		}
		sum, size, err := hash(path)
		if err != nil {
			return err
		}
		if size != e.Size || sum != e.SHA256 {
			return fmt.Errorf("%s is not the file that was packed", path)
		}
	}
	return nil
}

// private sees that path is of a type, belongs to this user or root, and that nobody
// else can write it.
func private(path string, kind fs.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != kind {
		return fmt.Errorf("%s is of the wrong type: %s", path, info.Mode())
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be written by others: %s", path, info.Mode())
	}
	return owned(path, info)
}

// Trusted sees that a file or directory belongs to this user or root, and that nobody
// else can change it, apart from its group, which many systems make the user's own.
func Trusted(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("%s can be written by everybody: %s", path, info.Mode())
	}
	return owned(path, info)
}

func owned(path string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Getuid() {
		return fmt.Errorf("%s belongs to user %d", path, st.Uid)
	}
	return nil
}

func hash(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), size, err
}
