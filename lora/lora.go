// Package lora turns PEFT LoRA adapters into the GGUF adapters that llama.cpp
// loads, checks adapters against their base model, and merges them into it.
//
// Use [Resolve] where a user names an adapter: it takes a GGUF adapter or a PEFT
// directory, checks it against the base, and returns a GGUF path. [Convert]
// writes the GGUF where it is told to, [Merge] a model with adapters added in.
//
// An adapter adds scale x B x A to a weight W of shape [out x in], A being
// [rank x in] and B [out x rank]. PEFT's scale is alpha / rank, or
// alpha / sqrt(rank) with use_rslora, each possibly per module. llama.cpp knows
// one alpha for the file and computes alpha / rank per tensor; Convert chooses
// the alpha that is right for most modules and multiplies the B of the others
// by what is missing.
package lora

import (
	"errors"
	"fmt"

	"personaprobe/models/gguf"
)

// ErrMismatch means that an adapter does not belong to the base model it was
// given with. The error is a *MismatchError.
var ErrMismatch = errors.New("adapter does not fit the base model")

// MismatchError says which tensor does not fit.
type MismatchError struct {
	Tensor  string  // the base tensor's GGUF name
	A, B    []int64 // shapes of the adapter's factors in ggml's order, nil if not the matter
	Base    []int64 // shape of the base tensor in ggml's order, nil if it has none
	Problem string
}

func (e *MismatchError) Error() string {
	text := fmt.Sprintf("%v: tensor %s: %s", ErrMismatch, e.Tensor, e.Problem)
	if e.A != nil {
		text += fmt.Sprintf(": lora_a %s, lora_b %s", gguf.FormatShape(e.A), gguf.FormatShape(e.B))
	}
	if e.Base != nil {
		text += fmt.Sprintf(", base weight %s", gguf.FormatShape(e.Base))
	}
	return text
}

// Is makes errors.Is(err, ErrMismatch) true.
func (e *MismatchError) Is(target error) bool { return target == ErrMismatch }
