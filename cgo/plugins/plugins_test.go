package plugins

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// packed writes two libraries and packs them.
func packed(t *testing.T) (dir string, files map[string][]byte) {
	t.Helper()
	src, dst := t.TempDir(), filepath.Join(t.TempDir(), "files")
	files = map[string][]byte{"liba.so": bytes.Repeat([]byte("alpha"), 10000), "libb.so.0": []byte("beta")}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(src, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := Pack(src, dst); err != nil {
		t.Fatal(err)
	}
	return dst, files
}

func verify(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d (%v)", name, len(got), len(want), err)
		}
	}
}

// Whatever happens to the unpacked files, the next start has the right ones again.
func TestUnpackRepairs(t *testing.T) {
	pack, files := packed(t)
	cache := t.TempDir()
	spoil := map[string]func(dir string) error{
		"nothing":     func(string) error { return nil },
		"changed":     func(dir string) error { return os.WriteFile(filepath.Join(dir, "libb.so.0"), []byte("evil"), 0o700) },
		"missing":     func(dir string) error { return os.Remove(filepath.Join(dir, "liba.so")) },
		"writable":    func(dir string) error { return os.Chmod(filepath.Join(dir, "liba.so"), 0o777) },
		"open folder": func(dir string) error { return os.Chmod(dir, 0o777) },
		"link": func(dir string) error {
			path := filepath.Join(dir, "libb.so.0")
			return errors.Join(os.Rename(path, filepath.Join(cache, "elsewhere")), os.Symlink(filepath.Join(cache, "elsewhere"), path))
		},
		"a file instead": func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) },
	}
	for what, f := range spoil {
		dir, err := Unpack(os.DirFS(pack), cache)
		if err != nil {
			t.Fatal(err)
		}
		if err := f(dir); err != nil {
			t.Fatal(err)
		}
		again, err := Unpack(os.DirFS(pack), cache)
		if err != nil || again != dir {
			t.Fatalf("%s: %s, %v; want %s", what, again, err, dir)
		}
		verify(t, dir, files)
		if st, err := os.Lstat(filepath.Join(dir, "libb.so.0")); err != nil || !st.Mode().IsRegular() || st.Mode().Perm()&0o022 != 0 {
			t.Errorf("%s: %v, %v", what, st.Mode(), err)
		}
	}
	left, err := filepath.Glob(filepath.Join(cache, "plugins", ".new-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// A cache in which others could exchange the plugins after they were checked is refused,
// whether they are unpacked already or not.
func TestUnpackDistrusts(t *testing.T) {
	pack, _ := packed(t)
	cache := t.TempDir()
	for _, c := range []struct {
		path string
		mode fs.FileMode
		ok   bool
	}{
		{cache, 0o777, false},
		{cache, 0o777 | fs.ModeSticky, true},
		{cache, 0o775, true},
		{filepath.Join(cache, "plugins"), 0o770, false},
		{filepath.Join(cache, "plugins"), 0o755, true},
	} {
		for range 2 { // the second time they may be there
			if err := os.MkdirAll(c.path, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(c.path, c.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := Unpack(os.DirFS(pack), cache); (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), c.path+" can be written by") {
				t.Errorf("%s %s: %v", c.path, c.mode, err)
			}
		}
		if err := os.Chmod(c.path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("needs root to give a folder away")
	}
	if err := os.Chown(cache, 1, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := Unpack(os.DirFS(pack), cache); err == nil || !strings.Contains(err.Error(), "belongs to user 1") {
		t.Errorf("a cache of another user: %v", err)
	}
}

func TestUnpackTogether(t *testing.T) {
	pack, files := packed(t)
	cache := t.TempDir()
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			dir, err := Unpack(os.DirFS(pack), cache)
			if err != nil {
				t.Error(err)
				return
			}
			verify(t, dir, files)
		}()
	}
	wg.Wait()
}

// An archive that is not what its index says is refused.
func TestUnpackRefuses(t *testing.T) {
	pack, _ := packed(t)
	index := filepath.Join(pack, "index.json")
	raw, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range [][2]string{{`"size": 4`, `"size": 5`}, {"libb.so.0", "../libb.so.0"}} {
		if err := os.WriteFile(index, bytes.Replace(raw, []byte(edit[0]), []byte(edit[1]), 1), 0o666); err != nil {
			t.Fatal(err)
		}
		if dir, err := Unpack(os.DirFS(pack), t.TempDir()); err == nil {
			t.Errorf("%s: unpacked to %s", edit[1], dir)
		}
	}
	if err := Pack(t.TempDir(), t.TempDir()); err == nil {
		t.Error("packing nothing: no error")
	}
	if _, err := Dir(); embedded == nil && !errors.Is(err, ErrNone) {
		t.Errorf("without plugins: %v, want ErrNone", err)
	}
}
