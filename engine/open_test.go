package engine_test

import (
	"context"
	"slices"
	"testing"

	"personaprobe/engine"
	"personaprobe/internal/enginetest"
	"personaprobe/internal/golden"
)

// open opens the tiny model with its adapters; change may adjust the options.
func open(t testing.TB, change func(*engine.Options)) *engine.Engine {
	t.Helper()
	return enginetest.Tiny(t, change)
}

// openF32 opens a float32 conversion of the tiny model and its adapters.
func openF32(t testing.TB) *engine.Engine {
	t.Helper()
	return enginetest.TinyFloat32(t, nil)
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
