package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"personaprobe/sampler"
)

// Message is one turn of a chat.
type Message struct {
	Role    string `json:"role"` // "system", "user" or "assistant"
	Content string `json:"content"`
}

// Request asks for completions of one prompt: N for each of the Seeds. The
// prompt is computed once, whatever their number. Hidden states of a prompt or of a
// completion's tokens are a call of their own, [Engine.States].
type Request struct {
	ID string // returned with every completion; the engine does not read it

	// Exactly one of the three gives the prompt.
	Messages []Message // rendered with the model's chat template; contents are plain text, never special tokens
	Text     string    // plain text, no template
	Tokens   []int32   // token ids as they are

	Adapter   string         // an adapter's name as given to Open; "" is the base model
	Seeds     []uint64       // sampling seeds; nil means {0}
	N         int            // completions per seed; 0 means 1
	Sampling  sampler.Params // zero value: greedy
	MaxTokens int            // new tokens at most; 0 means what the context still holds
	Stop      []string       // a completion ends before the first of these; the end-of-turn token always ends it
	LogProbs  bool           // also return the log-probability of every token
}

// FinishReason says why a completion ended.
type FinishReason string

// The reasons, with the names of the OpenAI API.
const (
	FinishStop   FinishReason = "stop"   // end-of-turn token or a stop string
	FinishLength FinishReason = "length" // MaxTokens reached
)

// Completion is one finished sample. But for Time it is a function of the prompt's token
// ids, the adapter, the seed, the index and the sampling parameters alone: not of
// the requests beside it, the batch size or the order.
type Completion struct {
	ID           string       // the request's
	Seed         uint64       // sampling seed
	Index        int          // 0 <= Index < N among the completions of this seed
	Tokens       []int32      // without the end-of-turn token
	Text         string       // Tokens as text, cut before a stop string
	Finish       FinishReason // why it ended
	PromptTokens int          // length of the prompt
	LogProb      float64      // sum of the drawn tokens' log-probabilities, the end-of-turn token's included
	LogProbs     []float32    // one per token of Tokens, when the request asked for them

	// Time is how long it took, from the admission of its prompt to its end. Unlike
	// all else it depends on the neighbours and the machine.
	Time time.Duration
}

// ErrRequest marks a request that can never be served; match it with errors.Is.
var ErrRequest = errors.New("bad request")

// completions is how many completions r asks for.
func (r *Request) completions() int { return max(r.N, 1) * max(len(r.Seeds), 1) }

// Validate reports what is wrong with the request, apart from its length in
// tokens, which only the engine knows.
func (r *Request) Validate() error {
	given := 0
	for _, has := range []bool{len(r.Messages) > 0, r.Text != "", len(r.Tokens) > 0} {
		if has {
			given++
		}
	}
	switch {
	case given == 0:
		return fmt.Errorf("%w: empty prompt", ErrRequest)
	case given > 1:
		return fmt.Errorf("%w: messages, text and tokens exclude each other", ErrRequest)
	case r.N < 0:
		return fmt.Errorf("%w: n is %d, want at least 1", ErrRequest, r.N)
	case r.MaxTokens < 0:
		return fmt.Errorf("%w: max_tokens is %d, want at least 1", ErrRequest, r.MaxTokens)
	}
	for i, s := range r.Seeds {
		if slices.Contains(r.Seeds[:i], s) { // the same completions, which a reader would count twice
			return fmt.Errorf("%w: seed %d is given twice", ErrRequest, s)
		}
	}
	for _, s := range r.Stop {
		if s == "" {
			return fmt.Errorf("%w: empty stop string", ErrRequest)
		}
	}
	if err := r.Sampling.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return nil
}
