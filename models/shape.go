package models

import (
	"fmt"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
)

// Architecture is llama.cpp's name, and transformers' model_type, of the one
// architecture that is converted and that adapters are used with.
const Architecture = "qwen2"

const arch = Architecture

// Limits against absurd configurations; the largest Qwen2 has 80 layers.
const (
	maxLayers = 4096
	maxWidth  = 1 << 24
)

// Shape holds the hyper-parameters of a Qwen2 model that fix its tensors and
// its positions.
type Shape struct {
	Hidden       int64   `json:"hidden"`
	Intermediate int64   `json:"intermediate"`
	Layers       int64   `json:"layers"`
	Heads        int64   `json:"heads"`
	KVHeads      int64   `json:"kv_heads"` // 0 means Heads
	Vocab        int64   `json:"vocab"`    // rows of the embedding, padding included
	Context      int64   `json:"context"`  // tokens
	Tied         bool    `json:"tied"`     // the output head is the embedding
	RopeTheta    float64 `json:"rope_theta"`
	RMSEps       float64 `json:"rms_eps"`
}

// HeadDim returns the width of an attention head.
func (s Shape) HeadDim() int64 { return s.Hidden / s.Heads }

// Validate reports values that no Qwen2 model can have.
func (s Shape) Validate() error {
	for _, d := range []struct {
		name  string
		value int64
		limit int64
	}{
		{"hidden_size", s.Hidden, maxWidth}, {"intermediate_size", s.Intermediate, maxWidth},
		{"num_hidden_layers", s.Layers, maxLayers}, {"num_attention_heads", s.Heads, maxWidth},
		{"num_key_value_heads", s.KVHeads, maxWidth}, {"vocab_size", s.Vocab, maxWidth},
		{"max_position_embeddings", s.Context, 1 << 31},
	} {
		if d.value < 1 || d.value > d.limit {
			return fault.Formatf("%s is %d, not between 1 and %d", d.name, d.value, d.limit)
		}
	}
	if s.Hidden%s.Heads != 0 || s.Heads%s.KVHeads != 0 {
		return fault.Formatf("hidden_size %d, num_attention_heads %d and num_key_value_heads %d do not divide each other",
			s.Hidden, s.Heads, s.KVHeads)
	}
	if s.HeadDim()%2 != 0 {
		return fault.Formatf("heads of %d dimensions cannot be rotated in pairs", s.HeadDim())
	}
	if !(s.RMSEps > 0) || !(s.RopeTheta > 0) {
		return fault.Formatf("rms_norm_eps %g and rope_theta %g must be positive", s.RMSEps, s.RopeTheta)
	}
	return nil
}

// slot is one tensor of the architecture under both its names. shape is in
// ggml's order; one dimension means a vector, which is stored as F32.
type slot struct {
	hf, name string
	shape    []int64
}

// slots lists the tensors of a Qwen2 model in the order in which they are
// written. llama.cpp computes qwen2's rotation on halves (NEOX style) as
// transformers does, so no tensor is permuted.
func (s Shape) slots() []slot {
	names := []string{"token_embd.weight"}
	for i := range s.Layers {
		for _, pair := range layerNames {
			names = append(names, fmt.Sprintf("blk.%d.%s", i, pair[1]))
		}
	}
	names = append(names, "output_norm.weight")
	if !s.Tied {
		names = append(names, "output.weight")
	}
	list := make([]slot, len(names))
	for i, name := range names {
		hf, _ := HFName(name)
		list[i] = slot{hf, name, s.tensorShape(name)}
	}
	return list
}

// Tensors lists the model's tensors under their GGUF names, all of type F32, in
// the order in which Convert writes them.
func (s Shape) Tensors() []gguf.TensorInfo {
	var list []gguf.TensorInfo
	for _, t := range s.slots() {
		list = append(list, gguf.TensorInfo{Name: t.name, Type: gguf.F32, Shape: t.shape})
	}
	return list
}

// tensorShape returns the shape of a tensor of the architecture.
func (s Shape) tensorShape(name string) []int64 {
	if m := ggufLayer.FindStringSubmatch(name); m != nil {
		name = m[2]
	}
	kv := s.KVHeads * s.HeadDim()
	switch name {
	case "token_embd.weight", "output.weight":
		return []int64{s.Hidden, s.Vocab}
	case "attn_q.weight", "attn_output.weight":
		return []int64{s.Hidden, s.Hidden}
	case "attn_k.weight", "attn_v.weight":
		return []int64{s.Hidden, kv}
	case "attn_k.bias", "attn_v.bias":
		return []int64{kv}
	case "ffn_gate.weight", "ffn_up.weight":
		return []int64{s.Hidden, s.Intermediate}
	case "ffn_down.weight":
		return []int64{s.Intermediate, s.Hidden}
	}
	return []int64{s.Hidden} // norms and the query's bias
}

// metadata returns the architecture's keys.
func (s Shape) metadata() []gguf.KV {
	return []gguf.KV{
		{Key: arch + ".block_count", Value: uint32(s.Layers)},
		{Key: arch + ".context_length", Value: uint32(s.Context)},
		{Key: arch + ".embedding_length", Value: uint32(s.Hidden)},
		{Key: arch + ".feed_forward_length", Value: uint32(s.Intermediate)},
		{Key: arch + ".attention.head_count", Value: uint32(s.Heads)},
		{Key: arch + ".attention.head_count_kv", Value: uint32(s.KVHeads)},
		{Key: arch + ".rope.freq_base", Value: float32(s.RopeTheta)},
		{Key: arch + ".attention.layer_norm_rms_epsilon", Value: float32(s.RMSEps)},
	}
}
