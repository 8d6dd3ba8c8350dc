package models_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"personaprobe/internal/pin"
	"personaprobe/internal/pin/pintest"
	"personaprobe/models"
)

// once makes of a change what is called when the conversion has come somewhere.
func once(change func()) models.Progress {
	var o sync.Once
	return func(int64, int64) { o.Do(change) }
}

// A checkpoint that changes while it is converted is refused and leaves no entry; the
// next call converts what is there then.
func TestCheckpointChangesMeanwhile(t *testing.T) {
	changes := map[string]func(t *testing.T, dir string){
		"weights in place":    func(t *testing.T, dir string) { pintest.Flip(t, filepath.Join(dir, "model.safetensors"), -1) },
		"a small file":        func(t *testing.T, dir string) { touch(t, filepath.Join(dir, "tokenizer_config.json")) },
		"a file that was not": func(t *testing.T, dir string) { touch(t, filepath.Join(dir, "chat_template.jinja")) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			dir, cache := writeCheckpoint(t, small()), t.TempDir()
			_, err := models.Resolve(context.Background(), dir, cache, once(func() { change(t, dir) }))
			if !errors.Is(err, pin.ErrChanged) {
				t.Fatalf("error %v", err)
			}
			if left, _ := filepath.Glob(filepath.Join(cache, "models", "*.gguf")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			path, err := models.Resolve(context.Background(), dir, cache, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := filepath.Join(t.TempDir(), "m.gguf")
			if err := models.Convert(context.Background(), dir, want, models.ConvertOptions{}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(read(t, path), read(t, want)) {
				t.Error("the entry is not the conversion of what is there")
			}
		})
	}
}

// touch adds a blank to a text file, or makes it.
func touch(t *testing.T, path string) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(old, '\n'), 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// What writes a model from another one refuses a source that changes meanwhile.
func TestSourceChangesMeanwhile(t *testing.T) {
	path := converted(t, small(), models.ConvertOptions{})
	out := filepath.Join(t.TempDir(), "x.gguf")
	err := models.Retype(context.Background(), path, out, models.TypeF16, once(func() { pintest.Flip(t, path, -1) }))
	if !errors.Is(err, pin.ErrChanged) {
		t.Errorf("retype: %v", err)
	}
	dir := writeCheckpoint(t, small())
	opts := models.ConvertOptions{Progress: once(func() { touch(t, filepath.Join(dir, "tokenizer.json")) })}
	if err := models.Convert(context.Background(), dir, out, opts); !errors.Is(err, pin.ErrChanged) {
		t.Errorf("convert: %v", err)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
}

// A converted model that was damaged in the cache is converted again.
func TestDamagedConversion(t *testing.T) {
	dir, cache := writeCheckpoint(t, small()), t.TempDir()
	path, err := models.Resolve(context.Background(), dir, cache, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := read(t, path)
	pintest.Flip(t, path, -1)
	again, err := models.Resolve(context.Background(), dir, cache, nil)
	if err != nil || again != path || !bytes.Equal(read(t, path), want) {
		t.Errorf("%s, %v", again, err)
	}
}

// The hash of a split model covers every part, whichever was named, and each is watched.
func TestPinSplit(t *testing.T) {
	last := split(t, converted(t, small(), models.ConvertOptions{}), 3)
	dir := filepath.Dir(last)
	part := func(name string) string { return filepath.Join(dir, name) }
	parts := []string{part("m-00001-of-00003.gguf"), part("m-00002-of-00003.gguf"), last}
	sum := func(path string) string {
		files, err := models.Pin(context.Background(), path, t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer files.Close()
		if n := len(files.Files()); n != 3 {
			t.Errorf("%d files", n)
		}
		got, err := files.SHA256(context.Background(), "")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	seen := map[string]bool{sum(parts[0]): true}
	if !seen[sum(last)] {
		t.Error("named by another part it has another hash")
	}
	for i, path := range parts {
		files, err := models.Pin(context.Background(), parts[0], t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		pintest.Flip(t, path, -1)
		if err := files.Unchanged(); !errors.Is(err, pin.ErrChanged) {
			t.Errorf("part %d changed: %v", i, err)
		}
		files.Close()
		got := sum(parts[0])
		if seen[got] {
			t.Errorf("part %d changed, the hash did not", i)
		}
		seen[got] = true
	}
}
