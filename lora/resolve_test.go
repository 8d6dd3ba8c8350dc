package lora_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"personaprobe/internal/modeltest"
	"personaprobe/lora"
	"personaprobe/models"
	"personaprobe/models/gguf"
	"personaprobe/models/safetensors"
)

func TestResolve(t *testing.T) {
	base, cache := writeBase(t, shape, models.TypeKeep, 1), t.TempDir()
	dir := writeAdapter(t, plain())
	first, warnings, err := lora.Resolve(context.Background(), dir, base, cache)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	info, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := lora.Resolve(context.Background(), dir, base, cache)
	if later, statErr := os.Stat(again); err != nil || statErr != nil || again != first || !later.ModTime().Equal(info.ModTime()) {
		t.Errorf("a second time: %s, %v, %v", again, err, statErr)
	}
	if path, _, err := lora.Resolve(context.Background(), first, base, cache); err != nil || path != first {
		t.Errorf("a GGUF adapter: %s, %v", path, err)
	}
	if _, _, err := lora.Resolve(context.Background(), filepath.Join(dir, "none"), base, cache); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no adapter: %v", err)
	}
	if _, _, err := lora.Resolve(context.Background(), base, base, cache); !errors.Is(err, models.ErrFormat) || !strings.Contains(err.Error(), "not a GGUF adapter") {
		t.Errorf("a model for an adapter: %v", err)
	}
}

func TestNameWarning(t *testing.T) {
	base, cache := writeBase(t, shape, models.TypeKeep, 1), t.TempDir()
	for name, want := range map[string]int{"random-qwen2": 0, "org/Random_Qwen2": 0, "/models/random-qwen2": 0, "other": 1} {
		a := plain()
		a.Config = map[string]any{"base_model_name_or_path": name}
		path, warnings, err := lora.Resolve(context.Background(), writeAdapter(t, a), base, cache)
		if err != nil || len(warnings) != want {
			t.Errorf("%s: %v, %v", name, warnings, err)
		}
		if _, warnings, err = lora.Resolve(context.Background(), path, base, cache); err != nil || len(warnings) != want {
			t.Errorf("%s as GGUF: %v, %v", name, warnings, err)
		}
	}
}

// An adapter of another model is refused in either form, and the error names the
// tensor and both shapes.
func TestMismatch(t *testing.T) {
	a := plain()
	a.Targets = []string{"q_proj", "up_proj", "lm_head"}
	dir := writeAdapter(t, a)
	whole := filepath.Join(t.TempDir(), "x.gguf")
	if err := lora.Convert(context.Background(), dir, whole, lora.ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	wider, fewer, tied := shape, shape, shape
	wider.Intermediate = 50
	fewer.Layers = 1
	tied.Tied = true
	for _, c := range []struct {
		base   models.Shape
		tensor string
		want   string
	}{
		{wider, "blk.0.ffn_up.weight", "lora_a [4 x 32], lora_b [48 x 4], base weight [50 x 32]"},
		{fewer, "blk.1.attn_q.weight", "has no such tensor"},
		{tied, "output.weight", "tied embeddings"},
	} {
		base := writeBase(t, c.base, models.TypeKeep, 1)
		for _, path := range []string{dir, whole} {
			_, _, err := lora.Resolve(context.Background(), path, base, t.TempDir())
			var m *lora.MismatchError
			if !errors.Is(err, lora.ErrMismatch) || !errors.As(err, &m) || m.Tensor != c.tensor || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v, want one about %s with %q", path, err, c.tensor, c.want)
			}
		}
	}
	deeper := shape
	deeper.Layers = 3
	if _, _, err := lora.Resolve(context.Background(), dir, writeBase(t, deeper, models.TypeKeep, 1), t.TempDir()); !errors.Is(err, models.ErrFormat) || !strings.Contains(err.Error(), "model.layers.2") {
		t.Errorf("an adapter for fewer layers: %v", err)
	}
	a.Targets = []string{"embed_tokens"}
	if _, _, err := lora.Resolve(context.Background(), writeAdapter(t, a), writeBase(t, tied, models.TypeKeep, 1), t.TempDir()); !errors.Is(err, models.ErrUnsupported) || !strings.Contains(err.Error(), "tied") {
		t.Errorf("tied embeddings: %v", err)
	}
}

// PEFT stores the base's embedding beside an adapted one. An equal copy is fine, a
// changed one is not.
func TestStoredCopies(t *testing.T) {
	for _, kind := range []models.WeightType{models.TypeKeep, models.TypeBF16, models.TypeQ8} {
		base := writeBase(t, shape, kind, 1)
		embedding := modeltest.Checkpoint{Shape: shape, Seed: 1}.Arrays()[0]
		embedding.Name = "base_model.model.model.embed_tokens.base_layer.weight"
		for _, changed := range []bool{false, true} {
			a := plain()
			a.Targets = []string{"q_proj", "embed_tokens"}
			a.Edit = func(l []safetensors.Array) []safetensors.Array {
				x := embedding
				x.Values = slices.Clone(x.Values)
				if changed {
					x.Values[40] += 1
				}
				return append(l, x)
			}
			dir := writeAdapter(t, a)
			_, _, err := lora.Resolve(context.Background(), dir, base, t.TempDir())
			if changed != errors.Is(err, lora.ErrMismatch) || !changed && err != nil || changed && !strings.Contains(err.Error(), "row 1") {
				t.Errorf("%s, changed %v: %v", kind, changed, err)
			}
			if err := convertError(t, dir, lora.ConvertOptions{}); !errors.Is(err, models.ErrUnsupported) || !strings.Contains(err.Error(), "embed_tokens.base_layer") {
				t.Errorf("without the base: %v", err)
			}
		}
	}
}

// PEFT also stores whole embeddings beside other modules (save_embedding_layers). Those of
// the base are fine, a resized or trained one is not.
func TestStoredEmbeddings(t *testing.T) {
	tied := shape
	tied.Tied = true
	for _, s := range []models.Shape{shape, tied} {
		base := writeBase(t, s, models.TypeF16, 1)
		arrays := modeltest.Checkpoint{Shape: s, Seed: 1}.Arrays()
		embedding, head := arrays[0], arrays[len(arrays)-1]
		if s.Tied {
			head = embedding
		}
		embedding.Name, head.Name = "base_model.model.model.embed_tokens.weight", "base_model.model.lm_head.weight"
		for name, c := range map[string]struct {
			change func(a *safetensors.Array)
			want   string
		}{
			"same":    {func(*safetensors.Array) {}, ""},
			"trained": {func(a *safetensors.Array) { a.Values = slices.Clone(a.Values); a.Values[70]++ }, "row 2 differs"},
			"resized": {func(a *safetensors.Array) { a.Shape = []int64{300, 32}; a.Values = a.Values[:300*32] }, "resized vocabulary"},
		} {
			changed := head
			c.change(&changed)
			a := plain()
			a.Edit = func(l []safetensors.Array) []safetensors.Array { return append(l, embedding, changed) }
			for use, err := range uses(writeAdapter(t, a), base, t.TempDir()) {
				if c.want == "" && err != nil {
					t.Errorf("tied %v, %s, %s: %v", s.Tied, name, use, err)
				}
				if c.want != "" && (!errors.Is(err, lora.ErrMismatch) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "PEFT")) {
					t.Errorf("tied %v, %s, %s: %v, want an error with %q", s.Tied, name, use, err, c.want)
				}
			}
			if err := convertError(t, writeAdapter(t, a), lora.ConvertOptions{}); !errors.Is(err, models.ErrUnsupported) || !strings.Contains(err.Error(), "copy") {
				t.Errorf("without the base: %v", err)
			}
		}
	}
}

// GGUF adapters that llama.cpp would misread or refuse.
func TestBadGGUFAdapters(t *testing.T) {
	base := writeBase(t, shape, models.TypeKeep, 1)
	good := []gguf.KV{{Key: "general.type", Value: "adapter"}, {Key: "general.architecture", Value: "qwen2"}, {Key: "adapter.type", Value: "lora"}, {Key: "adapter.lora.alpha", Value: float32(8)}}
	a := gguf.TensorInfo{Name: "blk.0.attn_q.weight.lora_a", Type: gguf.F32, Shape: []int64{32, 4}}
	b := gguf.TensorInfo{Name: "blk.0.attn_q.weight.lora_b", Type: gguf.F32, Shape: []int64{4, 32}}
	with := func(i int, v any) []gguf.KV {
		kv := slices.Clone(good)
		kv[i].Value = v
		return kv
	}
	norm := gguf.TensorInfo{Name: "blk.0.attn_norm.weight", Type: gguf.F32, Shape: []int64{32}}
	wide := b
	wide.Shape = []int64{8, 32}
	quantised := a
	quantised.Type, quantised.Shape = 2, []int64{32, 4}
	for name, c := range map[string]struct {
		kv      []gguf.KV
		tensors []gguf.TensorInfo
		kind    error
		want    string
	}{
		"good": {good, []gguf.TensorInfo{a, b}, nil, ""},
		"arch": {with(1, "llama"), []gguf.TensorInfo{a, b}, models.ErrUnsupported, "llama"},
		"type": {with(0, "model"), []gguf.TensorInfo{a, b}, models.ErrFormat, "adapter"},
		"kind": {with(2, "control_vector"), []gguf.TensorInfo{a, b}, models.ErrUnsupported, "control_vector"},
		"family": {append(slices.Clone(good), gguf.KV{Key: "general.base_model.0.name", Value: "Llama 3.1 8B Instruct"}),
			[]gguf.TensorInfo{a, b}, models.ErrUnsupported, "Llama"},
		"repository": {append(slices.Clone(good), gguf.KV{Key: "general.base_model.0.repo_url", Value: "https://huggingface.co/google/gemma-2-2b"}),
			[]gguf.TensorInfo{a, b}, models.ErrUnsupported, "Gemma"},
		"alpha":      {with(3, uint32(8)), []gguf.TensorInfo{a, b}, models.ErrFormat, "float32"},
		"no B":       {good, []gguf.TensorInfo{a}, models.ErrFormat, "lora_B is missing"},
		"ranks":      {good, []gguf.TensorInfo{a, wide}, models.ErrFormat, "rank 4, lora_B 8"},
		"norm":       {good, []gguf.TensorInfo{a, b, norm}, models.ErrUnsupported, "attn_norm"},
		"quantised":  {good, []gguf.TensorInfo{quantised, b}, models.ErrUnsupported, "Q4_0"},
		"no tensors": {good, nil, models.ErrFormat, "no LoRA tensors"},
	} {
		path := filepath.Join(t.TempDir(), "x.gguf")
		w, err := gguf.Create(path, c.kv, c.tensors, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range c.tensors {
			if err := w.WriteAt(i, make([]byte, x.Bytes()), 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		_, err = lora.Check(path, base)
		if c.kind == nil && err != nil || c.kind != nil && (!errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}
