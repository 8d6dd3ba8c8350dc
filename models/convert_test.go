package models_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"personaprobe/internal/golden"
	"personaprobe/internal/modeltest"
	"personaprobe/models"
	"personaprobe/models/gguf"
	"personaprobe/models/safetensors"
)

// small is a checkpoint with grouped heads, padding and two layers.
func small() modeltest.Checkpoint {
	return modeltest.Checkpoint{Shape: modeltest.Shape(4, 2, 8, 48, 2, 301, false), Tokens: 290, Seed: 1}
}

func writeCheckpoint(t testing.TB, c modeltest.Checkpoint) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "checkpoint")
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Every tensor of a random checkpoint comes back: bit for bit where the type
// stays, else as the type rounds it.
func TestConvertProperty(t *testing.T) {
	tmp := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		group := rapid.SampledFrom([]int64{1, 2, 7}).Draw(rt, "query heads per KV head")
		kv := rapid.Int64Range(1, 2).Draw(rt, "KV heads")
		c := modeltest.Checkpoint{
			Shape: modeltest.Shape(group*kv, kv, rapid.SampledFrom([]int64{2, 8, 16}).Draw(rt, "head width"), rapid.Int64Range(1, 70).Draw(rt, "intermediate"),
				rapid.Int64Range(1, 3).Draw(rt, "layers"), rapid.Int64Range(259, 400).Draw(rt, "vocabulary"), rapid.Bool().Draw(rt, "tied")),
			DType:         rapid.SampledFrom([]safetensors.DType{safetensors.F32, safetensors.F16, safetensors.BF16, safetensors.F64}).Draw(rt, "dtype"),
			Shards:        rapid.IntRange(1, 4).Draw(rt, "shards"),
			SlowTokenizer: rapid.Bool().Draw(rt, "slow tokenizer"),
			Seed:          rapid.Uint64().Draw(rt, "seed"),
		}
		c.Tokens = rapid.Int64Range(259, c.Shape.Vocab).Draw(rt, "tokens")
		want := rapid.SampledFrom([]models.WeightType{models.TypeKeep, models.TypeF32, models.TypeF16, models.TypeBF16, models.TypeQ8}).Draw(rt, "type")
		dir, err := os.MkdirTemp(tmp, "")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		out := filepath.Join(dir, "out.gguf")
		if err := errors.Join(c.Write(dir), models.Convert(context.Background(), dir, out, models.ConvertOptions{Type: want})); err != nil {
			rt.Fatal(err)
		}
		compare(rt, c, dir, out, want)
	})
}

// compare checks the GGUF against the checkpoint's own files.
func compare(t *rapid.T, c modeltest.Checkpoint, dir, out string, want models.WeightType) {
	hf, err := safetensors.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer hf.Close()
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Tensors) != len(hf.Tensors) {
		t.Fatalf("%d tensors, the checkpoint has %d", len(f.Tensors), len(hf.Tensors))
	}
	for _, x := range f.Tensors {
		name, _ := models.HFName(x.Name)
		source := hf.Tensor(name)
		shape := slices.Clone(x.Shape)
		slices.Reverse(shape)
		kind, _ := source.DType.GGML()
		if !slices.Equal(shape, source.Shape) || x.Type != expected(want, kind, source.Shape) {
			t.Fatalf("tensor %s is %s %v, from %s %v", x.Name, x.Type, x.Shape, source.DType, source.Shape)
		}
		values, err := source.Floats()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := x.Raw()
		if err != nil {
			t.Fatal(err)
		}
		rounded := make([]byte, x.Bytes())
		if err := x.Type.Encode(rounded, values); err != nil {
			t.Fatal(err)
		}
		if x.Type == kind {
			if rounded, err = source.Raw(); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(raw, rounded) {
			t.Fatalf("tensor %s differs from %s", x.Name, name)
		}
	}
	if shape, err := models.ShapeOf(f); err != nil || shape.Layers != c.Shape.Layers || shape.KVHeads != c.Shape.KVHeads || shape.Tied != c.Shape.Tied || shape.Vocab != c.Shape.Vocab {
		t.Fatalf("shape %+v, %v; want %+v", shape, err, c.Shape)
	}
	checkVocabulary(t, f, c.Tokens)
}

// expected restates the rules for types.
func expected(want models.WeightType, from gguf.Type, shape []int64) gguf.Type {
	if len(shape) == 1 {
		return gguf.F32
	}
	switch want {
	case models.TypeF32:
		return gguf.F32
	case models.TypeF16:
		return gguf.F16
	case models.TypeBF16:
		return gguf.BF16
	case models.TypeQ8:
		if shape[1]%32 != 0 {
			return gguf.F16
		}
		return gguf.Q8_0
	}
	if from == gguf.F64 {
		return gguf.F32
	}
	return from
}

func checkVocabulary(t *rapid.T, f *gguf.File, tokens int64) {
	list, _ := f.Strings("tokenizer.ggml.tokens")
	v, _ := f.Value("tokenizer.ggml.token_type")
	types := v.([]int32)
	merges, _ := f.Strings("tokenizer.ggml.merges")
	eos, _ := f.Uint("tokenizer.ggml.eos_token_id")
	rows := f.Tensor("token_embd.weight").Shape[1]
	if int64(len(list)) != rows || len(types) != len(list) || int64(len(merges)) != tokens-259 || int64(eos) != tokens-1 {
		t.Fatalf("%d tokens, %d types, %d merges, eos %d for %d tokens in %d rows", len(list), len(types), len(merges), eos, tokens, rows)
	}
	for id, text := range list {
		want := int32(1)
		switch {
		case int64(id) >= tokens:
			want = 5
		case int64(id) >= tokens-3:
			want = 3
		}
		if types[id] != want || want == 5 && !strings.HasPrefix(text, "[PAD") {
			t.Fatalf("token %d %q has type %d, want %d", id, text, types[id], want)
		}
	}
	if s, _ := f.String("tokenizer.ggml.model"); s != "gpt2" {
		t.Fatalf("tokenizer model %q", s)
	}
}

func TestConvertMetadata(t *testing.T) {
	c := small()
	c.Config = map[string]any{"rope_scaling": map[string]any{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}, "rope_theta": 1e6}
	out := filepath.Join(t.TempDir(), "x.gguf")
	if err := models.Convert(context.Background(), writeCheckpoint(t, c), out, models.ConvertOptions{Name: "n"}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for key, want := range map[string]any{
		"general.architecture": "qwen2", "general.type": "model", "general.name": "n", "general.file_type": uint32(0),
		"qwen2.block_count": uint32(2), "qwen2.context_length": uint32(256), "qwen2.embedding_length": uint32(32),
		"qwen2.feed_forward_length": uint32(48), "qwen2.attention.head_count": uint32(4), "qwen2.attention.head_count_kv": uint32(2),
		"qwen2.rope.freq_base": float32(1e6), "qwen2.attention.layer_norm_rms_epsilon": float32(1e-6),
		"qwen2.rope.scaling.type": "yarn", "qwen2.rope.scaling.factor": float32(4), "qwen2.rope.scaling.original_context_length": uint32(128),
		"tokenizer.ggml.pre": "qwen2", "tokenizer.ggml.add_bos_token": false, "tokenizer.ggml.padding_token_id": uint32(287),
		"tokenizer.ggml.eot_token_id": uint32(289), "tokenizer.ggml.bos_token_id": uint32(287),
	} {
		if got, _ := f.Value(key); got != want {
			t.Errorf("%s = %v (%T), want %v (%T)", key, got, got, want, want)
		}
	}
	if s, _ := f.String("tokenizer.chat_template"); !strings.Contains(s, "m.content + '<|im_end|>\n'") {
		t.Errorf("chat template %q", s)
	}
}

// Qwen2.5's real vocabulary, padded as the 7B model pads it.
func TestRealTokenizer(t *testing.T) {
	dir := golden.SharedDir(t, "qwen2-tokenizer")
	shape := modeltest.Shape(1, 1, 2, 1, 1, 152064, true)
	out := filepath.Join(t.TempDir(), "x.gguf")
	if err := models.Synth(context.Background(), shape, out, models.SynthOptions{TokenizerDir: dir, Type: models.TypeF32}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tokens, _ := f.Strings("tokenizer.ggml.tokens")
	merges, _ := f.Strings("tokenizer.ggml.merges")
	v, _ := f.Value("tokenizer.ggml.token_type")
	types := v.([]int32)
	if len(tokens) != 152064 || len(merges) < 151000 || tokens[151645] != "<|im_end|>" || tokens[85113] != "[Z" && tokens[85113] != "Ġ[Z" {
		t.Errorf("%d tokens, %d merges, 151645 is %q, 85113 is %q", len(tokens), len(merges), tokens[151645], tokens[85113])
	}
	count := map[int32]int{}
	for _, k := range types {
		count[k]++
	}
	if count[1] != 151643 || count[3]+count[4] != 22 || count[5] != 152064-151643-22 {
		t.Errorf("token types %v", count)
	}
	for key, want := range map[string]uint64{"eos": 151645, "eot": 151645, "padding": 151643} {
		if id, _ := f.Uint("tokenizer.ggml." + key + "_token_id"); id != want {
			t.Errorf("%s is %d, want %d", key, id, want)
		}
	}
}

// withoutOutput runs a conversion that must fail and leave nothing.
func withoutOutput(t *testing.T, dir string, ctx context.Context, opts models.ConvertOptions) error {
	t.Helper()
	parent := t.TempDir()
	err := models.Convert(ctx, dir, filepath.Join(parent, "x.gguf"), opts)
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err == nil {
		t.Fatal("the conversion succeeded")
	}
	return err
}

func drop(name string) func([]safetensors.Array) []safetensors.Array {
	return func(list []safetensors.Array) []safetensors.Array {
		return slices.DeleteFunc(list, func(a safetensors.Array) bool { return a.Name == name })
	}
}

func TestConvertRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*modeltest.Checkpoint)
		kind error
		want string
	}{
		"architecture": {func(c *modeltest.Checkpoint) {
			c.Config = map[string]any{"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama"}
		}, models.ErrUnsupported, "LlamaForCausalLM"},
		"activation": {func(c *modeltest.Checkpoint) { c.Config = map[string]any{"hidden_act": "gelu"} }, models.ErrUnsupported, "gelu"},
		"quantised": {func(c *modeltest.Checkpoint) {
			c.Config = map[string]any{"quantization_config": map[string]any{"bits": 4}}
		}, models.ErrUnsupported, "quantization_config"},
		"window": {func(c *modeltest.Checkpoint) {
			c.Config = map[string]any{"use_sliding_window": true, "sliding_window": 64, "max_window_layers": 1}
		}, models.ErrUnsupported, "sliding"},
		"rope": {func(c *modeltest.Checkpoint) {
			c.Config = map[string]any{"rope_scaling": map[string]any{"rope_type": "longrope"}}
		}, models.ErrUnsupported, "longrope"},
		"yarn": {func(c *modeltest.Checkpoint) {
			c.Config = map[string]any{"rope_scaling": map[string]any{"rope_type": "yarn", "factor": 2.0, "beta_fast": 16}}
		}, models.ErrUnsupported, "beta_fast"},
		"llama's rope": {func(c *modeltest.Checkpoint) {
			c.Config = map[string]any{"rope_scaling": map[string]any{"rope_type": "llama3", "low_freq_factor": 1.0}}
		}, models.ErrUnsupported, "llama3"},
		"rope of layers": {func(c *modeltest.Checkpoint) {
			c.Config = map[string]any{"rope_parameters": map[string]any{"full_attention": map[string]any{"rope_theta": 5}}}
		}, models.ErrUnsupported, "full_attention"},
		"rope sections": {func(c *modeltest.Checkpoint) {
			c.Config = map[string]any{"rope_scaling": map[string]any{"type": "default", "mrope_section": []int{1, 2, 3}}}
		}, models.ErrUnsupported, "mrope_section"},
		"own code": {func(c *modeltest.Checkpoint) {
			c.Config = map[string]any{"auto_map": map[string]any{"AutoModelForCausalLM": "modeling_qwen.Qwen2ForCausalLM"}}
		}, models.ErrUnsupported, "auto_map"},
		"window of layers": {func(c *modeltest.Checkpoint) {
			c.Config = map[string]any{"layer_types": []string{"full_attention", "sliding_attention"}}
		}, models.ErrUnsupported, "sliding"},
		"other layers": {func(c *modeltest.Checkpoint) {
			c.Config = map[string]any{"layer_types": []string{"full_attention", "linear_attention"}}
		}, models.ErrUnsupported, "linear_attention"},
		"experts": {func(c *modeltest.Checkpoint) {
			c.Config = map[string]any{"model_type": "qwen2_moe", "architectures": []string{"Qwen2MoeForCausalLM"}}
		}, models.ErrUnsupported, "Qwen2MoeForCausalLM"},
		"head_dim":     {func(c *modeltest.Checkpoint) { c.Config = map[string]any{"head_dim": 16} }, models.ErrUnsupported, "head_dim"},
		"heads":        {func(c *modeltest.Checkpoint) { c.Config = map[string]any{"num_attention_heads": 3} }, models.ErrFormat, "do not divide"},
		"layers":       {func(c *modeltest.Checkpoint) { c.Config = map[string]any{"num_hidden_layers": 3} }, models.ErrFormat, "model.layers.2.input_layernorm.weight is missing"},
		"fewer layers": {func(c *modeltest.Checkpoint) { c.Config = map[string]any{"num_hidden_layers": 1} }, models.ErrUnsupported, "model.layers.1"},
		"missing":      {func(c *modeltest.Checkpoint) { c.Edit = drop("model.layers.1.self_attn.k_proj.bias") }, models.ErrFormat, "model.layers.1.self_attn.k_proj.bias is missing"},
		"shape":        {func(c *modeltest.Checkpoint) { c.Config = map[string]any{"intermediate_size": 49} }, models.ErrFormat, "gate_proj.weight has shape [48 32], but config.json asks for [49 32]"},
		"vocab":        {func(c *modeltest.Checkpoint) { c.Config = map[string]any{"vocab_size": 302} }, models.ErrFormat, "embed_tokens"},
		"extra": {func(c *modeltest.Checkpoint) {
			c.Edit = func(l []safetensors.Array) []safetensors.Array {
				return append(l, safetensors.Array{Name: "model.layers.0.extra", Shape: []int64{1}, Values: []float32{0}})
			}
		}, models.ErrUnsupported, "model.layers.0.extra"},
		"dtype": {func(c *modeltest.Checkpoint) {
			c.Edit = func(l []safetensors.Array) []safetensors.Array {
				l[3].DType, l[3].Raw = "I8", make([]byte, len(l[3].Values))
				return l
			}
		}, models.ErrUnsupported, "I8"},
		"tied head": {func(c *modeltest.Checkpoint) { c.Config = map[string]any{"tie_word_embeddings": true} }, models.ErrFormat, "lm_head.weight differs"},
		"eos":       {func(c *modeltest.Checkpoint) { c.Tokens = 301; c.Config = map[string]any{"bos_token_id": 301} }, models.ErrFormat, "bos_token"},
	} {
		t.Run(name, func(t *testing.T) {
			checkpoint := small()
			c.edit(&checkpoint)
			err := withoutOutput(t, writeCheckpoint(t, checkpoint), context.Background(), models.ConvertOptions{})
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// Damage to the tokeniser's files.
func TestTokenizerRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		kind     error
		want     string
	}{
		"pre-tokeniser":  {`\\p{N}|`, `\\p{N}{1,3}|`, models.ErrUnsupported, "pre_tokenizer"},
		"more cuts":      {`"use_regex": false`, `"use_regex": true`, models.ErrUnsupported, "pre_tokenizer"},
		"prefix space":   {`"use_regex": false`, `"use_regex": false, "add_prefix_space": true`, models.ErrUnsupported, "pre_tokenizer"},
		"inverted":       {`"invert": false`, `"invert": true`, models.ErrUnsupported, "pre_tokenizer"},
		"removed":        {`"Isolated"`, `"Removed"`, models.ErrUnsupported, "pre_tokenizer"},
		"a third step":   {`"pretokenizers": [`, `"pretokenizers": [{"type": "Digits"},`, models.ErrUnsupported, "pre_tokenizer"},
		"normaliser":     {`"version": "1.0"`, `"normalizer": {"type": "NFKC"}`, models.ErrUnsupported, "NFKC"},
		"first token":    {`"version": "1.0"`, `"post_processor": {"type": "TemplateProcessing"}`, models.ErrUnsupported, "TemplateProcessing"},
		"no merging":     {`"type": "BPE"`, `"type": "BPE", "ignore_merges": true`, models.ErrUnsupported, "ignore_merges"},
		"bytes":          {`"type": "BPE"`, `"type": "BPE", "byte_fallback": true`, models.ErrUnsupported, "byte_fallback"},
		"suffix":         {`"type": "BPE"`, `"type": "BPE", "end_of_word_suffix": "</w>"`, models.ErrUnsupported, "end_of_word_suffix"},
		"stripped":       {`"special": true`, `"special": true, "lstrip": true`, models.ErrUnsupported, "lstrip"},
		"model":          {`"BPE"`, `"Unigram"`, models.ErrUnsupported, "Unigram"},
		"duplicate":      {`"!": 0`, `"!": 0, "!": 0`, models.ErrFormat, "twice"},
		"two texts":      {`"!": 0`, `"!": 1`, models.ErrFormat, "id 1 belongs to both"},
		"id":             {`"!": 0`, `"!": 5000`, models.ErrFormat, "5000"},
		"merge":          {`"a a"`, `"aa"`, models.ErrFormat, "merge"},
		"unknown result": {`"a a"`, `"# !"`, models.ErrFormat, "lacks"},
		"json":           {`"BPE"`, `"BPE`, models.ErrFormat, "tokenizer.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeCheckpoint(t, small())
			path := filepath.Join(dir, "tokenizer.json")
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(raw, []byte(c.old)) {
				t.Fatalf("%s is not in tokenizer.json", c.old)
			}
			if err := os.WriteFile(path, bytes.Replace(raw, []byte(c.old), []byte(c.new), 1), 0o666); err != nil {
				t.Fatal(err)
			}
			err = withoutOutput(t, dir, context.Background(), models.ConvertOptions{})
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestConvertStops(t *testing.T) {
	dir := writeCheckpoint(t, small())
	ctx, cancel := context.WithCancel(context.Background())
	err := withoutOutput(t, dir, ctx, models.ConvertOptions{Progress: func(done, _ int64) {
		if done > 1000 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := withoutOutput(t, dir, context.Background(), models.ConvertOptions{Type: "q4"}); !errors.Is(err, models.ErrUnsupported) {
		t.Errorf("unknown type: %v", err)
	}
	c := small()
	c.Edit = func(l []safetensors.Array) []safetensors.Array {
		l[1].Values[0], l[4].Values[5] = 1e6, 1e6 // a norm, which stays F32, and a matrix
		return l
	}
	err = withoutOutput(t, writeCheckpoint(t, c), context.Background(), models.ConvertOptions{Type: models.TypeF16})
	var r *gguf.RangeError
	if !errors.As(err, &r) || !strings.Contains(err.Error(), "element 5") || !strings.Contains(err.Error(), "blk.0.attn_") {
		t.Errorf("overflow: %v", err)
	}
	if err := withoutOutput(t, filepath.Join(dir, "nowhere"), context.Background(), models.ConvertOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

// A model's name comes from the options, the checkpoint, or the directory, also
// the Hub's cache with its commits for names.
func TestModelName(t *testing.T) {
	for _, c := range []struct {
		dir  string
		path any
		want string
	}{
		{"plain", nil, "plain"}, {"plain", "Qwen/Qwen2.5-7B", "Qwen2.5-7B"}, {"plain", "/home/x/y", "plain"},
		{"models--Qwen--Qwen2.5-0.5B/snapshots/c54f2e6e", nil, "Qwen2.5-0.5B"},
	} {
		checkpoint := small()
		checkpoint.Config = map[string]any{"_name_or_path": c.path}
		dir, out := filepath.Join(t.TempDir(), c.dir), filepath.Join(t.TempDir(), "x.gguf")
		if err := errors.Join(checkpoint.Write(dir), models.Convert(context.Background(), dir, out, models.ConvertOptions{})); err != nil {
			t.Fatal(err)
		}
		i, err := models.Inspect(out)
		if err != nil || i.Name != c.want {
			t.Errorf("%s with %v: name %q, %v; want %q", c.dir, c.path, i.Name, err, c.want)
		}
	}
}

// Newer tokenizer.json files store merges as pairs; the result is the same.
func TestMergesAsPairs(t *testing.T) {
	dir := writeCheckpoint(t, small())
	path := filepath.Join(dir, "tokenizer.json")
	before, after := filepath.Join(t.TempDir(), "x.gguf"), filepath.Join(t.TempDir(), "x.gguf")
	if err := models.Convert(context.Background(), dir, before, models.ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	raw, err := os.ReadFile(path)
	if err := errors.Join(err, json.Unmarshal(raw, &file)); err != nil {
		t.Fatal(err)
	}
	model := file["model"].(map[string]any)
	var pairs [][]string
	for _, m := range model["merges"].([]any) {
		pairs = append(pairs, strings.Split(m.(string), " "))
	}
	model["merges"] = pairs
	if err := errors.Join(modeltest.WriteJSON(path, file), models.Convert(context.Background(), dir, after, models.ConvertOptions{})); err != nil {
		t.Fatal(err)
	}
	a, errA := os.ReadFile(before)
	b, errB := os.ReadFile(after)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("pairs give another file: %v, %v", errA, errB)
	}
}

// A tied checkpoint may repeat the embedding as its head.
func TestTiedHeadRepeated(t *testing.T) {
	c := small()
	c.Shape.Tied = true
	c.Edit = func(l []safetensors.Array) []safetensors.Array {
		head := l[0]
		head.Name = "lm_head.weight"
		return append(l, head)
	}
	out := filepath.Join(t.TempDir(), "x.gguf")
	if err := models.Convert(context.Background(), writeCheckpoint(t, c), out, models.ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Tensor("output.weight") != nil {
		t.Error("a head was written")
	}
}

// Qwen2's configuration has a window of 4,096 tokens where the file names none.
func TestDefaultWindow(t *testing.T) {
	for context, refused := range map[int]bool{4096: false, 8192: true} {
		c := small()
		c.Config = map[string]any{"use_sliding_window": true, "max_position_embeddings": context}
		dir := writeCheckpoint(t, c)
		path := filepath.Join(dir, "config.json")
		var config map[string]any
		raw, err := os.ReadFile(path)
		if err := errors.Join(err, json.Unmarshal(raw, &config)); err != nil {
			t.Fatal(err)
		}
		delete(config, "sliding_window")
		if err := modeltest.WriteJSON(path, config); err != nil {
			t.Fatal(err)
		}
		err = models.Convert(t.Context(), dir, filepath.Join(t.TempDir(), "x.gguf"), models.ConvertOptions{})
		if refused != errors.Is(err, models.ErrUnsupported) || !refused && err != nil {
			t.Errorf("a context of %d: %v", context, err)
		}
	}
}
