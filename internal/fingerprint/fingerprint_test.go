package fingerprint

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"personaprobe/internal/pin"
)

// Each change of what an entry depends on changes the key.
func TestKeys(t *testing.T) {
	dir := t.TempDir()
	small, large := filepath.Join(dir, "small"), filepath.Join(dir, "large")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	key := func(version string) string {
		var files pin.Set
		defer files.Close()
		p := New("kind", version)
		f, err := files.Add(small)
		if err == nil {
			err = p.Content(context.Background(), f)
		}
		if err != nil {
			t.Fatal(err)
		}
		if f, err = files.Add(large); err != nil {
			t.Fatal(err)
		}
		p.Identity(f)
		return p.Key()
	}
	seen := map[string]string{}
	note := func(what, k string) {
		if other, twice := seen[k]; twice {
			t.Errorf("%s has the key of %s", what, other)
		}
		seen[k] = what
	}
	note("no files", key("1"))
	write(small, "a")
	note("a small file", key("1"))
	write(large, "aaaa")
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(large, start, start); err != nil {
		t.Fatal(err)
	}
	now := key("1")
	note("both", now)
	if key("1") != now {
		t.Error("the same files give two keys")
	}
	note("another version", key("2"))
	write(small, "b")
	note("another small file", key("1"))
	if err := os.Chtimes(large, start, start.Add(time.Nanosecond)); err != nil {
		t.Fatal(err)
	}
	note("another time", key("1"))
	write(large, "aaaaa")
	note("another size", key("1"))
}

// Fields cannot run into each other.
func TestParts(t *testing.T) {
	if New("ab", "c").Key() == New("a", "bc").Key() || New("a", "").Key() == New("a").Key() {
		t.Error("different parts give the same key")
	}
}

func TestSafeName(t *testing.T) {
	for path, want := range map[string]string{"/a/Qwen2.5-7B/": "Qwen2.5-7B", "/x/a b\n../.hidden": "hidden", "/x/ü": "_"} {
		if got := SafeName(path); got != want {
			t.Errorf("SafeName(%q) = %q, want %q", path, got, want)
		}
	}
}
