package models

import "fmt"

// Memory is what a model needs to run, in bytes. llama.cpp's compute buffers,
// some hundred megabytes, come on top.
type Memory struct {
	Weights int64 `json:"weights"`
	KV      int64 `json:"kv"`     // keys and values as float16
	Logits  int64 `json:"logits"` // one float32 row per sequence
	Total   int64 `json:"total"`
}

// cellStep is the unit to which llama.cpp rounds a sequence's cells up.
const cellStep = 256

// Memory returns what the model needs for a number of sequences of up to context
// tokens each: its weights, a float16 cache of keys and values (sequences x
// context x layers x KV heads x head width x 2) and logits. It is known for qwen2
// models.
func (i *Info) Memory(sequences, context int) (Memory, error) {
	if i.Shape == nil {
		return Memory{}, fmt.Errorf("memory of %s: %w: its shape is not known", i.Path, ErrUnsupported)
	}
	if sequences < 1 || context < 1 {
		return Memory{}, fmt.Errorf("memory of %s: %d sequences of %d tokens: both must be positive", i.Path, sequences, context)
	}
	s, m := i.Shape, Memory{}
	for _, t := range i.Tensors {
		m.Weights += t.Bytes
	}
	cells := (int64(context) + cellStep - 1) / cellStep * cellStep
	m.KV = int64(sequences) * cells * s.Layers * s.KVHeads * s.HeadDim() * 2 * 2
	m.Logits = int64(sequences) * s.Vocab * 4
	m.Total = m.Weights + m.KV + m.Logits
	return m, nil
}
