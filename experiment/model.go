package experiment

import (
	"context"
	"iter"

	"personaprobe/engine"
)

// Model is what a study needs of a language model with its adapters loaded. Adapters
// go by [Adapter.Name]; "" is the base model.
type Model interface {
	// Generate serves the requests and yields their completions in any order, those of
	// one request not necessarily together. It may draw on requests from another
	// goroutine. When requests ends it finishes those in flight and ends; when ctx
	// ends it stops at once and yields ctx's error. An error is the last thing yielded.
	Generate(ctx context.Context, requests iter.Seq[engine.Request]) iter.Seq2[engine.Completion, error]

	// LastStates calls each once for every prompt, one call at a time and in any order,
	// with the hidden states of its last token: states[k] is the output of the decoder
	// layer with the 0-based index layers[k], HiddenSize components. The slices are
	// valid during the call only. An error from each stops it and is returned.
	LastStates(ctx context.Context, adapter string, prompts [][]engine.Message, layers []int,
		each func(prompt int, states [][]float32) error) error

	// NextLogits calls each for the last tokens of every prompt, so many or all that there
	// are, with the logits of the token that follows, one for every token of the
	// vocabulary. Of one prompt the calls come in order; otherwise it is as LastStates.
	NextLogits(ctx context.Context, adapter string, prompts [][]engine.Message, last int,
		each func(prompt, token int, logits []float32) error) error

	// Unchanged returns an error once the bytes that the model computes with may no
	// longer be those it was opened with. What it computed before a call without an
	// error is sound.
	Unchanged() error

	Layers() int     // decoder layers
	HiddenSize() int // components of a hidden state

	// CountTokens is the number of tokens of a text by itself: no chat template, no
	// special tokens.
	CountTokens(text string) (int, error)
}

// TokenCounter is the part of Model that CheckPersonas needs.
type TokenCounter interface {
	CountTokens(text string) (int, error)
}

// chat is a persona asked a question: the persona is the system prompt. An empty one is no
// system message at all.
func chat(persona, question string) []engine.Message {
	if persona == "" {
		return []engine.Message{{Role: "user", Content: question}}
	}
	return []engine.Message{{Role: "system", Content: persona}, {Role: "user", Content: question}}
}
