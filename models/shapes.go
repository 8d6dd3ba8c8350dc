package models

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
)

// named are the published shapes of Qwen2.5, from their config.json (instruct
// versions), and that of the embedded model.
var named = map[string]Shape{
	"qwen2.5-0.5b": published(896, 4864, 24, 14, 2, 151936, true),
	"qwen2.5-1.5b": published(1536, 8960, 28, 12, 2, 151936, true),
	"qwen2.5-3b":   published(2048, 11008, 36, 16, 2, 151936, true),
	"qwen2.5-7b":   published(3584, 18944, 28, 28, 4, 152064, false),
	"qwen2.5-14b":  published(5120, 13824, 48, 40, 8, 152064, false),
	"qwen2.5-32b":  published(5120, 27648, 64, 40, 8, 152064, false),
	"qwen2.5-72b":  published(8192, 29568, 80, 64, 8, 152064, false),
	"tiny":         {128, 256, 28, 2, 1, 2048, 2048, false, 1e6, 1e-6},
}

func published(hidden, intermediate, layers, heads, kvHeads, vocab int64, tied bool) Shape {
	return Shape{hidden, intermediate, layers, heads, kvHeads, vocab, 32768, tied, 1e6, 1e-6}
}

// ShapeNames lists the names that NamedShape knows.
func ShapeNames() []string { return slices.Sorted(maps.Keys(named)) }

// NamedShape returns a published shape, such as "qwen2.5-7b", or "tiny".
func NamedShape(name string) (Shape, error) {
	s, ok := named[strings.ToLower(name)]
	if !ok {
		return Shape{}, fault.Unsupportedf("shape %q; known are %s", name, strings.Join(ShapeNames(), ", "))
	}
	return s, nil
}

// ShapeOf reads the shape of an open qwen2 model from its metadata.
func ShapeOf(f *gguf.File) (Shape, error) {
	if a, _ := f.String("general.architecture"); a != arch {
		return Shape{}, fault.Unsupportedf("architecture %q; only %s is known", a, arch)
	}
	var s Shape
	for _, k := range []struct {
		key string
		dst *int64
	}{
		{"embedding_length", &s.Hidden}, {"feed_forward_length", &s.Intermediate}, {"block_count", &s.Layers},
		{"attention.head_count", &s.Heads}, {"attention.head_count_kv", &s.KVHeads}, {"context_length", &s.Context},
	} {
		v, ok := f.Uint(f.ArchKey(k.key))
		if !ok || v > 1<<31 {
			return Shape{}, fault.Formatf("metadata key %s is missing or no count", f.ArchKey(k.key))
		}
		*k.dst = int64(v)
	}
	var ok bool
	if s.RopeTheta, ok = f.Float(f.ArchKey("rope.freq_base")); !ok {
		s.RopeTheta = 10000 // llama.cpp's default
	}
	s.RMSEps, _ = f.Float(f.ArchKey("attention.layer_norm_rms_epsilon"))
	s.Tied = f.Tensor("output.weight") == nil
	if embedding := f.Tensor("token_embd.weight"); embedding != nil && len(embedding.Shape) == 2 {
		s.Vocab = embedding.Shape[1]
	} else if tokens, ok := f.Strings("tokenizer.ggml.tokens"); ok {
		s.Vocab = int64(len(tokens))
	}
	if err := s.Validate(); err != nil {
		return Shape{}, fmt.Errorf("metadata: %w", err)
	}
	return s, nil
}
