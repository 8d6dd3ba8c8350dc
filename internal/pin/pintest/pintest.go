// Package pintest changes files behind a program's back.
package pintest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Flip changes the lowest bit of the byte at an offset in place, counted from the end if
// it is negative, and sets the modification time back.
func Flip(t testing.TB, path string, at int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at += info.Size()
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	b[0] ^= 1
	_, errWrite := f.WriteAt(b[:], at)
	if err := errors.Join(err, errWrite, f.Close(), os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
}

// Replace puts another file with these bytes in a file's place by renaming, with its
// modification time.
func Replace(t testing.TB, path string, data []byte) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(t.TempDir(), "new")
	if err := errors.Join(os.WriteFile(temp, data, 0o666), os.Chtimes(temp, info.ModTime(), info.ModTime()), os.Rename(temp, path)); err != nil {
		t.Fatal(err)
	}
}

// Hook is a context that calls do when it is first asked whether it has ended, which is
// in the middle of what it is given to.
func Hook(do func()) context.Context {
	return &hooked{Context: context.Background(), do: do}
}

type hooked struct {
	context.Context
	once sync.Once
	do   func()
}

func (h *hooked) Err() error {
	h.once.Do(h.do)
	return nil
}
