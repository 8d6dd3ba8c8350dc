package pin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// overwrite changes a file in place and sets its modification time back.
func overwrite(t *testing.T, path, text string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte(text), 0)
	if err := errors.Join(err, f.Close(), os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
}

// Whatever happens to a file between Open and Unchanged is noticed, right after it was
// written, too.
func TestUnchanged(t *testing.T) {
	rename := func(t *testing.T, from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	changes := map[string]func(t *testing.T, path string){
		"overwritten, its time set back": func(t *testing.T, path string) { overwrite(t, path, "AAAA") },
		"longer":                         func(t *testing.T, path string) { write(t, path, "aaaaa") },
		"replaced": func(t *testing.T, path string) {
			write(t, path+".new", "bbbb")
			rename(t, path+".new", path)
		},
		"replaced for a while": func(t *testing.T, path string) {
			rename(t, path, path+".old")
			write(t, path, "bbbb")
			rename(t, path+".old", path)
		},
		"gone": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			write(t, path, "aaaa")
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.Unchanged(); err != nil {
				t.Fatalf("an untouched file: %v", err)
			}
			change(t, path)
			if err := f.Unchanged(); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A link is followed, and one that leads elsewhere is another file.
func TestUnchangedLink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	write(t, filepath.Join(dir, "a"), "a")
	write(t, filepath.Join(dir, "b"), "b")
	if err := os.Symlink("a", link); err != nil {
		t.Fatal(err)
	}
	f, err := Open(link)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Unchanged(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(link), os.Symlink("b", link)); err != nil {
		t.Fatal(err)
	}
	if err := f.Unchanged(); !errors.Is(err, ErrChanged) {
		t.Errorf("error %v", err)
	}
}

func TestSet(t *testing.T) {
	dir := t.TempDir()
	path, none := filepath.Join(dir, "f"), filepath.Join(dir, "none")
	write(t, path, "hello")
	var s Set
	defer s.Close()
	for range 2 {
		for _, p := range []string{path, none} {
			if f, err := s.Add(p); err != nil || f.Absent() != (p == none) {
				t.Fatalf("%s: %v, absent %v", p, err, f.Absent())
			}
		}
	}
	if len(s.Files()) != 2 {
		t.Errorf("%d files", len(s.Files()))
	}
	if _, err := s.Add(dir); err == nil {
		t.Error("a directory was added")
	}
	if err := s.Unchanged(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SHA256(context.Background(), ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the sum of no file: %v", err)
	}
	write(t, none, "")
	if err := s.Unchanged(); !errors.Is(err, ErrChanged) {
		t.Errorf("a file that was not there: %v", err)
	}
}

// The sum of several files depends on all of them.
func TestSetSHA256(t *testing.T) {
	dir := t.TempDir()
	sum := func(texts ...string) string {
		var s Set
		defer s.Close()
		for i, text := range texts {
			path := filepath.Join(dir, string(rune('a'+i)))
			write(t, path, text)
			if _, err := s.Add(path); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.SHA256(context.Background(), "")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	// echo -n hello | sha256sum
	if got := sum("hello"); got != "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" {
		t.Errorf("one file: %s", got)
	}
	// (echo -n hello | sha256sum; echo -n world | sha256sum) | cut -c 1-64 | sha256sum
	if got := sum("hello", "world"); got != "e5833b0d46edaae03e018c84bc4f70303edf1f9711cb7a77204279e2cf25737b" {
		t.Errorf("two files: %s", got)
	}
	if sum("hello", "worle") == sum("hello", "world") {
		t.Error("another second file has the same sum")
	}
}

// The sum is that of what was opened, and refused for what was written to since.
func TestSHA256OfWhatWasOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "hello")
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	overwrite(t, path, "jello")
	if sum, err := f.SHA256(context.Background(), ""); !errors.Is(err, ErrChanged) {
		t.Errorf("%s, %v", sum, err)
	}
}
