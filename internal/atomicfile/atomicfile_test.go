package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	for _, text := range []string{"one", "two"} {
		if err := WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if raw, err := os.ReadFile(path); err != nil || string(raw) != text {
			t.Errorf("read %q, %v", raw, err)
		}
	}
	if names := list(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestNothingUntilCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file exists before Commit: %v", err)
	}
	f.Abort()
	f.Abort()
	if names := list(t, dir); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
	if err := f.Commit(); err == nil {
		t.Error("an aborted file was committed")
	}
}

// A rename that fails keeps what was there and leaves no temporary file.
func TestCommitFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	if err := os.MkdirAll(filepath.Join(path, "occupied"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err == nil {
		t.Error("a directory was replaced")
	}
	if names := list(t, dir); len(names) != 1 || names[0] != "x" {
		t.Errorf("left behind: %v", names)
	}
}

// What is no file stays what it is; here a pipe, so that no device is at risk.
func TestOtherThanFiles(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{pipe, dir, filepath.Join(dir, "..", filepath.Base(dir))} {
		if err := WriteFile(path, []byte("x")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if names := list(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestNames(t *testing.T) {
	for _, path := range []string{"", "/", "dir/", ".", ".."} {
		if f, err := Create(path); err == nil {
			f.Abort()
			t.Errorf("%q was accepted", path)
		}
	}
	if _, err := Create(filepath.Join(t.TempDir(), "none", "x")); !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("no directory: %v", err)
	}
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || os.IsNotExist(err) {
			return err
		}
		err = u.Unwrap()
	}
}
