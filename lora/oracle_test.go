package lora_test

import (
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

// small keeps an example of the oracle under a few milliseconds.
var small = modeltest.Shape(1, 1, 32, 32, 1, 301, false)

// extremes are values at which types end. Ordinary ones come more often.
var extremes = []float64{1, 1, 1, 0, -1, 1e-45, 1e-39, 6e-8, 200, 7e4, -7e4, 1e10, 1e20, 3e38, -3e38}

func drawExtreme(rt *rapid.T, name string, more ...float64) float64 {
	return rapid.SampledFrom(append(more, extremes...)).Draw(rt, name)
}

// drawExtremeAdapter has an alpha, or a factor's element, with which a sum may leave its type.
func drawExtremeAdapter(rt *rapid.T) modeltest.Adapter {
	kind := rapid.SampledFrom([]safetensors.DType{safetensors.F32, safetensors.BF16, safetensors.F64}).Draw(rt, "dtype")
	module := rapid.SampledFrom([]string{"q_proj.lora_A", "q_proj.lora_B", "down_proj.lora_B", "embed_tokens.lora_embedding_A", "embed_tokens.lora_embedding_B"}).Draw(rt, "where")
	value := float32(drawExtreme(rt, "value", math.NaN(), math.Inf(1)))
	return modeltest.Adapter{
		Shape: small, Rank: rapid.Int64Range(1, 5).Draw(rt, "rank"), RSLoRA: rapid.Bool().Draw(rt, "rslora"), DType: kind, Seed: 5,
		Alpha:        drawExtreme(rt, "alpha", 1e39, 1e300, 1.7e308, 1e-300),
		AlphaPattern: rapid.SampledFrom([]map[string]float64{nil, nil, {"q_proj": 1e30}, {"down_proj": 1e-30}}).Draw(rt, "alpha_pattern"),
		Targets:      []string{"q_proj", "down_proj", "embed_tokens"},
		Edit: func(list []safetensors.Array) []safetensors.Array {
			for _, a := range list {
				if strings.Contains(a.Name, module) {
					a.Values[len(a.Values)/2] = value
				}
			}
			return list
		},
	}
}

// What Convert refuses, Merge and Resolve refuse; what Resolve takes, Merge merges; what
// Merge writes, Verify accepts. One oracle over values that no type or a narrow one holds.
func TestMergeOracle(t *testing.T) {
	tmp := t.TempDir()
	bases := 0
	merged, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(tmp, "")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		ctx := context.Background()
		hf, base, peft := filepath.Join(dir, "hf"), filepath.Join(dir, "base.gguf"), filepath.Join(dir, "peft")
		whole, out := filepath.Join(dir, "whole.gguf"), filepath.Join(dir, "out.gguf")
		kind := rapid.SampledFrom([]models.WeightType{models.TypeF32, models.TypeF16, models.TypeBF16, models.TypeQ8}).Draw(rt, "type")
		extreme := float32(drawExtreme(rt, "weight", 1, 1, 1, 65504, math.NaN(), math.Inf(-1)))
		where := rapid.SampledFrom([]string{"q_proj.weight", "v_proj.weight", "v_proj.bias"}).Draw(rt, "weight's place")
		checkpoint := modeltest.Checkpoint{Shape: small, Seed: 3, Edit: func(list []safetensors.Array) []safetensors.Array {
			for _, a := range list {
				if strings.HasSuffix(a.Name, where) {
					a.Values[1] = extreme
				}
			}
			return list
		}}
		if err := errors.Join(checkpoint.Write(hf), drawExtremeAdapter(rt).Write(peft)); err != nil {
			rt.Fatal(err)
		}
		if models.Convert(ctx, hf, base, models.ConvertOptions{Type: kind}) != nil {
			return // the weight does not fit the base's type
		}
		bases++
		scale := drawExtreme(rt, "scale", 1e39, 1e300)
		if scale == 0 {
			scale = 1
		}
		convert := lora.Convert(ctx, peft, whole, lora.ConvertOptions{Base: base})
		_, _, resolve := lora.Resolve(ctx, peft, base, dir)
		merge := lora.Merge(ctx, base, []lora.Adapter{{Path: peft, Scale: scale}}, out, lora.MergeOptions{})
		if (convert == nil) != (resolve == nil) {
			rt.Fatalf("Convert: %v, Resolve: %v", convert, resolve)
		}
		if convert != nil && merge == nil {
			rt.Fatalf("Merge took what Convert refuses: %v", convert)
		}
		if convert == nil {
			if _, err := lora.Check(whole, base); err != nil {
				rt.Fatalf("Convert wrote what Check refuses: %v", err)
			}
			again := lora.Merge(ctx, base, []lora.Adapter{{Path: whole, Scale: scale}}, out+"2", lora.MergeOptions{})
			if (again == nil) != (merge == nil) {
				rt.Fatalf("Merge of both forms: %v and %v", merge, again)
			}
		}
		if v := float64(extreme); convert == nil && scale == 1 && v-v == 0 && merge != nil {
			rt.Fatalf("Merge refuses what Convert takes: %v", merge)
		}
		for _, err := range []error{convert, resolve, merge} {
			if err != nil && !errors.Is(err, models.ErrFormat) && !errors.Is(err, models.ErrUnsupported) {
				rt.Fatalf("error of no kind: %v", err)
			}
		}
		if merge != nil {
			refused++
			return
		}
		merged++
		if r, err := models.Verify(ctx, out, nil); err != nil || !r.OK() {
			rt.Fatalf("Verify of what Merge wrote: %v, %+v", err, r)
		}
	})
	if merged == 0 || refused == 0 {
		t.Errorf("of %d bases %d were merged into and %d refused", bases, merged, refused)
	}
}

// The errors say which tensor, and which of its rows.
func TestSumOutOfRange(t *testing.T) {
	half := writeBase(t, shape, models.TypeF16, 1)
	wide := plain()
	wide.Edit = edit(q0+".lora_B.weight", func(a *safetensors.Array) { a.Values[3*4] = 1e7 }) // row 3 of rank 4
	huge := plain()
	huge.Alpha = 1e308
	for name, c := range map[string]struct {
		adapter modeltest.Adapter
		want    []string
	}{
		"sum":   {wide, []string{"blk.0.attn_q.weight", "row 3", "F16"}},
		"alpha": {huge, []string{"model.layers.0.", "lora_B", "float32"}},
	} {
		for use, err := range uses(writeAdapter(t, c.adapter), half, t.TempDir()) {
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s, %s: error %v, want one with %q", name, use, err, want)
				}
			}
		}
	}
	// The same sum fits a wider type.
	for use, err := range uses(writeAdapter(t, wide), writeBase(t, shape, models.TypeBF16, 1), t.TempDir()) {
		if err != nil {
			t.Errorf("bf16, %s: %v", use, err)
		}
	}
	// A GGUF adapter whose alpha is the largest there is.
	large := filepath.Join(t.TempDir(), "large.gguf")
	withAlpha(t, convert(t, plain()), large, math.MaxFloat32)
	for use, err := range uses(large, half, t.TempDir()) {
		if !errors.Is(err, models.ErrUnsupported) || !strings.Contains(err.Error(), "row 0") {
			t.Errorf("GGUF, %s: %v", use, err)
		}
	}
	base := writeBase(t, shape, models.TypeF16, 1)
	dir := writeAdapter(t, plain())
	err := lora.Merge(context.Background(), base, []lora.Adapter{{Path: dir, Scale: 1e39}}, filepath.Join(t.TempDir(), "x.gguf"), lora.MergeOptions{})
	if !errors.Is(err, models.ErrUnsupported) && !errors.Is(err, models.ErrFormat) || !strings.Contains(err.Error(), "row ") {
		t.Errorf("a scale of 1e39: %v", err)
	}
}

// withAlpha copies a GGUF adapter with another alpha.
func withAlpha(t *testing.T, f *gguf.File, out string, alpha float32) {
	t.Helper()
	metadata, infos := slices.Clone(f.Metadata), make([]gguf.TensorInfo, len(f.Tensors))
	for i, kv := range metadata {
		if kv.Key == "adapter.lora.alpha" {
			metadata[i].Value = alpha
		}
	}
	for i, x := range f.Tensors {
		infos[i] = x.TensorInfo
	}
	w, err := gguf.Create(out, metadata, infos, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range f.Tensors {
		raw, err := x.Raw()
		if err := errors.Join(err, w.WriteAt(i, raw, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}
