package engine_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"personaprobe/engine"
	"personaprobe/internal/cudatest"
	"personaprobe/internal/golden"
	"personaprobe/models/safetensors"
)

// TestNativeAgainstTransformers compares a model of real size with transformers, as
// scripts/transformers_reference.py computed it: the native decoder's distance from
// float32 must not exceed that of transformers' own bfloat16 run, in the divergence of
// the next token's distribution and in hidden states.
//
//	PERSONAPROBE_MODEL=7b.gguf PERSONAPROBE_REFERENCE=7b.safetensors go test ./engine -run AgainstTransformers -v
func TestNativeAgainstTransformers(t *testing.T) {
	model, path := os.Getenv("PERSONAPROBE_MODEL"), os.Getenv("PERSONAPROBE_REFERENCE")
	if model == "" || path == "" {
		t.Skip("needs a GPU, PERSONAPROBE_MODEL and PERSONAPROBE_REFERENCE; see scripts/transformers_reference.py")
	}
	cudatest.Kernels(t)
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var prompts [][]int32
	var layers []int
	for key, v := range map[string]any{"tokens": &prompts, "layers": &layers} {
		if err := json.Unmarshal([]byte(f.Metadata[key]), v); err != nil {
			t.Fatal(err)
		}
	}
	floats := func(name string) []float32 {
		x := f.Tensor(name)
		if x == nil {
			t.Fatalf("%s has no %s", path, name)
		}
		v, err := x.Floats()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	e, err := engine.Open(context.Background(), engine.Options{Model: model, Backend: engine.BackendNative, Context: 256})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	vocab, hidden := e.Info().Vocab, e.Info().Hidden

	want, other := floats("logits/float32"), floats("logits/bfloat16")
	items := make([]engine.Forced, len(prompts))
	for i, p := range prompts {
		items[i] = engine.Forced{Prompt: p, Continuation: []int32{0}}
	}
	var ours, theirs float64
	err = e.Logits(context.Background(), items, "", func(i, _ int, logits []float32) error {
		ours += divergence(want[i*vocab:][:vocab], logits) / float64(len(prompts))
		theirs += divergence(want[i*vocab:][:vocab], other[i*vocab:][:vocab]) / float64(len(prompts))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("KL from float32: native %.3g, transformers in bfloat16 %.3g", ours, theirs)
	if !(ours <= theirs) {
		t.Errorf("KL from float32 is %.3g, transformers' bfloat16 has %.3g", ours, theirs)
	}

	want, other = floats("states/float32"), floats("states/bfloat16")
	mine, his := make([]float64, len(layers)), make([]float64, len(layers))
	err = e.LastStates(context.Background(), prompts, engine.StateOptions{Layers: layers}, func(i int, states [][]float32) error {
		for k := range layers {
			at := (i*len(layers) + k) * hidden
			mine[k] += golden.Relative(states[k], want[at:][:hidden]) / float64(len(prompts))
			his[k] += golden.Relative(other[at:][:hidden], want[at:][:hidden]) / float64(len(prompts))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for k, l := range layers {
		t.Logf("layer %d: relative error of states: native %.3g, transformers in bfloat16 %.3g", l, mine[k], his[k])
		if !(mine[k] <= his[k]) {
			t.Errorf("layer %d: relative error %.3g, transformers' bfloat16 has %.3g", l, mine[k], his[k])
		}
	}
}

// divergence is the Kullback-Leibler divergence, in nats, of the distribution of got
// from that of want.
func divergence(want, got []float32) float64 {
	p, zp := weights(want)
	q, zq := weights(got)
	kl := 0.0
	for i := range p {
		if p[i] > 0 {
			kl += p[i] / zp * (math.Log(p[i]/zp) - math.Log(q[i]/zq))
		}
	}
	return kl
}

func weights(logits []float32) (w []float64, total float64) {
	top := math.Inf(-1)
	for _, l := range logits {
		top = math.Max(top, float64(l))
	}
	w = make([]float64, len(logits))
	for i, l := range logits {
		w[i] = math.Exp(float64(l) - top)
		total += w[i]
	}
	return w, total
}
