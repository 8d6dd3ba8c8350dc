// Package disk has the operations of package os that change files, as they are, but
// tests can make any of them fail: [Inject].
package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// File is an os.File whose changes can be made to fail.
type File struct{ *os.File }

// OpenFile is os.OpenFile.
func OpenFile(path string, flag int, perm os.FileMode) (*File, error) {
	if err := ask(Op{Name: "open", Path: path}); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err
	}
	return &File{f}, nil
}

// Write is os.File's. An injected fault writes half, as a full disk takes what fits.
func (f *File) Write(p []byte) (int, error) {
	if err := ask(Op{Name: "write", Path: f.Name()}); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

// WriteAt is os.File's; a fault is as for Write.
func (f *File) WriteAt(p []byte, offset int64) (int, error) {
	if err := ask(Op{Name: "write", Path: f.Name()}); err != nil {
		n, _ := f.File.WriteAt(p[:len(p)/2], offset)
		return n, err
	}
	return f.File.WriteAt(p, offset)
}

// ReadFrom is io.Copy through Write: os.File's would go past it.
func (f *File) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{f}, r)
}

// Truncate is os.File's.
func (f *File) Truncate(size int64) error {
	if err := ask(Op{Name: "truncate", Path: f.Name(), Size: size}); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

// Sync is os.File's.
func (f *File) Sync() error {
	if err := ask(Op{Name: "sync", Path: f.Name()}); errors.Is(err, ErrSkip) {
		return nil
	} else if err != nil {
		return err
	}
	return f.File.Sync()
}

// Close is os.File's; the file is closed also where it fails.
func (f *File) Close() error {
	return errors.Join(ask(Op{Name: "close", Path: f.Name()}), f.File.Close())
}

// Rename is os.Rename.
func Rename(from, to string) error {
	if err := ask(Op{Name: "rename", Path: to, From: from}); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// Remove is os.Remove.
func Remove(path string) error {
	if err := ask(Op{Name: "remove", Path: path}); err != nil {
		return err
	}
	return os.Remove(path)
}

// RemoveAll is os.RemoveAll.
func RemoveAll(path string) error {
	if err := ask(Op{Name: "remove", Path: path}); err != nil {
		return err
	}
	return os.RemoveAll(path)
}

// MkdirAll is os.MkdirAll.
func MkdirAll(path string, perm os.FileMode) error {
	if err := ask(Op{Name: "mkdir", Path: path}); err != nil {
		return err
	}
	return os.MkdirAll(path, perm)
}

// SyncDir makes the renames and removals inside dir durable.
func SyncDir(dir string) error {
	if err := ask(Op{Name: "sync folder", Path: dir}); errors.Is(err, ErrSkip) {
		return nil
	} else if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

// Op is an operation that is about to be done.
type Op struct {
	Name string // open, write, truncate, sync, close, rename, remove, mkdir or sync folder
	Path string // of rename the new one
	From string // of rename the old one
	Size int64  // of truncate
}

// ErrSkip is what an injected function returns to have a sync succeed and not done. Tests
// that keep account of what was synced need none, and would wait for little else.
var ErrSkip = errors.New("not synced")

// Injected faults, for tests. Without any, an operation costs one atomic load more.
var (
	injected atomic.Int32
	mu       sync.Mutex
	faults   = map[string]func(Op) error{}
)

// Inject makes every operation on a path in dir ask f first, one at a time, and fail with
// its error. It is for tests, as for instance package disktest, and holds until undo is
// called.
func Inject(dir string, f func(Op) error) (undo func()) {
	mu.Lock()
	defer mu.Unlock()
	faults[dir] = f
	injected.Add(1)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		delete(faults, dir)
		injected.Add(-1)
	}
}

func ask(op Op) error {
	if injected.Load() == 0 {
		return nil
	}
	mu.Lock()
	defer mu.Unlock()
	for dir, f := range faults {
		if op.Path == dir || strings.HasPrefix(op.Path, dir+string(os.PathSeparator)) {
			return f(op)
		}
	}
	return nil
}
