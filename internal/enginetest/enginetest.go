// Package enginetest opens engines for tests.
package enginetest

import (
	"context"
	"testing"

	"personaprobe/engine"
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
