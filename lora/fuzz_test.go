package lora

import (
	"errors"
	"testing"

	"personaprobe/internal/allocs"
	"personaprobe/models"
)

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"peft_type":"LORA","r":8,"lora_alpha":16,"use_rslora":true,"target_modules":["q_proj"],"rank_pattern":{"q_proj":4},"alpha_pattern":{"^.*k":2.5},"layers_to_transform":[1]}`))
	f.Add([]byte(`{"peft_type":"LORA","target_modules":".*(?!mlp)q_proj","exclude_modules":["x"],"layers_pattern":"layers"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var c *config
		var err error
		if n := allocs.During(func() { c, err = parseConfig(raw) }); n > 1024*uint64(len(raw))+8<<20 {
			t.Fatalf("%d bytes allocated for a file of %d", n, len(raw))
		}
		if err != nil {
			if !errors.Is(err, models.ErrFormat) && !errors.Is(err, models.ErrUnsupported) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		rank, _, err := c.of("model.layers.0.self_attn.q_proj")
		if err == nil && rank < 1 {
			t.Fatalf("rank %d", rank)
		}
		_, _ = c.targets.selects("model.layers.0.self_attn.q_proj")
	})
}
