package engine_test

import (
	"context"
	"testing"

	"personaprobe/engine"
)

// An adapter merged into the weights is merged again when the weights were made the
// base's between two calls with it.
func TestAdapterAfterStates(t *testing.T) {
	e := open(t, func(o *engine.Options) { o.Kernels, o.Slots, o.Contexts, o.Threads = emulated(t), 10, 1, 1 })
	var requests []engine.Request
	for _, r := range studyRequests(1, 2, 1) {
		if r.Adapter == "villain" {
			r.MaxTokens = 6
			requests = append(requests, r)
		}
	}
	if len(requests) == 0 {
		t.Fatal("no requests with the adapter")
	}
	want := digest(collect(t, e, requests...))
	if err := e.LastStates(context.Background(), [][]int32{{1, 2, 3}}, engine.StateOptions{Layers: []int{0}},
		func(int, [][]float32) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for key, got := range digest(collect(t, e, requests...)) {
		if got != want[key] {
			t.Errorf("%s:\ngot  %s\nwant %s", key, got, want[key])
		}
	}
}
