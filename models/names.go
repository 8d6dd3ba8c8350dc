package models

import (
	"regexp"
	"strings"
)

// layerNames pairs the tensors of a decoder layer under their Hugging Face and
// GGUF names, without the layer's prefix.
var layerNames = [][2]string{
	{"input_layernorm.weight", "attn_norm.weight"},
	{"self_attn.q_proj.weight", "attn_q.weight"},
	{"self_attn.q_proj.bias", "attn_q.bias"},
	{"self_attn.k_proj.weight", "attn_k.weight"},
	{"self_attn.k_proj.bias", "attn_k.bias"},
	{"self_attn.v_proj.weight", "attn_v.weight"},
	{"self_attn.v_proj.bias", "attn_v.bias"},
	{"self_attn.o_proj.weight", "attn_output.weight"},
	{"post_attention_layernorm.weight", "ffn_norm.weight"},
	{"mlp.gate_proj.weight", "ffn_gate.weight"},
	{"mlp.up_proj.weight", "ffn_up.weight"},
	{"mlp.down_proj.weight", "ffn_down.weight"},
}

// outerNames pairs the tensors outside the layers.
var outerNames = [][2]string{
	{"model.embed_tokens.weight", "token_embd.weight"},
	{"model.norm.weight", "output_norm.weight"},
	{"lm_head.weight", "output.weight"},
}

var (
	hfLayer   = regexp.MustCompile(`^model\.layers\.(0|[1-9]\d*)\.(.+)$`)
	ggufLayer = regexp.MustCompile(`^blk\.(0|[1-9]\d*)\.(.+)$`)
)

// GGUFName translates a Qwen2 tensor's Hugging Face name, such as
// "model.layers.3.mlp.up_proj.weight", to its GGUF name, "blk.3.ffn_up.weight".
func GGUFName(hf string) (name string, ok bool) {
	return translate(hf, hfLayer, "blk.", 0)
}

// HFName is the inverse of GGUFName.
func HFName(name string) (hf string, ok bool) {
	return translate(name, ggufLayer, "model.layers.", 1)
}

func translate(name string, layer *regexp.Regexp, prefix string, from int) (string, bool) {
	names, head := outerNames, ""
	if m := layer.FindStringSubmatch(name); m != nil {
		names, head, name = layerNames, prefix+m[1]+".", m[2]
	}
	for _, pair := range names {
		if pair[from] == name {
			return head + pair[1-from], true
		}
	}
	return "", false
}

// IsVector reports whether a Qwen2 tensor of this GGUF name is a norm or a bias,
// which llama.cpp wants as F32.
func IsVector(name string) bool {
	return strings.HasSuffix(name, ".bias") || strings.HasSuffix(name, "_norm.weight")
}
