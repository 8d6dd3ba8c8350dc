package engine

import (
	"sync/atomic"
	"time"
)

// Counters tell how far an engine has come; they may be read at any time.
type Counters struct {
	steps, prompt, generated, rows, slots, completions atomic.Int64
	computed, chosen                                   atomic.Int64 // nanoseconds
}

// Counts is a reading of Counters.
type Counts struct {
	Steps        int64 // steps computed
	PromptTokens int64 // prompt tokens computed
	Tokens       int64 // tokens sampled
	Completions  int64 // completions finished
	Rows         int64 // occupied rows, summed over the steps
	Slots        int64 // rows there could have been

	// Times of llama.cpp's contexts, added up: in decodes of steps, prompts not
	// included, until the device was done, and in choosing their tokens.
	Decoding, Choosing time.Duration
}

// Occupancy is the share of slots that had a row, in [0, 1].
func (c Counts) Occupancy() float64 {
	if c.Slots == 0 {
		return 0
	}
	return float64(c.Rows) / float64(c.Slots)
}

// Sub returns what came between an earlier reading and c.
func (c Counts) Sub(earlier Counts) Counts {
	return Counts{
		Steps:        c.Steps - earlier.Steps,
		PromptTokens: c.PromptTokens - earlier.PromptTokens,
		Tokens:       c.Tokens - earlier.Tokens,
		Completions:  c.Completions - earlier.Completions,
		Rows:         c.Rows - earlier.Rows,
		Slots:        c.Slots - earlier.Slots,
		Decoding:     c.Decoding - earlier.Decoding,
		Choosing:     c.Choosing - earlier.Choosing,
	}
}

// Read returns the present counts.
func (c *Counters) Read() Counts {
	return Counts{
		Steps:        c.steps.Load(),
		PromptTokens: c.prompt.Load(),
		Tokens:       c.generated.Load(),
		Completions:  c.completions.Load(),
		Rows:         c.rows.Load(),
		Slots:        c.slots.Load(),
		Decoding:     time.Duration(c.computed.Load()),
		Choosing:     time.Duration(c.chosen.Load()),
	}
}

func (c *Counters) addStep(s *Step, slots int) {
	c.steps.Add(1)
	for _, ch := range s.Chunks {
		c.prompt.Add(int64(len(ch.Tokens)))
	}
	c.generated.Add(int64(len(s.Choices)))
	c.rows.Add(int64(len(s.Rows)))
	c.slots.Add(int64(slots))
}

// addTimes notes what a decode and the choice of its tokens took.
func (c *Counters) addTimes(decode, choose time.Duration) {
	c.computed.Add(int64(decode))
	c.chosen.Add(int64(choose))
}
