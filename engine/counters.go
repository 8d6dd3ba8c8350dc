package engine

import (
	"sync/atomic"
	"time"
)

// Counters tell how far an engine has come; they may be read at any time.
type Counters struct {
	steps, prompt, generated, rows, slots, completions atomic.Int64
	times                                              [nTimes]atomic.Int64 // nanoseconds
}

// The parts of Times.
const (
	timePrompts = iota
	timeForks
	timeDecoding
	timeLaunching
	timeSampling
	timeKernel
	nTimes
)

// Counts is a reading of Counters.
type Counts struct {
	Steps        int64 // steps computed
	PromptTokens int64 // prompt tokens computed
	Tokens       int64 // tokens sampled
	Completions  int64 // completions finished
	Rows         int64 // occupied rows, summed over the steps
	Slots        int64 // rows there could have been

	Times // of llama.cpp's contexts
}

// Times is where the time of llama.cpp's contexts went, added up over them. What is left
// of the time on the clock is the scheduler's, and waiting for requests and consumers.
type Times struct {
	Prompts   time.Duration // computing prompts and drawing their first tokens
	Forks     time.Duration // copying prompts; on a GPU, handing the copies over
	Decoding  time.Duration // decodes of steps until the device was done
	Launching time.Duration // of Decoding: until the device had all of its work; 0 on the CPU
	Sampling  time.Duration // choosing the steps' tokens
	Kernel    time.Duration // of Sampling: the kernel on the device, by its events
}

func (t Times) sub(earlier Times) Times {
	return Times{
		Prompts: t.Prompts - earlier.Prompts, Forks: t.Forks - earlier.Forks, Decoding: t.Decoding - earlier.Decoding,
		Launching: t.Launching - earlier.Launching, Sampling: t.Sampling - earlier.Sampling, Kernel: t.Kernel - earlier.Kernel,
	}
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
		Times:        c.sub(earlier.Times),
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
		Times: Times{
			Prompts: c.time(timePrompts), Forks: c.time(timeForks), Decoding: c.time(timeDecoding),
			Launching: c.time(timeLaunching), Sampling: c.time(timeSampling), Kernel: c.time(timeKernel),
		},
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

func (c *Counters) time(part int) time.Duration { return time.Duration(c.times[part].Load()) }

// add notes time spent on a part. Nobody needs to count.
func (c *Counters) add(part int, d time.Duration) {
	if c != nil {
		c.times[part].Add(int64(d))
	}
}
