package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

// StateOptions says which hidden states to read.
type StateOptions struct {
	// Adapter applies while reading; "" is the base model.
	Adapter string
	// Layers are 0-based decoder layers, each at most once; layer L means the
	// output of decoder block L, transformers' hidden_states[L+1], llama.cpp's
	// l_out-L.
	Layers []int
	// Batch is about how many tokens one pass computes; less takes less memory.
	// Default 1024.
	Batch int
	// NoSharing computes every prompt from its first token. By default the
	// beginning that neighbouring prompts have in common is computed once.
	NoSharing bool
}

// Reading is a prompt and the tokens whose states are wanted.
type Reading struct {
	Tokens []int32
	// From <= position < To, counted from the prompt's first token. Both 0: the
	// last token alone.
	From, To int
	// Mean asks for the mean over these tokens, summed in float64 from the first to
	// the last, instead of a row for each.
	Mean bool
}

// Rows is the number of rows that the reading gives at each layer.
func (r *Reading) Rows() int {
	if r.Mean || r.To == 0 {
		return 1
	}
	return r.To - r.From
}

// States reads hidden states: states[k] is layer Layers[k], (rows, hidden) float32
// row by row, see [Reading.Rows]. It calls each once per reading, one call at a
// time and in an order of its own; states is valid during the call.
//
// Several layers cost one pass, and nothing after the deepest of them is computed,
// nor any token behind the last wanted one. Results do not depend on the other
// readings nor on their order. States that are not finite are ErrBroken. At least one reading's rows at all layers are held
// in memory, and those of about Batch tokens.
func (e *Engine) States(ctx context.Context, readings []Reading, opts StateOptions,
	each func(reading int, states [][]float32) error) error {
	if err := e.checkStates(readings, &opts); err != nil {
		return err
	}
	if len(readings) == 0 || len(opts.Layers) == 0 {
		return nil
	}
	if err := e.acquire(); err != nil {
		return err
	}
	defer e.release()
	if err := e.useBase(); err != nil {
		return err
	}
	err := e.readStates(ctx, trim(readings), &opts, func(reading int, states [][]float32) error {
		if err := each(reading, states); err != nil {
			return err // first: the caller knows the prompt's name
		}
		return checkFinite(reading, opts.Layers, states)
	})
	if err != nil {
		return err
	}
	return e.Unchanged()
}

// LastStates is [Engine.States] for the last token of each prompt: states[k] is
// layer Layers[k], (hidden) float32.
func (e *Engine) LastStates(ctx context.Context, prompts [][]int32, opts StateOptions,
	each func(prompt int, states [][]float32) error) error {
	readings := make([]Reading, len(prompts))
	for i, p := range prompts {
		readings[i].Tokens = p
	}
	return e.States(ctx, readings, opts, each)
}

// ErrBroken means that what the model computed is no number: its weights are damaged, or
// activations leave the range of their type.
var ErrBroken = errors.New("the model's output is broken")

// checkFinite refuses a reading's states if one is NaN or infinite.
func checkFinite(reading int, layers []int, states [][]float32) error {
	for k, values := range states {
		for i, v := range values {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return fmt.Errorf("%w: prompt %d, layer %d: number %d of the states is %v; try personaprobe model verify",
					ErrBroken, reading, layers[k], i, v)
			}
		}
	}
	return nil
}

func (e *Engine) checkStates(readings []Reading, opts *StateOptions) error {
	for i, l := range opts.Layers {
		if l < 0 || l >= e.info.Layers {
			return fmt.Errorf("%w: layer %d: the model has decoder layers 0 to %d", ErrRequest, l, e.info.Layers-1)
		}
		if slices.Contains(opts.Layers[:i], l) {
			return fmt.Errorf("%w: layer %d is given twice", ErrRequest, l)
		}
	}
	if opts.Adapter != "" && !e.has(opts.Adapter) {
		return fmt.Errorf("%w: unknown adapter %q", ErrRequest, opts.Adapter)
	}
	if opts.Batch < 0 {
		return fmt.Errorf("%w: a batch of %d tokens", ErrRequest, opts.Batch)
	}
	for i, r := range readings {
		if err := e.checkTokens(r.Tokens); err != nil {
			return fmt.Errorf("%w: prompt %d %w", ErrRequest, i, err)
		}
		if (r.From != 0 || r.To != 0) && (r.From < 0 || r.From >= r.To || r.To > len(r.Tokens)) {
			return fmt.Errorf("%w: prompt %d has %d tokens, states of %d to %d are wanted", ErrRequest, i, len(r.Tokens), r.From, r.To-1)
		}
	}
	return nil
}

// checkTokens says what is wrong with a prompt, as the end of a sentence that begins
// with its name.
func (e *Engine) checkTokens(tokens []int32) error {
	switch {
	case len(tokens) == 0:
		return fmt.Errorf("is empty")
	case e.info.Context > 0 && len(tokens) > e.info.Context:
		return fmt.Errorf("has %d tokens, the model's context is %d", len(tokens), e.info.Context)
	}
	for i, t := range tokens {
		if t < 0 || int(t) >= e.info.Vocab {
			return fmt.Errorf("has the token %d at position %d, the vocabulary has %d", t, i, e.info.Vocab)
		}
	}
	return nil
}

// trim spells From and To out and cuts off what follows the wanted tokens: no
// earlier state depends on it.
func trim(readings []Reading) []Reading {
	out := slices.Clone(readings)
	for i := range out {
		r := &out[i]
		if r.To == 0 {
			r.From, r.To = len(r.Tokens)-1, len(r.Tokens)
		}
		r.Tokens = r.Tokens[:r.To]
	}
	return out
}
