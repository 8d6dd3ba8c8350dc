// Package pin holds files open while they are in use, so that a file which another
// process replaces or writes to meanwhile is noticed.
//
// Open a [File] before the first look into it. What is read through the path between
// then and a later Unchanged without an error was read from that very file, and
// nothing was written to it: llama.cpp, which opens by path, saw what was checked and
// hashed. [Set] is several files that belong together.
package pin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// ErrChanged marks a file that was replaced or written to while it was in use.
var ErrChanged = errors.New("changed while it was being read")

// tick is more than the step of the clock from which the kernel takes a file's times.
const tick = 20 * time.Millisecond

// File is an open file and what identified it when it was opened. It may also stand
// for the absence of a file.
type File struct {
	Path string // as given

	abs  string
	file *os.File // nil: there was none
	was  state
	sum  string // SHA-256, once it is known
}

// state tells a file's contents apart without reading them. No tool can set ctime
// back. Other systems than Linux give the first two fields only.
type state struct {
	size, mtime     int64 // bytes; nanoseconds
	dev, ino, ctime int64
}

// Open opens a regular file.
func Open(path string) (*File, error) {
	info, err := os.Stat(path) // before it is opened: opening a pipe would wait for a writer
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f := &File{Path: path}
	if f.abs, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if f.file, err = os.Open(path); err != nil {
		return nil, err
	}
	if err := f.settle(); err != nil {
		return nil, errors.Join(err, f.file.Close())
	}
	return f, nil
}

// settle notes the file's state. A write within the tick of the clock that saw the last
// change would leave the times as they are, so that tick must be over.
func (f *File) settle() error {
	var err error
	if f.was, err = stateOf(f.file.Stat()); err != nil {
		return err
	}
	age := time.Since(time.Unix(0, max(f.was.ctime, f.was.mtime)))
	if age < 0 || age >= tick { // below 0: another machine's clock, or a time that was set
		return nil
	}
	time.Sleep(tick - age)
	now, err := stateOf(f.file.Stat())
	if err == nil && now != f.was {
		return f.changed("was written to")
	}
	return err
}

// Absent reports whether there was no file, which only [Set.Add] allows.
func (f *File) Absent() bool { return f.file == nil }

// Size is the file's, in bytes.
func (f *File) Size() int64 { return f.was.size }

// ReadAt reads from the open file.
func (f *File) ReadAt(b []byte, at int64) (int, error) {
	if f.Absent() {
		return 0, f.missing()
	}
	return f.file.ReadAt(b, at)
}

func (f *File) missing() error { return fmt.Errorf("%s: %w", f.Path, fs.ErrNotExist) }

// Identity tells the file apart from others and from its own other versions: its
// absolute path, size, modification time and, on Linux, device, inode and the time of
// its last change. Empty if there was no file.
func (f *File) Identity() []string {
	if f.Absent() {
		return nil
	}
	s := f.was
	return []string{f.abs, fmt.Sprint(s.size, s.mtime), s.inode()}
}

// Abs is the absolute path.
func (f *File) Abs() string { return f.abs }

// Unchanged returns an error that wraps ErrChanged unless the path still leads to the
// open file and nothing has touched it since it was opened.
func (f *File) Unchanged() error {
	now, err := stateOf(os.Stat(f.Path))
	switch {
	case f.Absent() && errors.Is(err, fs.ErrNotExist):
		return nil
	case f.Absent():
		return f.changed("was made")
	case err != nil:
		return f.changed(fmt.Sprintf("is gone (%v)", err))
	case now.dev != f.was.dev || now.ino != f.was.ino:
		return f.changed("was replaced by another file")
	case now != f.was:
		return f.changed("was written to, moved or linked")
	}
	// The path may have led elsewhere when the file was opened.
	if now, err = stateOf(f.file.Stat()); err == nil && now != f.was {
		return f.changed("was replaced by another file")
	}
	return err
}

func (f *File) changed(how string) error {
	return fmt.Errorf("%s %w: it %s; run again when nothing writes to it", f.Path, ErrChanged, how)
}

// Close closes the file.
func (f *File) Close() error {
	if f.Absent() {
		return nil
	}
	return f.file.Close()
}

func stateOf(info fs.FileInfo, err error) (state, error) {
	if err != nil {
		return state{}, err
	}
	s := state{size: info.Size(), mtime: info.ModTime().UnixNano()}
	s.dev, s.ino, s.ctime = inode(info)
	return s, nil
}

// Set is files that belong together, such as the parts of a model. The zero value is
// empty.
type Set struct{ files []*File }

// Add opens a file, unless the set has its path already. Where there is none it
// notes that: see [File.Absent].
func (s *Set) Add(path string) (*File, error) {
	for _, f := range s.files {
		if f.Path == path {
			return f, nil
		}
	}
	f, err := Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		f = &File{Path: path}
		f.abs, err = filepath.Abs(path)
	}
	if err == nil {
		s.files = append(s.files, f)
	}
	return f, err
}

// Take adds open files, which the set will close.
func (s *Set) Take(files ...*File) { s.files = append(s.files, files...) }

// Files are the set's, in the order in which they were added.
func (s *Set) Files() []*File { return s.files }

// Unchanged is [File.Unchanged] for all.
func (s *Set) Unchanged() error {
	for _, f := range s.files {
		if err := f.Unchanged(); err != nil {
			return err
		}
	}
	return nil
}

// Close closes all files.
func (s *Set) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	s.files = nil
	return errors.Join(errs...)
}

func hexSum(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%s\n", p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
