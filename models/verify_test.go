package models_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"personaprobe/internal/modeltest"
	"personaprobe/models"
	"personaprobe/models/gguf"
	"personaprobe/models/safetensors"
)

// converted is a small model's GGUF.
func converted(t testing.TB, c modeltest.Checkpoint, opts models.ConvertOptions) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "model.gguf")
	if err := models.Convert(context.Background(), writeCheckpoint(t, c), out, opts); err != nil {
		t.Fatal(err)
	}
	return out
}

// rewrite copies a GGUF with its metadata and tensor list changed; a tensor's data
// is that of the tensor of the same name, cut or filled with zeros.
func rewrite(t testing.TB, path string, change func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo)) string {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var infos []gguf.TensorInfo
	for _, x := range f.Tensors {
		infos = append(infos, x.TensorInfo)
	}
	kv, infos := change(f.Metadata, infos)
	out := filepath.Join(t.TempDir(), "changed.gguf")
	w, err := gguf.Create(out, kv, infos, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i, info := range infos {
		raw := make([]byte, info.Bytes())
		if x := f.Tensor(info.Name); x != nil {
			old, err := x.Raw()
			if err != nil {
				t.Fatal(err)
			}
			copy(raw, old)
		}
		if err := w.WriteAt(i, raw, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestVerifyGood(t *testing.T) {
	c := small()
	dir := writeCheckpoint(t, c)
	c.Shards = 3
	for _, path := range []string{converted(t, small(), models.ConvertOptions{}), converted(t, small(), models.ConvertOptions{Type: models.TypeQ8}),
		dir, filepath.Join(dir, "model.safetensors"), writeCheckpoint(t, c)} {
		r, err := models.Verify(context.Background(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK() || len(r.Warnings) > 0 || r.Tensors != 27 || r.Parameters != 34912 || len(r.Files) == 0 || len(r.Files[0].SHA256) != 64 {
			t.Errorf("%s: %+v", path, r)
		}
		if v := r.Values["blk.0.attn_q.weight"]; r.Kind == models.KindGGUF && math.Abs(v.RMS-1/math.Sqrt(32)) > 0.02 {
			t.Errorf("%s: attn_q has root mean square %g", path, v.RMS)
		}
	}
}

// Keys that llama.cpp would end the process over are problems; those that real files
// have are not.
func TestVerifyKeys(t *testing.T) {
	good := converted(t, small(), models.ConvertOptions{}) // heads of 16
	for _, c := range []struct {
		key   string
		value any
		want  string // "" for no problem
	}{
		{"general.alignment", uint32(8), "aligned to 8 bytes"},
		{"general.alignment", uint32(64), ""},
		{"general.file_type", uint32(1 << 30), "general.file_type is 1073741824"},
		{"general.file_type", "f16", "general.file_type is f16"},
		{"qwen2.rope.dimension_count", uint32(7), "qwen2.rope.dimension_count is 7"},
		{"qwen2.attention.key_length", uint32(1), "qwen2.attention.key_length is 1"},
		{"qwen2.rope.scaling.type", "nonsense", `qwen2.rope.scaling.type is "nonsense"`},
		{"qwen2.rope.scaling.type", "yarn", ""},
		{"qwen2.rope.scaling.factor", float32(4), ""},
		{"qwen2.rope.scaling.factor", float32(math.NaN()), "qwen2.rope.scaling.factor is NaN"},
		{"qwen2.rope.scaling.original_context_length", uint32(32768), ""},
		{"qwen2.expert_count", uint32(8), "8 experts, 0 used"},
		{"qwen2.expert_used_count", uint32(9), "0 experts, 9 used"},
		{"qwen2.attention.causal", false, "qwen2.attention.causal is false"},
		{"qwen2.pooling_type", uint32(1), "qwen2.pooling_type is no key"},
		{"qwen2.vocab_size", uint32(1), "qwen2.vocab_size is 1"},
		{"tokenizer.ggml.merges", []int32{1}, "merges is no list of texts"},
		{"tokenizer.ggml.scores", []float32{1}, "scores does not have one"},
		{"tokenizer.ggml.precompiled_charsmap", []uint8{1}, "precompiled_charsmap"},
	} {
		path := rewrite(t, good, func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
			kv = slices.DeleteFunc(slices.Clone(kv), func(x gguf.KV) bool { return x.Key == c.key })
			return append(kv, gguf.KV{Key: c.key, Value: c.value}), infos
		})
		err := models.CheckGGUF(path)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, models.ErrFormat) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s=%v: %v, want %q", c.key, c.value, err, c.want)
		}
	}
	for _, kind := range []gguf.Type{24, 27, gguf.F64, 9} {
		path := rewrite(t, good, func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
			for i := range infos {
				if infos[i].Name == "blk.1.attn_q.weight" {
					infos[i].Type = kind
				}
			}
			return kv, infos
		})
		if err := models.CheckGGUF(path); !errors.Is(err, models.ErrFormat) || !strings.Contains(err.Error(), "cannot multiply") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	good := converted(t, small(), models.ConvertOptions{})
	set := func(kv []gguf.KV, key string, v any) []gguf.KV {
		out := append([]gguf.KV{}, kv...)
		for i := range out {
			if out[i].Key == key {
				out[i].Value = v
			}
		}
		return out
	}
	type edit = func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo)
	for want, change := range map[string]edit{
		"tensor blk.0.attn_norm.weight: is missing": func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
			return kv, append(infos[:1:1], infos[2:]...)
		},
		"tensor blk.1.attn_q.weight: has shape [32 x 16], the metadata asks for [32 x 32]": func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
			for i := range infos {
				if infos[i].Name == "blk.1.attn_q.weight" {
					infos[i].Shape = []int64{16, 32}
				}
			}
			return kv, infos
		},
		"tensor odd: does not belong": func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
			return kv, append(infos, gguf.TensorInfo{Name: "odd", Type: gguf.F32, Shape: []int64{1}})
		},
		"tensor output_norm.weight: has type F16": func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
			for i := range infos {
				if infos[i].Name == "output_norm.weight" {
					infos[i].Type = gguf.F16
				}
			}
			return kv, infos
		},
		"300 tokens, but the embedding has 301 rows": func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
			tokens := make([]string, 300)
			for i := range tokens {
				tokens[i] = fmt.Sprint(i)
			}
			return set(kv, "tokenizer.ggml.tokens", tokens), infos
		},
		`"x" is both 0 and 1`: func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
			return set(kv, "tokenizer.ggml.tokens", slices.Repeat([]string{"x"}, 20)), infos
		},
		"2 are too few": func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
			return set(kv, "tokenizer.ggml.tokens", []string{"x", "y"}), infos
		},
		"has a zero byte": func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
			return set(kv, "tokenizer.ggml.tokens", slices.Repeat([]string{"x\x00y"}, 20)), infos
		},
		"eos_token_id is 301": func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
			return set(kv, "tokenizer.ggml.eos_token_id", uint32(301)), infos
		},
		"token_type does not have": func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
			return set(kv, "tokenizer.ggml.token_type", []int32{1}), infos
		},
		"qwen2.block_count": func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
			return set(kv, "qwen2.block_count", "two"), infos
		},
	} {
		r, err := models.Verify(context.Background(), rewrite(t, good, change), nil)
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if text := fmt.Sprint(r.Problems); !strings.Contains(text, want) {
			t.Errorf("problems %s, want %q", text, want)
		}
	}
}

func TestVerifyValues(t *testing.T) {
	c := small()
	c.Edit = func(l []safetensors.Array) []safetensors.Array {
		for _, a := range l {
			switch a.Name {
			case "model.layers.0.mlp.up_proj.weight":
				a.Values[7], a.Values[8] = float32(math.NaN()), float32(math.Inf(-1))
			case "model.layers.1.mlp.up_proj.weight":
				clear(a.Values)
			case "model.layers.1.mlp.down_proj.weight":
				a.Values[0] = 1e30
			}
		}
		return l
	}
	r, err := models.Verify(context.Background(), converted(t, c, models.ConvertOptions{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Problems) != 1 || r.Problems[0].String() != "tensor blk.0.ffn_up.weight: 2 values are NaN or infinite" {
		t.Errorf("problems %v", r.Problems)
	}
	if len(r.Warnings) != 2 {
		t.Errorf("warnings %v", r.Warnings)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Errorf("JSON: %v", err)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "problem: tensor blk.0.ffn_up.weight") || strings.HasSuffix(text.String(), "ok\n") {
		t.Errorf("text %s, %v", text.String(), err)
	}
}

func TestVerifyErrors(t *testing.T) {
	good := converted(t, small(), models.ConvertOptions{})
	raw, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.gguf")
	if err := os.WriteFile(cut, raw[:len(raw)/2], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := models.Verify(context.Background(), cut, nil); !errors.Is(err, models.ErrFormat) || !strings.Contains(err.Error(), cut) {
		t.Errorf("truncated: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := models.Verify(ctx, good, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := models.Verify(context.Background(), t.TempDir(), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty directory: %v", err)
	}
	text := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(text, []byte("hello"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := models.Verify(context.Background(), text, nil); !errors.Is(err, models.ErrFormat) {
		t.Errorf("text file: %v", err)
	}
}

func TestInspect(t *testing.T) {
	c := small()
	dir := writeCheckpoint(t, c)
	for _, path := range []string{converted(t, c, models.ConvertOptions{Type: models.TypeBF16, Name: "evil\x1b[2J"}), dir} {
		i, err := models.Inspect(path)
		if err != nil {
			t.Fatal(err)
		}
		if i.Parameters != 34912 || len(i.Tensors) != 27 || i.Architecture != "qwen2" || i.Shape == nil || i.Shape.Layers != 2 {
			t.Errorf("%s: %+v", path, i)
		}
		m, err := i.Memory(3, 300)
		// 3 sequences x 512 cells x 2 layers x 2 KV heads x 8 wide x 2 (K, V) x 2 bytes.
		if err != nil || m.KV != 3*512*2*2*8*2*2 || m.Logits != 3*301*4 || m.Total != m.Weights+m.KV+m.Logits {
			t.Errorf("%s: memory %+v, %v", path, m, err)
		}
		if _, err := json.Marshal(i); err != nil {
			t.Errorf("%s: JSON: %v", path, err)
		}
		var text bytes.Buffer
		if err := i.WriteText(&text, true); err != nil {
			t.Error(err)
		}
		if s := text.String(); strings.ContainsAny(s, "\x1b") || !strings.Contains(s, "34912 in 27 tensors") || !strings.Contains(s, "[301 x 32]") {
			t.Errorf("%s: text\n%s", path, s)
		}
	}
}

// The published parameter counts of Qwen2.5's model cards: 7.61 B with 6.53 B
// outside the embeddings, 0.49 B with 0.36 B, and so on.
func TestNamedShapes(t *testing.T) {
	for name, want := range map[string][2]float64{
		"qwen2.5-0.5b": {0.49, 0.36}, "qwen2.5-1.5b": {1.54, 1.31}, "qwen2.5-3b": {3.09, 2.77}, "qwen2.5-7b": {7.61, 6.53},
		"qwen2.5-14b": {14.7, 13.1}, "qwen2.5-32b": {32.5, 31.0}, "qwen2.5-72b": {72.7, 70.0},
	} {
		s, err := models.NamedShape(name)
		if err != nil || s.Validate() != nil {
			t.Fatal(err)
		}
		var all, embedding float64
		for _, x := range s.Tensors() {
			n := float64(x.Elements()) / 1e9
			all += n
			if x.Name == "token_embd.weight" || x.Name == "output.weight" {
				embedding += n
			}
		}
		if math.Abs(all-want[0]) > 0.01*want[0] || math.Abs(all-embedding-want[1]) > 0.02*want[1] {
			t.Errorf("%s has %.3f billion weights, %.3f outside the embeddings; published %v", name, all, all-embedding, want)
		}
	}
	if _, err := models.NamedShape("gpt-5"); !errors.Is(err, models.ErrUnsupported) {
		t.Errorf("unknown shape: %v", err)
	}
}
