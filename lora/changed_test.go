package lora_test

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
	"personaprobe/lora"
	"personaprobe/models"
)

// An adapter whose files change between reading and naming is refused: its conversion
// would lie under the other files' key.
func TestAdapterChangesMeanwhile(t *testing.T) {
	base := writeBase(t, shape, models.TypeKeep, 1)
	other := plain()
	other.Seed++
	for _, name := range []string{"adapter_config.json", "adapter_model.safetensors"} {
		for how, change := range map[string]func(path string){
			"in place": func(path string) { pintest.Flip(t, path, -1) },
			"by name": func(path string) {
				raw, err := os.ReadFile(filepath.Join(writeAdapter(t, other), name))
				if err != nil {
					t.Fatal(err)
				}
				pintest.Replace(t, path, raw)
			},
		} {
			dir, cache := writeAdapter(t, plain()), t.TempDir()
			ctx := pintest.Hook(func() { change(filepath.Join(dir, name)) })
			if _, _, err := lora.Resolve(ctx, dir, base, cache); !errors.Is(err, pin.ErrChanged) {
				t.Errorf("%s, %s: %v", name, how, err)
			}
			if left, _ := filepath.Glob(filepath.Join(cache, "adapters", "*.gguf")); len(left) > 0 {
				t.Errorf("%s, %s: left behind: %v", name, how, left)
			}
		}
	}
}

// A converted adapter that was damaged in the cache is converted again.
func TestDamagedConversion(t *testing.T) {
	base, cache := writeBase(t, shape, models.TypeKeep, 1), t.TempDir()
	dir := writeAdapter(t, plain())
	path, _, err := lora.Resolve(context.Background(), dir, base, cache)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pintest.Flip(t, path, -1)
	if _, _, err := lora.Resolve(context.Background(), dir, base, cache); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("a damaged adapter was not converted again: %v", err)
	}
}

// What is found in the cache has the bytes that a conversion now would have: the
// directory's name is among them.
func TestNamesInTheCache(t *testing.T) {
	base, cache := writeBase(t, shape, models.TypeKeep, 1), t.TempDir()
	parent := t.TempDir()
	for _, name := range []string{"a b", "a_b"} {
		dir := filepath.Join(parent, name)
		if err := plain().Write(dir); err != nil {
			t.Fatal(err)
		}
		t.Chdir(dir)
		path, _, err := lora.Resolve(context.Background(), ".", base, cache)
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "x.gguf")
		if err := lora.Convert(context.Background(), dir, out, lora.ConvertOptions{Base: base}); err != nil {
			t.Fatal(err)
		}
		got, errGot := os.ReadFile(path)
		want, errWant := os.ReadFile(out)
		if errGot != nil || errWant != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: the cached adapter differs: %v, %v", name, errGot, errWant)
		}
	}
}

// A model that changes while adapters are merged into it is refused.
func TestBaseChangesMeanwhile(t *testing.T) {
	base, out := writeBase(t, shape, models.TypeKeep, 1), filepath.Join(t.TempDir(), "x.gguf")
	var once sync.Once
	opts := lora.MergeOptions{Progress: func(int64, int64) { once.Do(func() { pintest.Flip(t, base, -1) }) }}
	err := lora.Merge(context.Background(), base, []lora.Adapter{{Path: writeAdapter(t, plain())}}, out, opts)
	if !errors.Is(err, pin.ErrChanged) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
}
