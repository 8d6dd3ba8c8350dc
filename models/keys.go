package models

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"personaprobe/models/gguf"
)

// llama.cpp's own limits, which it checks by ending the process.
const (
	tensorAlignment = 32
	maxExperts      = 512
	maxFileType     = 1<<11 - 1 // of enum llama_ftype
	defaultToken    = 11
)

// ropeScalings are the names that llama.cpp knows.
var ropeScalings = []string{"none", "linear", "yarn", "longrope"}

// checkKeys checks metadata that llama.cpp reads whatever the architecture, and ends the
// process over instead of returning an error.
func (r *Report) checkKeys(f *gguf.File) {
	if a := f.Alignment(); a%tensorAlignment != 0 {
		r.problem("", "tensors are aligned to %d bytes, not to a multiple of %d", a, tensorAlignment)
	}
	if v, ok := f.Value("general.file_type"); ok {
		if n, ok := f.Uint("general.file_type"); !ok || n > maxFileType {
			r.problem("", "general.file_type is %s, which cannot be", oneLine(fmt.Sprint(v)))
		}
	}
	if name, ok := f.String(f.ArchKey("rope.scaling.type")); ok && !slices.Contains(ropeScalings, name) {
		r.problem("", "%s is %q, not one of %s", f.ArchKey("rope.scaling.type"), name, strings.Join(ropeScalings, ", "))
	}
	if v, ok := f.Value(f.ArchKey("block_count")); ok {
		if n, ok := f.Uint(f.ArchKey("block_count")); !ok || n < 1 || n > maxLayers {
			r.problem("", "%s is %s, not between 1 and %d", f.ArchKey("block_count"), oneLine(fmt.Sprint(v)), maxLayers)
		}
	}
	for _, key := range []string{"attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"} {
		if v, ok := f.Float(f.ArchKey(key)); ok && !(v >= 0 && v < 1) {
			r.problem("", "%s is %g, not between 0 and 1", f.ArchKey(key), v)
		}
	}
	count := func(key string) uint64 { n, _ := f.Uint(f.ArchKey(key)); return n }
	n, used, groups, groupsUsed := count("expert_count"), count("expert_used_count"), count("expert_group_count"), count("expert_group_used_count")
	if n > maxExperts || used > n || n == 0 && groups > 0 || n > 0 && (used == 0 || groups >= n) ||
		groups > 1 && (n%groups != 0 || groupsUsed == 0 || groupsUsed >= groups) {
		r.problem("", "%d experts, %d used, in %d groups, %d used, contradict each other", n, used, groups, groupsUsed)
	}
}

// checkQwen2Keys checks that the architecture's metadata is what its shape says, and that
// there is nothing else: llama.cpp reads many keys that these models do not have, and
// believes them.
func (r *Report) checkQwen2Keys(f *gguf.File, s *Shape) {
	for _, kv := range f.Metadata {
		key, ok := strings.CutPrefix(kv.Key, arch+".")
		if !ok {
			continue
		}
		good := true
		switch key {
		case "block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv",
			"rope.freq_base", "attention.layer_norm_rms_epsilon", "rope.scaling.type": // by ShapeOf and checkKeys
		case "attention.key_length", "attention.value_length", "rope.dimension_count":
			n, ok := f.Uint(kv.Key)
			good = ok && n == uint64(s.HeadDim()) //nolint:gosec // Validate bounds it
		case "vocab_size":
			n, ok := f.Uint(kv.Key)
			good = ok && n == uint64(s.Vocab) //nolint:gosec // as above
		case "rope.scaling.factor", "rope.scaling.attn_factor", "rope.scale_linear":
			v, ok := f.Float(kv.Key)
			good = ok && v > 0 && v <= math.MaxFloat32
		case "rope.scaling.original_context_length":
			n, ok := f.Uint(kv.Key)
			good = ok && n > 0 && n <= 1<<31
		case "rope.scaling.finetuned":
			_, good = kv.Value.(bool)
		case "attention.causal":
			good = kv.Value == true
		default:
			r.problem("", "%s is no key of this architecture", kv.Key)
		}
		if !good {
			r.problem("", "%s is %s, which cannot be", kv.Key, oneLine(fmt.Sprint(kv.Value)))
		}
	}
}

// checkVocabularyTypes checks the lists of a vocabulary that llama.cpp reads without
// asking for their types or lengths.
func (r *Report) checkVocabularyTypes(f *gguf.File, tokens int) {
	if v, ok := f.Value("tokenizer.ggml.token_type"); ok {
		if types, ok := v.([]int32); !ok || len(types) != tokens {
			r.problem("", "tokenizer.ggml.token_type does not have one int32 for each of %d tokens", tokens)
		}
	}
	if v, ok := f.Value("tokenizer.ggml.scores"); ok {
		if scores, ok := v.([]float32); !ok || len(scores) != tokens {
			r.problem("", "tokenizer.ggml.scores does not have one float32 for each of %d tokens", tokens)
		}
	}
	if v, ok := f.Value("tokenizer.ggml.merges"); ok {
		if _, ok := v.([]string); !ok {
			r.problem("", "tokenizer.ggml.merges is no list of texts")
		}
	}
	if _, ok := f.Value("tokenizer.ggml.precompiled_charsmap"); ok {
		r.problem("", "tokenizer.ggml.precompiled_charsmap: such tokenizers are not used here")
	}
}

// checkTypes checks that tensors have types that llama.cpp computes with, whatever the
// architecture: it crashes with others.
func (r *Report) checkTypes(f *gguf.File) {
	for _, t := range f.Tensors {
		switch {
		case len(t.Shape) <= 1 && t.Type != gguf.F32:
			r.problem(t.Name, "has type %s; llama.cpp wants vectors as F32", t.Type)
		case !canMultiply(t.Type):
			r.problem(t.Name, "has type %s, which llama.cpp cannot multiply with", t.Type)
		}
	}
	if e := f.Tensor("token_embd.weight"); e != nil && len(e.Shape) != 2 {
		r.problem(e.Name, "has shape %s, not two dimensions", gguf.FormatShape(e.Shape))
	}
}

// canMultiply reports whether llama.cpp multiplies with matrices of a type. It crashes
// with those that it has for other ends.
func canMultiply(t gguf.Type) bool {
	switch t.String() {
	case "I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K":
		return false
	}
	return true
}
