package lora_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"personaprobe/internal/modeltest"
	"personaprobe/lora"
	"personaprobe/models"
	"personaprobe/models/gguf"
	"personaprobe/models/safetensors"
)

func open(t testing.TB, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Merging adds the sum of the adapters' changes and rounds once: each element is
// what the weight's type makes of the exact sum, up to the float32 sum's error.
func TestMergeProperty(t *testing.T) {
	tmp := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(tmp, "")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		first := drawAdapter(rt)
		second := first
		second.Seed, second.Targets, second.Rank, second.RankPattern, second.AlphaPattern = first.Seed+1, []string{"q_proj", "down_proj"}, 2, nil, nil
		kind := rapid.SampledFrom([]models.WeightType{models.TypeF32, models.TypeF16, models.TypeBF16, models.TypeQ8}).Draw(rt, "type")
		scale := rapid.SampledFrom([]float64{0, 1, -0.5, 2}).Draw(rt, "scale")
		hf, base, out := filepath.Join(dir, "hf"), filepath.Join(dir, "base.gguf"), filepath.Join(dir, "out.gguf")
		paths := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b.gguf")}
		if err := errors.Join(modeltest.Checkpoint{Shape: first.Shape, Seed: 3}.Write(hf),
			models.Convert(context.Background(), hf, base, models.ConvertOptions{Type: kind, Name: "random-qwen2"}),
			first.Write(paths[0]), second.Write(filepath.Join(dir, "b")),
			lora.Convert(context.Background(), filepath.Join(dir, "b"), paths[1], lora.ConvertOptions{}),
			lora.Merge(context.Background(), base, []lora.Adapter{{Path: paths[0], Scale: scale}, {Path: paths[1]}}, out, lora.MergeOptions{})); err != nil {
			rt.Fatal(err)
		}
		if scale == 0 {
			scale = 1
		}
		checkMerged(rt, base, out, []modeltest.Adapter{first, second}, []float64{scale, 1})
	})
}

func checkMerged(rt *rapid.T, basePath, outPath string, adapters []modeltest.Adapter, scales []float64) {
	base, errA := gguf.Open(basePath)
	out, errB := gguf.Open(outPath)
	if err := errors.Join(errA, errB); err != nil {
		rt.Fatal(err)
	}
	defer base.Close()
	defer out.Close()
	if len(base.Tensors) != len(out.Tensors) {
		rt.Fatalf("%d tensors, base has %d", len(out.Tensors), len(base.Tensors))
	}
	for _, w := range base.Tensors {
		hf, _ := models.HFName(w.Name)
		var sum []float64
		for i, a := range adapters {
			arrays := map[string]safetensors.Array{}
			for _, x := range a.Arrays() {
				arrays[x.Name] = x
			}
			module := strings.TrimSuffix(hf, ".weight")
			if !slices.Contains(a.Targets, module[strings.LastIndexByte(module, '.')+1:]) || len(w.Shape) != 2 {
				continue
			}
			change, err := peftChange(a, arrays, module)
			if err != nil {
				rt.Fatal(err)
			}
			if sum == nil {
				sum = make([]float64, len(change))
			}
			for j := range sum {
				sum[j] += scales[i] * change[j]
			}
		}
		checkTensor(rt, w, out.Tensor(w.Name), sum)
	}
}

func checkTensor(rt *rapid.T, w, merged *gguf.Tensor, sum []float64) {
	before, errA := w.Raw()
	after, errB := merged.Raw()
	if err := errors.Join(errA, errB); err != nil || merged.Type != w.Type {
		rt.Fatalf("tensor %s: type %s, %v", w.Name, merged.Type, err)
	}
	if sum == nil {
		if !bytes.Equal(before, after) {
			rt.Fatalf("tensor %s was not to change", w.Name)
		}
		return
	}
	old, errA := w.Floats()
	got, errB := merged.Floats()
	if err := errors.Join(errA, errB); err != nil {
		rt.Fatal(err)
	}
	top := 0.0
	for i := range old {
		top = math.Max(top, math.Abs(float64(old[i])+sum[i]))
	}
	for i := range got {
		want := float64(old[i]) + sum[i]
		// Half a unit in the last place of the type, and the float32 sum's error.
		step := map[gguf.Type]float64{gguf.F32: 0, gguf.F16: math.Abs(want)/2048 + 3e-8, gguf.BF16: math.Abs(want) / 256, gguf.Q8_0: top / 127 * 0.57}[w.Type]
		if math.Abs(float64(got[i])-want) > step+1e-5*top+1e-12 {
			rt.Fatalf("tensor %s element %d: %g, want %g", w.Name, i, got[i], want)
		}
	}
}

// The merged bytes do not depend on how the tensor was cut into pieces: a weight
// larger than a piece, whose pieces end within rows, equals a plain loop that
// forms each sum in the same order.
func TestMergeAcrossPieces(t *testing.T) {
	s := modeltest.Shape(1, 1, 1500, 1100, 1, 300, false) // 1500 x 1500 and 1100 x 1500 weights
	base := writeBase(t, s, models.TypeF32, 1)
	a := modeltest.Adapter{Shape: s, Rank: 3, Seed: 5}
	out := filepath.Join(t.TempDir(), "out.gguf")
	if err := lora.Merge(context.Background(), base, []lora.Adapter{{Path: writeAdapter(t, a)}}, out, lora.MergeOptions{}); err != nil {
		t.Fatal(err)
	}
	before, after := open(t, base), open(t, out)
	arrays := map[string]safetensors.Array{}
	for _, x := range a.Arrays() {
		arrays[x.Name] = x
	}
	for _, name := range []string{"blk.0.attn_q.weight", "blk.0.ffn_down.weight"} {
		hf, _ := models.HFName(name)
		module := strings.TrimSuffix(hf, ".weight")
		_, scale := a.ScaleOf(module)
		x, y := arrays["base_model.model."+module+".lora_A.weight"], arrays["base_model.model."+module+".lora_B.weight"]
		old, errA := before.Tensor(name).Floats()
		got, errB := after.Tensor(name).Floats()
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		cols := x.Shape[1]
		for i := range got {
			row, col := int64(i)/cols, int64(i)%cols
			var sum float32
			for k := range a.Rank {
				sum += float32(float32(float64(y.Values[row*a.Rank+k])*scale) * x.Values[k*cols+col])
			}
			if want := old[i] + sum; got[i] != want {
				t.Fatalf("%s element %d: %g, want %g", name, i, got[i], want)
			}
		}
	}
}

func TestMergeMetadata(t *testing.T) {
	base, dir := writeBase(t, shape, models.TypeBF16, 1), writeAdapter(t, plain())
	out, twice := filepath.Join(t.TempDir(), "out.gguf"), filepath.Join(t.TempDir(), "twice.gguf")
	a := []lora.Adapter{{Path: dir + "/"}}
	var warnings []string
	warn := func(s string) { warnings = append(warnings, s) }
	if err := lora.Merge(context.Background(), base, a, out, lora.MergeOptions{Warn: warn}); err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if err := lora.Merge(context.Background(), out, []lora.Adapter{{Path: dir, Scale: -1}}, twice, lora.MergeOptions{Warn: warn}); err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "adapter x 1") {
		t.Errorf("an adapter on a merged model: %v", warnings)
	}
	f := open(t, twice)
	if list, _ := f.Strings("personaprobe.merged_adapters"); !slices.Equal(list, []string{"adapter x 1", "adapter x -1"}) {
		t.Errorf("merged adapters %q", list)
	}
	if n := len(open(t, base).Metadata); len(f.Metadata) != n+1 {
		t.Errorf("%d keys, base has %d", len(f.Metadata), n)
	}
	if r, err := models.Verify(context.Background(), out, nil); err != nil || !r.OK() {
		t.Errorf("Verify: %v, %v", err, r)
	}
}

func TestMergeRefusals(t *testing.T) {
	base, dir := writeBase(t, shape, models.TypeKeep, 1), writeAdapter(t, plain())
	other := plain()
	other.Shape.Intermediate++
	huge := plain()
	huge.Scale = 1e6
	half := writeBase(t, shape, models.TypeF16, 1)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		ctx      context.Context
		base     string
		adapters []lora.Adapter
		kind     error
	}{
		"mismatch":   {context.Background(), base, []lora.Adapter{{Path: dir}, {Path: writeAdapter(t, other)}}, lora.ErrMismatch},
		"cancelled":  {cancelled, base, []lora.Adapter{{Path: dir}}, context.Canceled},
		"no adapter": {context.Background(), base, []lora.Adapter{{Path: "nowhere"}}, os.ErrNotExist},
		"no base":    {context.Background(), "nowhere", []lora.Adapter{{Path: dir}}, os.ErrNotExist},
		"scale":      {context.Background(), base, []lora.Adapter{{Path: dir, Scale: math.NaN()}}, nil},
		"overflow":   {context.Background(), half, []lora.Adapter{{Path: writeAdapter(t, huge)}}, nil},
	} {
		parent := t.TempDir()
		err := lora.Merge(c.ctx, c.base, c.adapters, filepath.Join(parent, "x.gguf"), lora.MergeOptions{})
		if err == nil || c.kind != nil && !errors.Is(err, c.kind) {
			t.Errorf("%s: error %v", name, err)
		}
		if left, _ := os.ReadDir(parent); len(left) > 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
}

func TestSynth(t *testing.T) {
	base := writeBase(t, shape, models.TypeKeep, 1)
	dir := t.TempDir()
	peft, whole := filepath.Join(dir, "peft"), filepath.Join(dir, "whole.gguf")
	opts := lora.SynthOptions{Seed: 4}
	if err := errors.Join(lora.Synth(context.Background(), shape, peft, opts), lora.Synth(context.Background(), shape, whole, opts)); err != nil {
		t.Fatal(err)
	}
	converted, _, err := lora.Resolve(context.Background(), peft, base, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := lora.Resolve(context.Background(), whole, base, dir); err != nil {
		t.Fatal(err)
	}
	f, g := open(t, converted), open(t, whole)
	for i, x := range f.Tensors {
		a, errA := x.Raw()
		b, errB := g.Tensors[i].Raw()
		if errA != nil || errB != nil || !bytes.Equal(a, b) || x.Type != gguf.BF16 {
			t.Errorf("tensor %s: %v, %v", x.Name, errA, errB)
		}
	}
	if alpha, _ := f.Float("adapter.lora.alpha"); math.Abs(alpha-64*math.Sqrt(32)) > 1e-4 {
		t.Errorf("alpha %g", alpha)
	}
	// The change to a weight's output is a tenth of the output of a weight of size 1.
	sum := 0.0
	delta := change(t, f, "blk.0.attn_q.weight")
	for _, v := range delta {
		sum += v * v
	}
	if size := math.Sqrt(sum / 32); math.Abs(size-0.1) > 0.02 {
		t.Errorf("relative size %g", size)
	}
	if err := lora.Synth(context.Background(), shape, peft, opts); err == nil {
		t.Error("an existing directory was replaced")
	}
	for _, bad := range []lora.SynthOptions{{Rank: -1}, {Targets: []string{"x"}}, {DType: "I8"}} {
		if err := lora.Synth(context.Background(), shape, filepath.Join(dir, "bad"), bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
