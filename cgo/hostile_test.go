package llama_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	llama "personaprobe/cgo"
	"personaprobe/internal/tinytest"
	"personaprobe/lora"
	"personaprobe/models"
	"personaprobe/models/gguf"
)

// hostile is a model or adapter file taken apart, to be put together wrongly.
type hostile struct {
	metadata []gguf.KV
	tensors  []gguf.TensorInfo
	data     [][]byte
}

// as is the model under another architecture's name, whose tensors are the same.
func (h hostile) as(arch string) hostile {
	h.metadata = slices.Clone(h.metadata)
	for i, kv := range h.metadata {
		if key, ok := strings.CutPrefix(kv.Key, "qwen2."); ok {
			h.metadata[i].Key = arch + "." + key
		}
		if kv.Key == "general.architecture" {
			h.metadata[i].Value = arch
		}
	}
	return h
}

func takeApart(t *testing.T, path string) hostile {
	t.Helper()
	f, err := gguf.Open(path)
	must(t, err)
	defer f.Close()
	h := hostile{metadata: f.Metadata}
	for _, x := range f.Tensors {
		raw, err := x.Raw()
		must(t, err)
		h.tensors, h.data = append(h.tensors, x.TensorInfo), append(h.data, raw)
	}
	return h
}

// write puts the file together, with data cut or repeated to what the tensors say.
func (h hostile) write(path string) error {
	w, err := gguf.Create(path, h.metadata, h.tensors, nil)
	if err != nil {
		return err
	}
	defer w.Abort()
	for i, x := range h.tensors {
		if x.Bytes() > 64<<20 {
			return fmt.Errorf("%d bytes", x.Bytes())
		}
		raw := bytes.Repeat(h.data[i], int(x.Bytes())/len(h.data[i])+1)
		if err := w.WriteAt(i, raw[:x.Bytes()], 0); err != nil {
			return err
		}
	}
	return w.Commit()
}

// An edit is one damage, with its name.
type edit struct {
	name  string
	apply func(h *hostile)
}

func setKey(key string, value any) edit {
	return edit{fmt.Sprintf("%s=%.40s (%T)", key, fmt.Sprint(value), value), func(h *hostile) {
		h.metadata = slices.Clone(h.metadata)
		for i := range h.metadata {
			if h.metadata[i].Key == key {
				h.metadata[i].Value = value
				return
			}
		}
		h.metadata = append(h.metadata, gguf.KV{Key: key, Value: value})
	}}
}

// metadataEdits are damages to every key there is, and keys that llama.cpp knows of and
// that a file of this kind does not have.
func metadataEdits(h hostile, arch string) []edit {
	var out []edit
	for i, kv := range h.metadata {
		out = append(out, edit{"no " + kv.Key, func(h *hostile) { h.metadata = slices.Delete(slices.Clone(h.metadata), i, i+1) }})
		for _, v := range wrongValues(kv.Value) {
			out = append(out, setKey(kv.Key, v))
		}
	}
	for key, values := range map[string][]any{
		"general.alignment":                         {uint32(0), uint32(1), uint32(7), uint32(4096), "32"},
		"split.count":                               {uint16(2), uint16(65535)},
		"ARCH.rope.dimension_count":                 {uint32(0), uint32(7), uint32(64), uint32(math.MaxUint32)},
		"ARCH.rope.scaling.type":                    {"yarn", "linear", "longrope", "nonsense"},
		"ARCH.rope.scaling.factor":                  {float32(0), float32(math.NaN()), float32(-1)},
		"ARCH.rope.dimension_sections":              {[]int32{1, 2, 3, 4}, []int32{}},
		"ARCH.attention.key_length":                 {uint32(0), uint32(1), uint32(128), uint32(math.MaxUint32)},
		"ARCH.attention.value_length":               {uint32(0), uint32(3), uint32(1 << 20)},
		"ARCH.attention.sliding_window":             {uint32(0), uint32(1), uint32(math.MaxUint32)},
		"ARCH.attention.causal":                     {false},
		"ARCH.attention.clamp_kqv":                  {float32(math.Inf(1))},
		"ARCH.attention.max_alibi_bias":             {float32(8)},
		"ARCH.expert_count":                         {uint32(1), uint32(8), uint32(math.MaxUint32)},
		"ARCH.expert_used_count":                    {uint32(9)},
		"ARCH.vocab_size":                           {uint32(0), uint32(1), uint32(math.MaxUint32)},
		"ARCH.pooling_type":                         {uint32(99)},
		"ARCH.decoder_start_token_id":               {uint32(1 << 30)},
		"ARCH.embedding_length_per_layer_input":     {uint32(1 << 20)},
		"ARCH.classifier.output_labels":             {[]string{}, []string{"a"}},
		"tokenizer.ggml.model":                      {"llama", "bert", "t5", "rwkv", "plamo2", "none", "no_vocab"},
		"tokenizer.ggml.pre":                        {"default", "llama-bpe", "qwen2", "gpt-2", "tekken"},
		"tokenizer.ggml.scores":                     {[]float32{}, []float32{1}, "x"},
		"tokenizer.ggml.precompiled_charsmap":       {[]uint8{255, 255, 255, 255}},
		"tokenizer.ggml.add_bos_token":              {true, uint32(1)},
		"tokenizer.ggml.add_space_prefix":           {true},
		"tokenizer.ggml.bos_token_id":               {uint32(0), uint32(math.MaxUint32), int32(-1), int32(-2)},
		"tokenizer.ggml.unknown_token_id":           {uint32(0), uint32(99999), uint32(math.MaxUint32)},
		"tokenizer.ggml.seperator_token_id":         {uint32(99999)},
		"tokenizer.ggml.mask_token_id":              {uint32(99999)},
		"tokenizer.ggml.fim_pre_token_id":           {uint32(99999)},
		"tokenizer.ggml.token_type_count":           {uint32(1 << 30)},
		"tokenizer.ggml.suppress_tokens":            {[]int32{-5, 1 << 30}},
		"ARCH.attention.head_count_kv":              {[]uint32{}, []uint32{1}, []uint32{0, 0, 0}},
		"ARCH.feed_forward_length":                  {[]uint32{1, 2}},
		"ARCH.attention.layer_norm_rms_epsilon":     {float64(1e-6)},
		"ARCH.rope.scaling.original_context_length": {uint32(0)},
	} {
		for _, v := range values {
			out = append(out, setKey(strings.Replace(key, "ARCH", arch, 1), v))
		}
	}
	slices.SortFunc(out, func(a, b edit) int { return strings.Compare(a.name, b.name) }) // a map has no order
	return out
}

// wrongValues are values that a key with this one should not have.
func wrongValues(value any) []any {
	switch v := value.(type) {
	case uint32:
		return []any{uint32(0), uint32(1), v - 1, v + 1, 2 * v, uint32(math.MaxInt32), uint32(math.MaxUint32), int32(-1), uint64(1 << 40), "text", float32(v), []uint32{v}}
	case float32:
		return []any{float32(0), -v, float32(math.NaN()), float32(math.Inf(1)), float32(math.MaxFloat32), uint32(1), "text"}
	case bool:
		return []any{!v, uint32(7), "text"}
	case string:
		return []any{"", "\x00", "\xff\xfe", v + "x", strings.Repeat("y", 1<<16), uint32(3), []string{v}, "{% for i in range(10) %}"}
	case []string:
		if len(v) == 0 {
			return nil
		}
		odd := func(text string) []string { c := slices.Clone(v); c[len(c)/2] = text; return c }
		return []any{[]string{}, v[:1], v[:len(v)-1], append(slices.Clone(v), "more"), append(slices.Clone(v), v...), odd(""), odd("\x00"),
			odd("\xff\xfe\xfd"), odd(strings.Repeat("z", 1<<20)), odd(v[0]), odd(v[0] + "\x00"), odd(" "), odd("a b c"), odd("no_space"), []int32{1, 2}, "text"}
	case []int32:
		if len(v) == 0 {
			return nil
		}
		all := func(x int32) []int32 { return slices.Repeat([]int32{x}, len(v)) }
		return []any{[]int32{}, v[:1], v[:len(v)-1], append(slices.Clone(v), 1), all(-1), all(math.MaxInt32), all(0), all(2), all(3), all(4), all(6), []float32{1}, "text"}
	}
	return []any{"text", uint32(0)}
}

// tensorEdits are damages to one tensor of every kind.
func tensorEdits(h hostile) []edit {
	var out []edit
	for i, x := range h.tensors {
		if strings.HasPrefix(x.Name, "blk.") && !strings.HasPrefix(x.Name, "blk.2.") {
			continue
		}
		change := func(what string, f func(x *gguf.TensorInfo)) {
			out = append(out, edit{x.Name + " " + what, func(h *hostile) {
				h.tensors = slices.Clone(h.tensors)
				h.tensors[i].Shape = slices.Clone(x.Shape)
				f(&h.tensors[i])
			}})
		}
		out = append(out, edit{"no " + x.Name, func(h *hostile) {
			h.tensors, h.data = slices.Delete(slices.Clone(h.tensors), i, i+1), slices.Delete(slices.Clone(h.data), i, i+1)
		}}, edit{x.Name + " twice", func(h *hostile) {
			more := x
			more.Name = strings.Replace(x.Name, "blk.2.", "blk.27.", 1) + "x"
			h.tensors, h.data = append(slices.Clone(h.tensors), more), append(slices.Clone(h.data), h.data[i])
		}})
		change("renamed", func(x *gguf.TensorInfo) { x.Name = strings.ToUpper(x.Name) })
		change("longer", func(x *gguf.TensorInfo) { x.Shape[0] *= 2 })
		change("shorter", func(x *gguf.TensorInfo) { x.Shape[0] = max(32, x.Shape[0]/64*32) })
		change("turned", func(x *gguf.TensorInfo) { slices.Reverse(x.Shape) })
		change("of more dimensions", func(x *gguf.TensorInfo) { x.Shape = append(x.Shape, 2) })
		change("a scalar", func(x *gguf.TensorInfo) { x.Shape = nil })
		for kind := range gguf.Type(64) {
			if kind != x.Type && kind.Known() && x.Shape[0]%kind.BlockSize() == 0 {
				change("as "+kind.String(), func(x *gguf.TensorInfo) { x.Type = kind })
			}
		}
	}
	return out
}

// use does with an opened model what a run does.
func use(m *llama.Model, adapter string) error {
	c, err := m.NewContext(llama.ContextOptions{Sequences: 2, Cells: 64, Batch: 64, Threads: 1, KVType: llama.TypeF16})
	if err != nil {
		return err
	}
	defer c.Close()
	if adapter != "" {
		a, err := m.OpenAdapter(adapter)
		if err != nil {
			return err
		}
		defer a.Close()
		if err := c.SetAdapter(a, 1); err != nil {
			return err
		}
	}
	tokens, err := m.Vocab().Tokenize("Hello <|im_start|> world 12\n", true)
	if err != nil {
		return err
	}
	var b llama.Batch
	feed(&b, 0, append(tokens[:min(len(tokens), 30)], 1, 2))
	if err := c.Decode(&b, nil); err != nil {
		return err
	}
	_, err = c.Logits()
	return err
}

// thorough asks for every case, and for other random bytes every time.
func thorough() bool { return os.Getenv("PERSONAPROBE_THOROUGH") != "" }

// TestHostileFiles gives llama.cpp every damaged model and adapter that our checks let
// pass, and uses it. llama.cpp ends the process where it does not return an error, so
// that this test fails by not ending; -v shows at which file. Without
// PERSONAPROBE_THOROUGH it tries a quarter.
func TestHostileFiles(t *testing.T) {
	files := tinytest.Files(t)
	base, err := llama.OpenModel(files.Model, llama.ModelOptions{})
	must(t, err)
	defer base.Close()
	dir := t.TempDir()
	path, good := filepath.Join(dir, "hostile.gguf"), filepath.Join(dir, "good.gguf")
	model := func() error {
		if err := models.CheckGGUF(path); err != nil {
			return fmt.Errorf("checks: %w", err)
		}
		m, err := llama.OpenModel(path, llama.ModelOptions{})
		if err != nil {
			return err
		}
		defer m.Close()
		return use(m, "")
	}
	adapter := func() error {
		if _, err := lora.Check(path, files.Model); err != nil {
			return fmt.Errorf("checks: %w", err)
		}
		return use(base, path)
	}
	for _, kind := range []struct {
		name, path, arch string
		try              func() error
	}{
		{"model", files.Model, "qwen2", model},
		{"model of another architecture", files.Model, "llama", model},
		{"adapter", files.Adapters["villain"], "qwen2", adapter},
	} {
		h := takeApart(t, kind.path).as(kind.arch)
		must(t, h.write(path))
		must(t, kind.try()) // undamaged
		var count struct{ checks, llama, used, cases int }
		try := func(name string) {
			t.Logf("%s: %s", kind.name, name)
			switch err := kind.try(); {
			case err == nil:
				count.used++
			case strings.HasPrefix(err.Error(), "checks: "):
				count.checks++
			default:
				count.llama++
			}
		}
		for i, e := range append(metadataEdits(h, kind.arch), tensorEdits(h)...) {
			if !thorough() && i%4 != 0 {
				continue
			}
			damaged := h
			e.apply(&damaged)
			if damaged.write(path) == nil { // else it is nothing that can be written down
				try(e.name)
				count.cases++
			}
		}
		must(t, h.write(good))
		flips(t, good, path, func(name string) { try(name); count.cases++ })
		t.Logf("%s: %d cases: %d refused by the checks, %d by llama.cpp, %d used", kind.name, count.cases, count.checks, count.llama, count.used)
		if count.checks < count.cases/4 || count.used == 0 {
			t.Errorf("%s: %+v", kind.name, count)
		}
	}
}

// flips changes bytes of the header at random.
func flips(t *testing.T, good, path string, try func(name string)) {
	f, err := gguf.Open(good)
	must(t, err)
	header := int(f.Tensors[0].Offset)
	must(t, f.Close())
	raw, err := os.ReadFile(good)
	must(t, err)
	n, seed := 100, uint64(1)
	if thorough() {
		n, seed = 2000, rand.Uint64()
	}
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range n {
		damaged := slices.Clone(raw)
		for range 1 + r.IntN(3) {
			damaged[r.IntN(header)] = byte(r.Uint32())
		}
		must(t, os.WriteFile(path, damaged, 0o600))
		try(fmt.Sprintf("bytes of the header, seed %d, case %d", seed, i))
	}
}
