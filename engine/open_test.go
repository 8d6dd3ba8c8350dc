package engine_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"personaprobe/engine"
	"personaprobe/internal/golden"
	"personaprobe/models"
	"personaprobe/models/tiny"
)

// tinyFiles installs the embedded model in a directory that the tests share.
var tinyFiles = sync.OnceValues(func() (tiny.Files, error) {
	dir, err := models.CacheDir()
	if err != nil {
		return tiny.Files{}, err
	}
	return tiny.Install(context.Background(), dir)
})

// open opens the tiny model with its adapters; change may adjust the options.
func open(t testing.TB, change func(*engine.Options)) *engine.Engine {
	t.Helper()
	files, err := tinyFiles()
	if err != nil {
		t.Fatal(err)
	}
	opts := engine.Options{Model: files.Model, Adapters: files.Adapters, CPU: true, Context: 256}
	if change != nil {
		change(&opts)
	}
	e, err := engine.Open(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// openF32 opens a float32 conversion of the tiny model and its adapters.
func openF32(t testing.TB) *engine.Engine {
	t.Helper()
	dir := t.TempDir()
	if err := tiny.Unpack(dir); err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(dir, "f32.gguf")
	if err := models.Convert(context.Background(), filepath.Join(dir, "hf"), model, models.ConvertOptions{Type: models.TypeF32}); err != nil {
		t.Fatal(err)
	}
	return open(t, func(o *engine.Options) {
		o.Model = model
		o.CacheDir = dir
		for name := range o.Adapters {
			o.Adapters[name] = filepath.Join(dir, "adapters", name)
		}
	})
}

func goldenSets(t testing.TB) []*golden.Set {
	t.Helper()
	sets, err := golden.Load()
	if err != nil {
		t.Fatal(err)
	}
	return sets
}

// int32s converts golden ids.
func int32s(ids []int) []int32 {
	out := make([]int32, len(ids))
	for i, v := range ids {
		out[i] = int32(v)
	}
	return out
}

// adapterOf is the adapter's name for a golden model.
func adapterOf(model string) string {
	if model == "base" {
		return ""
	}
	return model
}

// collect runs the requests to their end.
func collect(t testing.TB, e *engine.Engine, requests ...engine.Request) []engine.Completion {
	t.Helper()
	var out []engine.Completion
	for c, err := range e.Generate(context.Background(), slices.Values(requests)) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}
