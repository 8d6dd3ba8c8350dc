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

var shape = modeltest.Shape(4, 2, 8, 48, 2, 301, false)

func plain() modeltest.Adapter { return modeltest.Adapter{Shape: shape, Rank: 4, Seed: 1} }

func writeAdapter(t testing.TB, a modeltest.Adapter) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "adapter")
	if err := a.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeBase(t testing.TB, s models.Shape, kind models.WeightType, seed uint64) string {
	t.Helper()
	dir, out := filepath.Join(t.TempDir(), "base"), filepath.Join(t.TempDir(), "base.gguf")
	if err := errors.Join(modeltest.Checkpoint{Shape: s, Seed: seed}.Write(dir),
		models.Convert(context.Background(), dir, out, models.ConvertOptions{Type: kind, Name: "random-qwen2"})); err != nil {
		t.Fatal(err)
	}
	return out
}

func convert(t testing.TB, a modeltest.Adapter) *gguf.File {
	t.Helper()
	out := filepath.Join(t.TempDir(), "adapter.gguf")
	if err := lora.Convert(context.Background(), writeAdapter(t, a), out, lora.ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// change computes what llama.cpp adds to a weight, in float64 and [rows x cols]:
// (alpha / columns of B) x B x A as llama-adapter.h has it, or for the embedding
// its lookup of A's rows.
func change(t failer, f *gguf.File, base string) []float64 {
	alpha, ok := f.Value("adapter.lora.alpha")
	a, b := f.Tensor(base+".lora_a"), f.Tensor(base+".lora_b")
	if !ok || a == nil || b == nil {
		t.Fatalf("%s: no alpha, lora_a or lora_b", base)
	}
	x, errA := a.Floats()
	y, errB := b.Floats()
	if err := errors.Join(errA, errB); err != nil {
		t.Fatalf("%v", err)
	}
	rank := b.Shape[0]
	scale := float64(alpha.(float32)) / float64(rank)
	if base == "token_embd.weight" { // rows of a, columns of b's transpose
		return product(x, y, a.Shape[1], rank, b.Shape[1], scale, true)
	}
	return product(y, x, b.Shape[1], rank, a.Shape[0], scale, false)
}

// product returns scale x left x right; right is transposed if turned.
func product(left, right []float32, rows, rank, cols int64, scale float64, turned bool) []float64 {
	out := make([]float64, rows*cols)
	for r := range rows {
		for c := range cols {
			for k := range rank {
				i := k*cols + c
				if turned {
					i = c*rank + k
				}
				out[r*cols+c] += float64(left[r*rank+k]) * float64(right[i]) * scale
			}
		}
	}
	return out
}

// peftChange computes what PEFT adds to a module's weight from the arrays that
// were written and the scale that PEFT documents.
func peftChange(a modeltest.Adapter, arrays map[string]safetensors.Array, module string) ([]float64, error) {
	rank, scale := a.ScaleOf(module)
	name := "base_model.model." + module
	kind, _ := a.DType.GGML()
	stored := func(s safetensors.Array) ([]float32, error) {
		if a.DType == "" {
			return s.Values, nil
		}
		return modeltest.Round(s.Values, kind)
	}
	if x, ok := arrays[name+".lora_embedding_A"]; ok {
		left, err := stored(x)
		if err != nil {
			return nil, err
		}
		y := arrays[name+".lora_embedding_B"]
		right, err := stored(y)
		rows, cols := x.Shape[1], y.Shape[0]
		out := make([]float64, rows*cols)
		for r := range rows {
			for c := range cols {
				for k := range rank {
					out[r*cols+c] += float64(left[k*rows+r]) * float64(right[c*rank+k]) * scale
				}
			}
		}
		return out, err
	}
	x, y := arrays[name+".lora_A.weight"], arrays[name+".lora_B.weight"]
	right, errA := stored(x)
	left, errB := stored(y)
	return product(left, right, y.Shape[0], rank, x.Shape[1], scale, false), errors.Join(errA, errB)
}

type failer interface {
	Fatalf(format string, args ...any)
}

func near(t failer, what string, got, want []float64) {
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	top := 0.0
	for _, v := range want {
		top = math.Max(top, math.Abs(v))
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 2e-6*top+1e-30 {
			t.Fatalf("%s: element %d is %g, want %g (largest %g)", what, i, got[i], want[i], top)
		}
	}
}

func drawAdapter(rt *rapid.T) modeltest.Adapter {
	kv := rapid.Int64Range(1, 2).Draw(rt, "KV heads")
	a := modeltest.Adapter{
		Shape:   modeltest.Shape(kv*rapid.SampledFrom([]int64{1, 2, 7}).Draw(rt, "group"), kv, rapid.SampledFrom([]int64{2, 8}).Draw(rt, "head width"), rapid.Int64Range(1, 50).Draw(rt, "intermediate"), rapid.Int64Range(1, 3).Draw(rt, "layers"), rapid.Int64Range(259, 300).Draw(rt, "vocabulary"), false),
		Rank:    rapid.Int64Range(1, 9).Draw(rt, "rank"),
		Alpha:   rapid.SampledFrom([]float64{1, 2, 16, 64, 0.3, 7}).Draw(rt, "alpha"),
		RSLoRA:  rapid.Bool().Draw(rt, "rslora"),
		DType:   rapid.SampledFrom([]safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16}).Draw(rt, "dtype"),
		Targets: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "embed_tokens", "lm_head"}), 1, 9, rapid.ID[string]).Draw(rt, "targets"),
		Seed:    rapid.Uint64().Draw(rt, "seed"),
	}
	if rapid.Bool().Draw(rt, "patterns") {
		a.RankPattern = map[string]int64{"q_proj": 3, "layers.0.mlp.up_proj": 5}
		a.AlphaPattern = map[string]float64{"q_proj": 5, ".*down_proj": 2 * a.Alpha, "k_proj": 0, "lm_head": a.Alpha / 3}
	}
	return a
}

// Whatever the scales and patterns, the GGUF adapter adds what PEFT adds.
func TestConvertKeepsTheChange(t *testing.T) {
	tmp := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		a := drawAdapter(rt)
		dir, err := os.MkdirTemp(tmp, "")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		out := filepath.Join(dir, "x.gguf")
		if err := errors.Join(a.Write(dir), lora.Convert(context.Background(), dir, out, lora.ConvertOptions{})); err != nil {
			rt.Fatal(err)
		}
		f, err := gguf.Open(out)
		if err != nil {
			rt.Fatal(err)
		}
		defer f.Close()
		arrays := map[string]safetensors.Array{}
		for _, x := range a.Arrays() {
			arrays[x.Name] = x
		}
		if len(f.Tensors) != len(arrays) {
			rt.Fatalf("%d tensors of %d", len(f.Tensors), len(arrays))
		}
		for _, x := range f.Tensors {
			base, ok := strings.CutSuffix(x.Name, ".lora_a")
			if !ok {
				continue
			}
			hf, _ := models.HFName(base)
			want, err := peftChange(a, arrays, strings.TrimSuffix(hf, ".weight"))
			if err != nil {
				rt.Fatal(err)
			}
			near(rt, base, change(rt, f, base), want)
		}
	})
}

// The study's setting: rank 32, alpha 64, use_rslora. llama.cpp must come to a
// scale of 64 / sqrt(32) = 11.3137, and the factors keep their bits.
func TestRSLoRA(t *testing.T) {
	a := modeltest.Adapter{Shape: modeltest.Shape(8, 2, 8, 96, 1, 300, false), Rank: 32, Alpha: 64, RSLoRA: true, DType: safetensors.BF16}
	f := convert(t, a)
	alpha, _ := f.Float("adapter.lora.alpha")
	if got := alpha / 32; math.Abs(got-11.313708498984761) > 1e-6 {
		t.Errorf("scale %v", got)
	}
	for _, x := range a.Arrays() {
		name := strings.TrimPrefix(x.Name, "base_model.model.")
		name = strings.NewReplacer(".lora_A.weight", ".weight", ".lora_B.weight", ".weight").Replace(name)
		base, _ := models.GGUFName(name)
		suffix := ".lora_a"
		if strings.Contains(x.Name, "lora_B") {
			suffix = ".lora_b"
		}
		got, err := f.Tensor(base + suffix).Raw()
		want := make([]byte, len(got))
		if err := errors.Join(err, gguf.BF16.Encode(want, x.Values)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", x.Name, err)
		}
	}
}

// A scale that is off by a power of two keeps B's type, another makes it F32.
func TestFoldedTypes(t *testing.T) {
	a := plain()
	a.DType = safetensors.F16
	a.AlphaPattern = map[string]float64{"q_proj": 16, "k_proj": 3}
	f := convert(t, a)
	for name, want := range map[string]gguf.Type{"blk.0.attn_v.weight": gguf.F16, "blk.0.attn_q.weight": gguf.F16, "blk.0.attn_k.weight": gguf.F32} {
		if b := f.Tensor(name + ".lora_b"); b.Type != want || f.Tensor(name+".lora_a").Type != gguf.F16 {
			t.Errorf("%s: lora_b has type %s, want %s", name, b.Type, want)
		}
	}
}

func TestAdapterMetadata(t *testing.T) {
	f := convert(t, plain())
	for key, want := range map[string]any{"general.type": "adapter", "general.architecture": "qwen2", "adapter.type": "lora",
		"adapter.lora.alpha": float32(8), "general.name": "adapter", "general.base_model.0.name": "random-qwen2"} {
		if got, _ := f.Value(key); got != want {
			t.Errorf("%s = %v, want %v", key, got, want)
		}
	}
}

// convertError converts a bad adapter and returns the error; nothing may be left.
func convertError(t *testing.T, dir string, opts lora.ConvertOptions) error {
	t.Helper()
	parent := t.TempDir()
	err := lora.Convert(context.Background(), dir, filepath.Join(parent, "x.gguf"), opts)
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err == nil {
		t.Fatal("the conversion succeeded")
	}
	return err
}

func edit(name string, f func(a *safetensors.Array)) func([]safetensors.Array) []safetensors.Array {
	return func(list []safetensors.Array) []safetensors.Array {
		for i := range list {
			if list[i].Name == name {
				f(&list[i])
			}
		}
		return list
	}
}

const q0 = "base_model.model.model.layers.0.self_attn.q_proj"

func TestRefusedOptions(t *testing.T) {
	for key, value := range map[string]any{
		"use_dora": true, "bias": "all", "lora_bias": true, "modules_to_save": []string{"lm_head"}, "layer_replication": [][]int{{0, 1}},
		"megatron_config": map[string]any{"x": 1}, "trainable_token_indices": []int{1}, "alora_invocation_tokens": []int{1},
		"use_qalora": true, "target_parameters": []string{"x"}, "corda_config": map[string]any{"x": 1}, "arrow_config": map[string]any{"x": 1},
		"init_lora_weights": "pissa", "task_type": "SEQ_CLS", "peft_type": "IA3", "ensure_weight_tying": true, "use_bdlora": true, "brand_new_option": "on",
	} {
		a := plain()
		a.Config = map[string]any{key: value}
		err := convertError(t, writeAdapter(t, a), lora.ConvertOptions{})
		if !errors.Is(err, models.ErrUnsupported) || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "adapter_config.json") {
			t.Errorf("%s: %v", key, err)
		}
	}
	for key, value := range map[string]any{
		"loftq_config": map[string]any{}, "use_rslora": nil, "eva_config": map[string]any{"rho": 2}, "megatron_core": "megatron.core", "qalora_group_size": 16,
		"init_lora_weights": "gaussian", "use_dora": false, "modules_to_save": []string{}, "brand_new_option": nil, "another": false,
	} {
		a := plain()
		a.Config = map[string]any{key: value}
		if err := lora.Convert(context.Background(), writeAdapter(t, a), filepath.Join(t.TempDir(), "x.gguf"), lora.ConvertOptions{}); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestBadAdapters(t *testing.T) {
	rename := func(to string) func([]safetensors.Array) []safetensors.Array {
		return edit(q0+".lora_A.weight", func(a *safetensors.Array) { a.Name = to })
	}
	for name, c := range map[string]struct {
		edit   func([]safetensors.Array) []safetensors.Array
		config map[string]any
		kind   error
		want   string
	}{
		"no B": {func(l []safetensors.Array) []safetensors.Array {
			return slices.DeleteFunc(l, func(a safetensors.Array) bool { return a.Name == q0+".lora_B.weight" })
		}, nil, models.ErrFormat, "model.layers.0.self_attn.q_proj: lora_B is missing"},
		"no module": {func(l []safetensors.Array) []safetensors.Array {
			return slices.DeleteFunc(l, func(a safetensors.Array) bool { return strings.HasPrefix(a.Name, q0) })
		}, nil, models.ErrFormat, "selects module model.layers.0.self_attn.q_proj"},
		"nothing":               {func([]safetensors.Array) []safetensors.Array { return nil }, nil, models.ErrFormat, "no LoRA tensors"},
		"magnitude":             {rename(q0 + ".lora_magnitude_vector"), nil, models.ErrUnsupported, "DoRA"},
		"bias":                  {rename("base_model.model.model.layers.0.self_attn.q_proj.bias"), nil, models.ErrUnsupported, "biases"},
		"prefix":                {rename("model.layers.0.self_attn.q_proj.lora_A.weight"), nil, models.ErrUnsupported, "not a LoRA factor"},
		"other module":          {rename("base_model.model.model.layers.0.mlp.experts.lora_A.weight"), nil, models.ErrUnsupported, "experts"},
		"norm":                  {rename("base_model.model.model.norm.lora_A.weight"), nil, models.ErrUnsupported, "model.norm"},
		"NaN":                   {edit(q0+".lora_A.weight", func(a *safetensors.Array) { a.Values[3] = float32(math.NaN()) }), nil, models.ErrFormat, "q_proj.lora_A.weight: element 3 is NaN"},
		"one dimension":         {edit(q0+".lora_A.weight", func(a *safetensors.Array) { a.Shape = []int64{128} }), nil, models.ErrFormat, "two dimensions"},
		"ranks differ":          {edit(q0+".lora_A.weight", func(a *safetensors.Array) { a.Shape = []int64{8, 16} }), nil, models.ErrFormat, "rank 8, lora_B 4"},
		"rank":                  {nil, map[string]any{"r": 5}, models.ErrFormat, "rank 4, but adapter_config.json says 5"},
		"null alpha":            {nil, map[string]any{"lora_alpha": nil}, models.ErrFormat, "lora_alpha is null"},
		"zero rank":             {nil, map[string]any{"r": 0}, models.ErrFormat, "r is 0"},
		"integers":              {edit(q0+".lora_A.weight", func(a *safetensors.Array) { a.DType, a.Raw = "I32", make([]byte, 4*len(a.Values)) }), nil, models.ErrUnsupported, "I32"},
		"not selected":          {nil, map[string]any{"target_modules": []string{"k_proj"}}, models.ErrFormat, "does not select module"},
		"excluded":              {nil, map[string]any{"exclude_modules": []string{"layers.0.self_attn.q_proj"}}, models.ErrFormat, "does not select module model.layers.0.self_attn.q_proj"},
		"layers":                {nil, map[string]any{"layers_to_transform": []int{1}}, models.ErrFormat, "does not select module model.layers.0"},
		"expression":            {nil, map[string]any{"target_modules": "("}, models.ErrFormat, "target_modules"},
		"expression and layers": {nil, map[string]any{"target_modules": ".*proj", "layers_to_transform": 0}, models.ErrFormat, "layers_to_transform"},
		"pattern":               {nil, map[string]any{"rank_pattern": map[string]any{"q_proj": 1.5}}, models.ErrFormat, "rank_pattern"},
		"pattern type":          {nil, map[string]any{"alpha_pattern": []int{1}}, models.ErrFormat, "alpha_pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			a := plain()
			a.Edit, a.Config = c.edit, c.config
			err := convertError(t, writeAdapter(t, a), lora.ConvertOptions{})
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if err := convertError(t, t.TempDir(), lora.ConvertOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty directory: %v", err)
	}
	dir := writeAdapter(t, plain())
	if err := os.Rename(filepath.Join(dir, "adapter_model.safetensors"), filepath.Join(dir, "adapter_model.bin")); err != nil {
		t.Fatal(err)
	}
	if err := convertError(t, dir, lora.ConvertOptions{}); !errors.Is(err, models.ErrUnsupported) || !strings.Contains(err.Error(), "pickle") {
		t.Errorf("pickled weights: %v", err)
	}
}

// target_modules in each of its forms selects what PEFT would select.
func TestTargets(t *testing.T) {
	for name, c := range map[string]struct {
		targets []string // that the file holds
		config  map[string]any
	}{
		"list":       {[]string{"q_proj", "v_proj"}, nil},
		"all-linear": {nil, map[string]any{"target_modules": "all-linear"}},
		"expression": {[]string{"q_proj", "k_proj"}, map[string]any{"target_modules": `.*\.self_attn\.(q|k)_proj`}},
		"lookahead":  {[]string{"q_proj", "k_proj", "v_proj", "o_proj"}, map[string]any{"target_modules": `model\.layers\.\d+\.(?!mlp).*_proj`}},
		"absent":     {[]string{"q_proj", "v_proj"}, map[string]any{"target_modules": nil}},
		"full names": {[]string{"q_proj"}, map[string]any{"target_modules": []string{"model.layers.0.self_attn.q_proj", "layers.1.self_attn.q_proj"}}},
		"exclude":    {[]string{"q_proj"}, map[string]any{"target_modules": []string{"q_proj", "k_proj"}, "exclude_modules": `.*k_proj`}},
		"all layers": {[]string{"q_proj"}, map[string]any{"layers_to_transform": []int{0, 1}, "layers_pattern": "layers"}},
	} {
		a := plain()
		a.Targets, a.Config = c.targets, c.config
		out := filepath.Join(t.TempDir(), "x.gguf")
		if err := lora.Convert(context.Background(), writeAdapter(t, a), out, lora.ConvertOptions{Base: writeBase(t, shape, models.TypeKeep, 1)}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// One layer of two, and a file that holds only it.
	a := plain()
	a.Config = map[string]any{"layers_to_transform": 1}
	a.Edit = func(l []safetensors.Array) []safetensors.Array {
		return slices.DeleteFunc(l, func(x safetensors.Array) bool { return strings.Contains(x.Name, "layers.0.") })
	}
	out := filepath.Join(t.TempDir(), "x.gguf")
	if err := lora.Convert(context.Background(), writeAdapter(t, a), out, lora.ConvertOptions{Base: writeBase(t, shape, models.TypeKeep, 1)}); err != nil {
		t.Errorf("one layer: %v", err)
	}
}

// A Linear's fan_in_fan_out has no effect in PEFT; the user is told.
func TestFanInFanOut(t *testing.T) {
	a := plain()
	a.Config = map[string]any{"fan_in_fan_out": true}
	var warnings []string
	out := filepath.Join(t.TempDir(), "x.gguf")
	err := lora.Convert(context.Background(), writeAdapter(t, a), out, lora.ConvertOptions{Warn: func(s string) { warnings = append(warnings, s) }})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "fan_in_fan_out") {
		t.Errorf("%v, %v", err, warnings)
	}
}

// Initialisations that change the base weights: the adapter is right on the changed ones
// only. The errors say what to do, and that modules_to_save needs PEFT.
func TestRefusalsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"init_lora_weights", "pissa", "path_initial_model"}, {"init_lora_weights", "pissa_niter_16", "path_initial_model"},
		{"init_lora_weights", "olora", "path_initial_model"}, {"init_lora_weights", "corda", "path_initial_model"},
		{"init_lora_weights", "lora_ga", "path_initial_model"}, {"init_lora_weights", "loftq", "merge_and_unload"},
		{"init_lora_weights", "something_new", "changes the base weights"}, {"modules_to_save", []string{"embed_tokens", "lm_head"}, "merge_and_unload"},
	} {
		a := plain()
		a.Config = map[string]any{c.key: c.value}
		for use, err := range uses(writeAdapter(t, a), writeBase(t, shape, models.TypeF16, 1), t.TempDir()) {
			if !errors.Is(err, models.ErrUnsupported) || !strings.Contains(err.Error(), c.key) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s %v, %s: %v, want an error with %q", c.key, c.value, use, err, c.want)
			}
		}
	}
}
