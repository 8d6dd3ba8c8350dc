// Package tinytest gives tests the embedded model as files.
package tinytest

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"personaprobe/models"
	"personaprobe/models/tiny"
)

// installed is the model in the user's cache, which tests of all packages share.
var installed = sync.OnceValues(func() (tiny.Files, error) {
	dir, err := models.CacheDir()
	if err != nil {
		return tiny.Files{}, err
	}
	return tiny.Install(context.Background(), dir)
})

// Files are the model and its adapters in float16. They must not be changed.
func Files(t testing.TB) tiny.Files {
	t.Helper()
	files, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Float32 are the model converted to float32, and its adapters as PEFT directories, in
// a directory of the test's own, which the result names too.
func Float32(t testing.TB) (files tiny.Files, dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := tiny.Unpack(dir); err != nil {
		t.Fatal(err)
	}
	files = tiny.Files{Model: filepath.Join(dir, "f32.gguf"), Adapters: map[string]string{}}
	if err := models.Convert(context.Background(), filepath.Join(dir, "hf"), files.Model, models.ConvertOptions{Type: models.TypeF32}); err != nil {
		t.Fatal(err)
	}
	for _, name := range tiny.Sources() {
		files.Adapters[name] = filepath.Join(dir, "adapters", name)
	}
	return files, dir
}
