package engine

import "personaprobe/sampler"

// A Stepper holds sequences in slots and computes a model's steps on them. It
// is the whole of what the scheduler knows of a model and a device. A Stepper is
// used from one goroutine.
type Stepper interface {
	// Capacity is how many sequences there are and how many tokens each can have.
	Capacity() Capacity
	// Use makes the named adapter ("" is the base model) apply to the following
	// steps. No slot is occupied and no step under way when it is called.
	Use(adapter string) error
	// Fork makes slot dst a copy of slot src, which holds a prompt.
	Fork(dst, src int) error
	// Free empties a slot.
	Free(slot int) error
	// Start begins to compute the chunks, then the rows; Finish waits for the oldest
	// step started and fills its Choices. Between the two the step belongs to the
	// Stepper. A device may have one step more under way, if Capacity says so; slots
	// may be freed meanwhile, because steps are computed in their order.
	Start(s *Step) error
	Finish(s *Step) error
}

// Capacity is the size of a Stepper.
type Capacity struct {
	Slots   int // sequences it holds, at least 2: a prompt, and a completion forked from it
	Rows    int // sequences that a step may advance, at most Slots
	Context int // tokens per sequence, prompt and completion together
	Chunk   int // length of a prompt's pieces, and about how many prompt tokens a step takes beside its rows

	// Ahead says that a step may be started before the one before it is finished. It
	// spares the device the waiting for the host, and costs a row of every completion
	// that ends before its last token is known to.
	Ahead bool
}

// Step is the work of one step. The scheduler owns and reuses it.
type Step struct {
	groups    []*group    // of Chunks
	sequences []*sequence // of Rows

	Chunks []Chunk // pieces of prompts
	Rows   []Row   // sequences that get a token each, by rising slot

	// Choices is the result: those of the chunks' draws in order, then one per row.
	Choices []sampler.Choice
}

// Chunk is a piece of a prompt that enters an empty or partly filled slot.
type Chunk struct {
	Slot   int
	Pos    int // position of Tokens[0]
	Tokens []int32
	Draws  []Draw // first tokens to sample after the last of Tokens; only with a prompt's last chunk
}

// Row is one token that enters a slot, and the draw of the token after it.
type Row struct {
	Slot  int
	Pos   int // position of Token
	Token int32
	// After, if not 0, says that the token is not known yet: it is the choice of row
	// After-1 of the step before.
	After int
	Draw  Draw
}

// Draw says how a token is chosen from the logits at its place.
type Draw struct {
	Params   sampler.Params
	Key      sampler.Key
	Position uint32 // of the new token within its completion, from 0
}

// choose applies the draw to a row of logits.
func (d *Draw) choose(s *sampler.Sampler, logits []float32) (sampler.Choice, error) {
	return s.Sample(logits, d.Params, d.Key.Uniform(d.Position))
}
