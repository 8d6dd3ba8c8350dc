package sums

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	hashes "hash"
	"io"
	"maps"
	"os"
	"path/filepath"
	"syscall"

	"personaprobe/internal/atomicfile"
)

// LockName is the file whose lock keeps two processes from writing a list at once. A
// directory's own lock would not do: that of a run is held for hours, and the run may be
// analysed meanwhile.
const LockName = ".SHA256SUMS.lock"

// Writer is a file that appears whole at Commit, and knows the hash of what was written
// to it.
type Writer struct {
	file *atomicfile.File
	hash hashes.Hash
}

// Create begins a file; see atomicfile.Create.
func Create(path string) (*Writer, error) {
	f, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	return &Writer{f, sha256.New()}, nil
}

func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.hash.Write(p[:n])
	if err != nil {
		err = fmt.Errorf("write %s: %w", w.file.Path(), err)
	}
	return n, err
}

// Sum is the SHA-256 of all that was written, hexadecimal.
func (w *Writer) Sum() string { return hex.EncodeToString(w.hash.Sum(nil)) }

// Commit makes the file durable and visible. It is not listed by that.
func (w *Writer) Commit() error { return w.file.Commit() }

// Abort removes what was written. It does nothing after Commit.
func (w *Writer) Abort() { w.file.Abort() }

// Batch writes artefacts of one folder and lists them.
type Batch struct {
	dir   string
	own   bool
	files []*Writer
}

// In begins artefacts in a folder where other processes may write, too.
func In(dir string) *Batch { return &Batch{dir: dir} }

// Own begins artefacts in a folder that the caller has for itself.
func Own(dir string) *Batch { return &Batch{dir: dir, own: true} }

// Create begins an artefact of the batch.
func (b *Batch) Create(name string) (io.Writer, error) {
	w, err := Create(filepath.Join(b.dir, name))
	if err != nil {
		return nil, err
	}
	b.files = append(b.files, w)
	return w, nil
}

// Add is Create for data in memory.
func (b *Batch) Add(name string, data []byte) error {
	w, err := b.Create(name)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// Abort removes what is not committed. The caller defers it.
func (b *Batch) Abort() {
	for _, w := range b.files {
		w.Abort()
	}
}

// Commit makes the artefacts visible in the order in which they were created, then the
// list that has them.
func (b *Batch) Commit() (err error) {
	if !b.own {
		unlock, err := lock(b.dir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	old, err := ReadList(b.dir)
	if err != nil {
		return err
	}
	between, list := maps.Clone(old), maps.Clone(old)
	if list == nil {
		list = List{}
	}
	for _, w := range b.files {
		name := filepath.Base(w.file.Path())
		list[name] = w.Sum()
		if between[name] != list[name] {
			delete(between, name)
		}
	}
	if len(between) < len(old) {
		if err := WriteList(b.dir, between); err != nil {
			return err
		}
	}
	for _, w := range b.files {
		if err := w.Commit(); err != nil {
			return err
		}
	}
	if maps.Equal(list, between) {
		return nil
	}
	return WriteList(b.dir, list)
}

// WriteFile writes an artefact and lists it.
func WriteFile(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Write is WriteFile for content that is made as it is written.
func Write(path string, content func(io.Writer) error) error {
	b := In(filepath.Dir(path))
	defer b.Abort()
	w, err := b.Create(filepath.Base(path))
	if err != nil {
		return err
	}
	if err := content(w); err != nil {
		return err
	}
	return b.Commit()
}

// lock waits for the folder's list. A file system without locks is no reason to stop:
// two processes at the same moment are rare, and one of them would find its file
// unlisted or listed with the other's hash, which is loud.
func lock(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, LockName), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	for errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX), syscall.EINTR) {
		continue
	}
	return f.Close, nil
}
