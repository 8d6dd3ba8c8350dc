package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"personaprobe/engine"
	"personaprobe/internal/cudatest"
	"personaprobe/internal/tinytest"
	"personaprobe/models/gguf"
	"personaprobe/sampler"
)

// openBroken opens the tiny model with a NaN in the feed-forward of layer 20.
func openBroken(t *testing.T, change func(*engine.Options)) *engine.Engine {
	t.Helper()
	model := tinytest.Files(t).Model
	f, err := gguf.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	w := f.Tensor("blk.20.ffn_down.weight")
	if w == nil || w.Type != gguf.F16 {
		t.Fatalf("%+v", w)
	}
	at := w.Offset
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	data[at], data[at+1] = 0, 0x7e
	path := filepath.Join(t.TempDir(), "broken.gguf")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, func(o *engine.Options) {
		o.Model, o.Adapters = path, nil
		change(o)
	})
}

// What a damaged model computes is an error wherever it comes out: states of the layer
// that is damaged, logits, completions. The layer before it is whole.
func TestBrokenModelIsRefused(t *testing.T) {
	checkBroken(t, openBroken(t, func(*engine.Options) {}))
}

// On a GPU the NaN goes through activations of float16, which saturate.
func TestNativeBrokenModelIsRefused(t *testing.T) {
	cudatest.Kernels(t)
	checkBroken(t, openBroken(t, func(o *engine.Options) { o.CPU, o.Backend, o.Slots = false, engine.BackendNative, 64 }))
}

func checkBroken(t *testing.T, e *engine.Engine) {
	t.Helper()
	ctx := context.Background()
	prompts := [][]int32{{5, 6, 7}, {8, 9}}
	nothing := func(int, [][]float32) error { return nil }
	if err := e.LastStates(ctx, prompts, engine.StateOptions{Layers: []int{19}}, nothing); err != nil {
		t.Errorf("layer 19: %v", err)
	}
	err := e.LastStates(ctx, prompts, engine.StateOptions{Layers: []int{19, 20}}, nothing)
	if !errors.Is(err, engine.ErrBroken) || !strings.Contains(err.Error(), "layer 20") {
		t.Errorf("layer 20: %v", err)
	}
	mean := []engine.Reading{{Tokens: prompts[0], To: 3, Mean: true}}
	if err := e.States(ctx, mean, engine.StateOptions{Layers: []int{25}}, nothing); !errors.Is(err, engine.ErrBroken) {
		t.Errorf("a mean: %v", err)
	}
	items := []engine.Forced{{Prompt: prompts[0], Continuation: prompts[1]}}
	if err := e.Logits(ctx, items, "", func(int, int, []float32) error { return nil }); !errors.Is(err, engine.ErrBroken) {
		t.Errorf("logits: %v", err)
	}
	for _, temperature := range []float32{0, 1} {
		request := engine.Request{Tokens: prompts[0], MaxTokens: 2, Sampling: sampler.Params{Temperature: temperature}}
		for c, err := range e.Generate(ctx, func(yield func(engine.Request) bool) { yield(request) }) {
			if !errors.Is(err, sampler.ErrLogits) {
				t.Errorf("temperature %v: %+v, %v", temperature, c, err)
			}
		}
	}
}
