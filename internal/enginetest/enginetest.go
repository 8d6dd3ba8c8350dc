// Package enginetest opens engines for tests.
package enginetest

import (
	"context"
	"testing"
	"time"

	"personaprobe/engine"
	"personaprobe/internal/tinytest"
)

// Open opens an engine that is closed when the test ends.
func Open(t testing.TB, opts engine.Options) *engine.Engine {
	t.Helper()
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

// Date is where the clock of Tiny's chat template stands.
var Date = time.Date(2026, 12, 1, 9, 30, 0, 0, time.UTC)

// Tiny opens the embedded model with its adapters on the CPU; change may adjust the
// options.
func Tiny(t testing.TB, change func(*engine.Options)) *engine.Engine {
	t.Helper()
	files := tinytest.Files(t)
	opts := engine.Options{Model: files.Model, Adapters: files.Adapters, CPU: true, Context: 256, Date: Date}
	if change != nil {
		change(&opts)
	}
	return Open(t, opts)
}

// TinyFloat32 is Tiny with the model and its adapters converted to float32.
func TinyFloat32(t testing.TB, change func(*engine.Options)) *engine.Engine {
	t.Helper()
	files, dir := tinytest.Float32(t)
	return Tiny(t, func(o *engine.Options) {
		o.Model, o.Adapters, o.CacheDir = files.Model, files.Adapters, dir
		if change != nil {
			change(o)
		}
	})
}
