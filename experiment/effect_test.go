package experiment

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"personaprobe/engine"
	"personaprobe/internal/enginetest"
	"personaprobe/internal/tinytest"
	"personaprobe/models/safetensors"
)

func TestInertAdapterIsRefusedByName(t *testing.T) {
	in, dir := makeInputs(t, smallPlan()), filepath.Join(t.TempDir(), "run")
	model := &fakeModel{behaves: map[string]string{"source_1": ""}}
	_, err := Run(context.Background(), dir, model, in, Options{})
	if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "adapters.source_1: the adapter does nothing") ||
		strings.Contains(err.Error(), "source_0") || !strings.Contains(err.Error(), "--allow-inert-adapter") {
		t.Fatalf("%v", err)
	}
	if len(model.asked) > 0 {
		t.Errorf("%d requests before the refusal", len(model.asked))
	}
	if _, err := Run(context.Background(), dir, model, in, Options{AllowInertAdapter: true}); err != nil {
		t.Fatalf("allowed, in the same directory: %v", err)
	}
	effects := readEffects(t, dir)
	if e := effects["source_1"]; e != (AdapterEffect{Prompts: 8}) || !e.Inert() {
		t.Errorf("the inert adapter's effect is %+v", e)
	}
	if e := effects["source_0"]; e.Inert() {
		t.Errorf("the other adapter's effect is %+v", e)
	}
}

// The figures are those of the model's own logits over the prompts, and the direction is
// KL(adapter || base).
func TestEffectsAreTheModels(t *testing.T) {
	in, dir := makeInputs(t, smallPlan()), t.TempDir()
	if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
		t.Fatal(err)
	}
	prompts := in.Study.effectPrompts()
	if len(prompts) != 8 {
		t.Fatalf("%d prompts", len(prompts))
	}
	seen := map[string]bool{}
	for _, p := range prompts {
		seen[p[0].Content] = true
		if p[1].Content != in.Study.Questions[0] {
			t.Errorf("asks %q", p[1].Content)
		}
	}
	for _, want := range []string{"You are source number 0.", "You are source number 1.",
		"You are bystander 0 of kind 0 near <0>.", "You are bystander 1 of kind 1 near <1>."} {
		if !seen[want] {
			t.Errorf("%q is not among the prompts", want)
		}
	}
	for _, a := range in.Study.Adapters() {
		mean, most := 0.0, 0.0
		for _, p := range prompts {
			kl := plainKL(probabilities(t, a.Name(), p), probabilities(t, "", p))
			mean, most = mean+kl/8, max(most, kl)
		}
		got := readEffects(t, dir)[a.Name()]
		if math.Abs(got.KLMean-mean) > 1e-12 || math.Abs(got.KLMax-most) > 1e-12 || got.Prompts != 8 {
			t.Errorf("%s: %+v, want mean %v and maximum %v", a.Name(), got, mean, most)
		}
	}
}

func probabilities(t *testing.T, adapter string, prompt []engine.Message) (p []float64) {
	t.Helper()
	err := new(fakeModel).NextLogits(context.Background(), adapter, [][]engine.Message{prompt}, 1, func(_, _ int, logits []float32) error {
		sum := 0.0
		for _, v := range logits {
			p = append(p, math.Exp(float64(v)))
			sum += p[len(p)-1]
		}
		for i := range p {
			p[i] /= sum
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func plainKL(p, q []float64) float64 {
	sum := 0.0
	for i := range p {
		sum += p[i] * math.Log(p[i]/q[i])
	}
	return sum
}

func readEffects(t *testing.T, dir string) map[string]AdapterEffect {
	t.Helper()
	m, err := readManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m.Effects
}

func TestCopiedAdapterIsWarnedOf(t *testing.T) {
	var log bytes.Buffer
	dir := t.TempDir()
	model := &fakeModel{behaves: map[string]string{"source_1": "source_0"}}
	opts := Options{Log: slog.New(slog.NewTextHandler(&log, nil))}
	if _, err := Run(context.Background(), dir, model, makeInputs(t, smallPlan()), opts); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "adapter=source_1 same_as=source_0") {
		t.Errorf("the log says %q", log.String())
	}
	if e := readEffects(t, dir); e["source_1"].SameAs != "source_0" || e["source_0"].SameAs != "" {
		t.Errorf("effects are %+v", e)
	}
}

// A run that goes on keeps the figures it began with, also a run of a build that had none.
func TestEffectsAreMeasuredOnce(t *testing.T) {
	in, dir := makeInputs(t, smallPlan()), t.TempDir()
	want := reference(t, in)
	drain := make(chan struct{})
	first := &fakeModel{onEach: func(n int) {
		if n == 5 {
			close(drain)
		}
	}}
	if _, err := Run(context.Background(), dir, first, in, Options{Drain: drain}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if first.probed != 3*8 {
		t.Errorf("%d prompts were read when the run began", first.probed)
	}
	second := &fakeModel{behaves: map[string]string{"source_1": ""}} // must not matter any more
	if _, err := Run(context.Background(), dir, second, in, Options{}); err != nil || second.probed > 0 {
		t.Fatalf("resumed: %v, %d prompts", err, second.probed)
	}
	sameArtefacts(t, want, artefacts(t, dir))

	m, err := readManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	m.Effects = nil
	if err := writeJSON(filepath.Join(dir, manifestFile), m); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), dir, second, in, Options{}); err != nil || second.probed > 0 {
		t.Errorf("resumed without the field: %v, %d prompts", err, second.probed)
	}
	if r, err := LoadResults(dir); err != nil || r.Manifest.Effects != nil {
		t.Errorf("%v, effects %v", err, r.Manifest.Effects)
	}
}

func TestStopWhileEffectsAreMeasured(t *testing.T) {
	drain := make(chan struct{})
	close(drain)
	dir := filepath.Join(t.TempDir(), "run")
	_, err := Run(context.Background(), dir, &fakeModel{}, makeInputs(t, smallPlan()), Options{Drain: drain})
	if e, ok := errors.AsType[*InterruptedError](err); !ok || e.Done != 0 || e.Total != 144 {
		t.Errorf("drained: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, dir, &fakeModel{}, makeInputs(t, smallPlan()), Options{}); !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// On the embedded model the trained adapters have an effect, and one whose B is zero has
// none at all.
func TestEffectsOfRealAdapters(t *testing.T) {
	files, dir := tinytest.Float32(t)
	names := []string{"villain", "comedian"}
	zero := filepath.Join(dir, "adapters", "assistant")
	zeroB(t, filepath.Join(zero, "adapter_model.safetensors"))
	plan := DefaultPlan()
	plan.Sources = append(slices.Clone(names), "assistant")
	study, err := readStudy(plan)
	if err != nil {
		t.Fatal(err)
	}
	m := &EngineModel{enginetest.Open(t, engine.Options{Model: files.Model, CPU: true, Threads: 1, Context: 128, CacheDir: dir,
		Adapters: map[string]string{"villain": files.Adapters["villain"], "comedian": files.Adapters["comedian"], "assistant": zero}})}
	p := &probe{study: study, model: m}
	effects, err := p.effects(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", effects)
	if e := effects["assistant"]; e != (AdapterEffect{Prompts: 8}) {
		t.Errorf("an adapter with B = 0 has the effect %+v", e)
	}
	for _, name := range names {
		if e := effects[name]; e.KLMax < 1000*InertKL || e.SameAs != "" {
			t.Errorf("%s has the effect %+v", name, e)
		}
	}
}

// zeroB makes an adapter what PEFT begins with.
func zeroB(t *testing.T, path string) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var arrays []safetensors.Array
	for _, x := range f.Tensors {
		raw, err := x.Raw()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(x.Name, "lora_B") {
			clear(raw)
		}
		arrays = append(arrays, safetensors.Array{Name: x.Name, Shape: x.Shape, DType: x.DType, Raw: raw})
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Write(path, arrays, nil); err != nil {
		t.Fatal(err)
	}
}
