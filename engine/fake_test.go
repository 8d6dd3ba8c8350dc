package engine

import (
	"errors"
	"fmt"
	"slices"

	"personaprobe/sampler"
)

// fakeStepper is a model in a few lines: the next token is a hash of what it
// has been fed, and it checks that the scheduler feeds it sensibly.
type fakeStepper struct {
	capacity Capacity
	adapter  string
	slots    [][]int32 // what each slot has been fed; nil when free
	calls    int
	failAt   int // this call fails; 0: none does
	steps    int
	decodes  int     // steps with rows
	under    int     // steps started and not finished
	before   []int32 // choices of the last step's rows
	problem  error   // the first broken rule
}

const (
	fakeVocab = 50
	fakeEnd   = 0 // end-of-generation token
)

var errInjected = errors.New("injected failure")

func newFake(slots, context, chunk int) *fakeStepper {
	return &fakeStepper{capacity: Capacity{Slots: slots, Rows: slots, Context: context, Chunk: chunk}, slots: make([][]int32, slots)}
}

func (f *fakeStepper) Capacity() Capacity { return f.capacity }

func (f *fakeStepper) call() error {
	f.calls++
	if f.calls == f.failAt {
		return errInjected
	}
	return nil
}

func (f *fakeStepper) complain(format string, args ...any) {
	if f.problem == nil {
		f.problem = fmt.Errorf(format, args...)
	}
}

func (f *fakeStepper) Use(adapter string) error {
	if f.under > 0 {
		f.complain("adapter changes while %d steps are under way", f.under)
	}
	for i, s := range f.slots {
		if s != nil {
			f.complain("adapter changes while slot %d is occupied", i)
		}
	}
	f.adapter = adapter
	return f.call()
}

func (f *fakeStepper) Fork(dst, src int) error {
	if f.slots[dst] != nil || f.slots[src] == nil {
		f.complain("fork of %d (%v) to %d (%v)", src, f.slots[src], dst, f.slots[dst])
	}
	f.slots[dst] = slices.Clone(f.slots[src])
	return f.call()
}

func (f *fakeStepper) Free(slot int) error {
	f.slots[slot] = nil
	return nil // freeing must work, or a failure could not be cleaned up
}

func (f *fakeStepper) Start(s *Step) error {
	f.steps++
	if f.under++; f.under > 1 && !f.capacity.Ahead || f.under > 2 {
		f.complain("%d steps under way", f.under)
	}
	tokens := 0
	for _, c := range s.Chunks {
		tokens += len(c.Tokens)
		if len(c.Tokens) == 0 || len(c.Tokens) > f.capacity.Chunk || c.Pos%f.capacity.Chunk != 0 {
			f.complain("chunk of %d tokens at %d", len(c.Tokens), c.Pos)
		}
		f.feed(c.Slot, c.Pos, c.Tokens...)
		for _, d := range c.Draws {
			s.Choices = append(s.Choices, f.choose(c.Slot, d))
		}
	}
	if tokens > f.capacity.Chunk {
		f.complain("%d prompt tokens in a step, chunk is %d", tokens, f.capacity.Chunk)
	}
	if len(s.Rows) > f.capacity.Rows {
		f.complain("%d rows, at most %d are allowed", len(s.Rows), f.capacity.Rows)
	}
	if len(s.Rows) > 0 {
		f.decodes++
	}
	last := -1
	for _, r := range s.Rows {
		if r.Slot <= last {
			f.complain("rows out of order: slot %d after %d", r.Slot, last)
		}
		last = r.Slot
		if r.After > len(f.before) {
			f.complain("row after row %d of %d", r.After-1, len(f.before))
			r.After = 0
		}
		if r.After > 0 {
			r.Token = f.before[r.After-1]
		}
		f.feed(r.Slot, r.Pos, r.Token)
		s.Choices = append(s.Choices, f.choose(r.Slot, r.Draw))
	}
	f.before = f.before[:0]
	for _, c := range s.Choices[len(s.Choices)-len(s.Rows):] {
		f.before = append(f.before, c.Token)
	}
	err := f.call()
	if err != nil {
		f.under-- // it has not been started
	}
	return err
}

func (f *fakeStepper) Finish(*Step) error {
	if f.under--; f.under < 0 {
		f.complain("no step is under way")
		f.under = 0
	}
	return f.call()
}

func (f *fakeStepper) feed(slot, pos int, tokens ...int32) {
	if len(f.slots[slot]) != pos {
		f.complain("slot %d holds %d tokens and gets position %d", slot, len(f.slots[slot]), pos)
	}
	f.slots[slot] = append(f.slots[slot], tokens...)
	if len(f.slots[slot]) > f.capacity.Context {
		f.complain("slot %d exceeds the context of %d", slot, f.capacity.Context)
	}
}

func (f *fakeStepper) choose(slot int, d Draw) sampler.Choice {
	return fakeChoice(f.adapter, f.slots[slot], d)
}

// fakeChoice depends on everything that a real choice may depend on.
func fakeChoice(adapter string, fed []int32, d Draw) sampler.Choice {
	key := append(slices.Clone(fed), int32(len(adapter)), int32(d.Key.Completion), int32(d.Position))
	h := sampler.PromptHash(key) ^ d.Key.Seed*0x9e3779b97f4a7c15 ^ d.Key.Prompt
	return sampler.Choice{Token: int32(h % fakeVocab), LogProb: -float64(h%7) / 7}
}

// fakeCompletion is what a completion must be, computed alone.
func fakeCompletion(j *job, number int) (tokens []int32, finish FinishReason) {
	fed := slices.Clone(j.prompt)
	for {
		c := fakeChoice(j.req.Adapter, fed, j.draw(number, len(tokens)))
		if c.Token == fakeEnd {
			return tokens, FinishStop
		}
		tokens = append(tokens, c.Token)
		fed = append(fed, c.Token)
		if len(tokens) == j.maxTokens {
			return tokens, FinishLength
		}
	}
}
