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
	"personaprobe/models"
	"personaprobe/models/gguf"
	"personaprobe/sampler"
)

// poison copies a model with a NaN in a tensor: in its first value, or its first block.
func poison(t *testing.T, model, tensor string) string {
	t.Helper()
	f, err := gguf.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	w := f.Tensor(tensor)
	if w == nil {
		t.Fatalf("no tensor %s", tensor)
	}
	at, nan := w.Offset, []byte{0, 0x7e} // of float16, which a block of Q8_0 begins with
	if w.Type == gguf.F32 {
		nan = []byte{0, 0, 0xc0, 0x7f}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[at:], nan)
	path := filepath.Join(t.TempDir(), "broken.gguf")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// openBroken opens the tiny model with a NaN in the feed-forward of layer 20.
func openBroken(t *testing.T, change func(*engine.Options)) *engine.Engine {
	t.Helper()
	path := poison(t, tinytest.Files(t).Model, "blk.20.ffn_down.weight")
	return open(t, func(o *engine.Options) {
		o.Model, o.Adapters = path, nil
		change(o)
	})
}

// Products with a quantised matrix lose a NaN, so its file is refused when it is opened.
func TestBrokenQuantisedModelIsRefused(t *testing.T) {
	ctx := context.Background()
	model := filepath.Join(t.TempDir(), "q8.gguf")
	if err := models.Retype(ctx, tinytest.Files(t).Model, model, models.TypeQ8, nil); err != nil {
		t.Fatal(err)
	}
	for _, tensor := range []string{"blk.20.attn_v.weight", "blk.20.ffn_up.weight", "blk.20.ffn_norm.weight",
		"token_embd.weight"} {
		e, err := engine.Open(ctx, engine.Options{Model: poison(t, model, tensor), CPU: true})
		if !errors.Is(err, models.ErrFormat) || !strings.Contains(err.Error(), tensor) {
			t.Errorf("%s: %v", tensor, err)
		}
		if err == nil {
			_ = e.Close()
		}
	}
	e, err := engine.Open(ctx, engine.Options{Model: model, CPU: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
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
