package engine

import (
	"fmt"
	"time"

	llama "personaprobe/cgo"
)

// llamaStepper is the Stepper on llama.cpp: one context, sampling by a head.
//
// It keeps to shapes in which llama.cpp's CPU kernels compute a row the same way
// whatever the other rows are. These are all but one: a matrix product with a
// single row takes another kernel. So no piece of work has a single row, be it
// of tokens or of outputs (the last layer and the head run on output rows only).
//
// On a GPU a row's last bits depend on the number of rows, and on nothing else of the
// batch. So with fixed every decode step has all slots as rows, idle ones padded, and
// every piece of a prompt is computed alone.
type llamaStepper struct {
	ctx      *llama.Context
	use      func(adapter string) error
	head     head
	capacity Capacity
	fixed    bool
	length   []int // tokens in each slot
	batch    llama.Batch
	slots    []int // scratch
	padded   []int // slots with a padding token to remove after the decode
	draws    []pendingDraw
	counters *Counters // may be nil
}

func newLlamaStepper(ctx *llama.Context, capacity Capacity, h head, fixed bool, use func(string) error) *llamaStepper {
	return &llamaStepper{ctx: ctx, use: use, head: h, capacity: capacity, fixed: fixed, length: make([]int, capacity.Slots)}
}

func (l *llamaStepper) Capacity() Capacity { return l.capacity }

func (l *llamaStepper) Use(adapter string) error { return l.use(adapter) }

func (l *llamaStepper) Fork(dst, src int) error {
	start := time.Now()
	defer func() { l.counters.add(timeForks, time.Since(start)) }()
	l.length[dst] = l.length[src]
	return l.ctx.Fork(dst, src)
}

func (l *llamaStepper) Free(slot int) error {
	l.length[slot] = 0
	return l.ctx.Remove(slot, 0)
}

// Finish has nothing to wait for.
func (l *llamaStepper) Finish(*Step) error { return nil }

func (l *llamaStepper) Start(s *Step) error {
	start := time.Now()
	for rest := s.Chunks; len(rest) > 0; {
		n := l.mergeable(rest)
		if err := l.prefill(s, rest[:n]); err != nil {
			return fmt.Errorf("prompt: %w", err)
		}
		rest = rest[n:]
	}
	l.counters.add(timePrompts, time.Since(start))
	if len(s.Rows) == 0 {
		return nil
	}
	if err := l.decode(s); err != nil {
		return fmt.Errorf("decode %d rows: %w", len(s.Rows), err)
	}
	return nil
}

// mergeable is how many of the first chunks can be computed together: llama.cpp
// takes neighbouring slots with equally many tokens as one piece of work.
func (l *llamaStepper) mergeable(chunks []Chunk) int {
	tokens := len(chunks[0].Tokens)
	n := 1
	if l.fixed {
		return n
	}
	for n < len(chunks) && chunks[n].Slot == chunks[n-1].Slot+1 && len(chunks[n].Tokens) == tokens &&
		(n+1)*tokens <= l.ctx.Options().Batch-1 {
		n++
	}
	return n
}

// prefill computes chunks of one length in neighbouring slots.
func (l *llamaStepper) prefill(s *Step, chunks []Chunk) error {
	l.batch.Reset()
	for _, c := range chunks {
		for i, t := range c.Tokens {
			// The last two tokens, so that there are two output rows.
			output := len(c.Draws) > 0 && i >= len(c.Tokens)-2
			l.batch.Add(t, int32(c.Pos+i), int32(c.Slot), output)
		}
		l.length[c.Slot] = c.Pos + len(c.Tokens)
	}
	row := -1 // of the logits: of the outputs so far the last
	if l.batch.Len() == 1 {
		row += l.single(chunks[0])
	}
	l.draws = l.draws[:0]
	for _, c := range chunks {
		if len(c.Draws) == 0 {
			continue
		}
		row += min(len(c.Tokens), 2)
		for i := range c.Draws {
			l.draws = append(l.draws, pendingDraw{&c.Draws[i], row})
		}
	}
	return l.run(s, false)
}

// pad adds a row whose result nobody reads. It goes behind the slot's tokens and
// is removed after the decode; contexts have a cell to spare for it.
func (l *llamaStepper) pad(slot int) {
	l.batch.Add(0, int32(l.length[slot]), int32(slot), true)
	l.padded = append(l.padded, slot)
}

// run decodes the batch, takes the padding out of the cache again and makes the draws.
func (l *llamaStepper) run(s *Step, stable bool) error {
	start := time.Now()
	err := l.head.compute(&l.batch, stable)
	computed := time.Now()
	for _, slot := range l.padded {
		if e := l.ctx.Remove(slot, l.length[slot]); err == nil {
			err = e
		}
	}
	l.padded = l.padded[:0]
	if err != nil || len(l.draws) == 0 {
		return err
	}
	s.Choices, err = l.head.choose(s.Choices, l.draws)
	if stable {
		launching, kernel := l.head.spent()
		l.counters.add(timeDecoding, computed.Sub(start))
		l.counters.add(timeLaunching, launching)
		l.counters.add(timeSampling, time.Since(computed))
		l.counters.add(timeKernel, kernel)
	}
	return err
}

// single computes a chunk of one token, which would be a piece of work with a
// single row, together with a row of padding. It returns how many rows of padding
// come before it.
func (l *llamaStepper) single(c Chunk) (before int) {
	output := len(c.Draws) > 0
	l.batch.Reset()
	sp := spans([]int{c.Slot}, l.capacity.Slots)[0]
	for slot := sp.lo; slot < sp.hi; slot++ {
		if slot == c.Slot {
			before = l.batch.Len()
			l.batch.Add(c.Tokens[0], int32(c.Pos), int32(slot), output)
		} else {
			l.pad(slot)
		}
	}
	return before
}

// decode computes one token for each row.
func (l *llamaStepper) decode(s *Step) error {
	l.batch.Reset()
	l.draws = l.draws[:0]
	l.slots = l.slots[:0]
	for _, r := range s.Rows {
		l.slots = append(l.slots, r.Slot)
	}
	i := 0
	runs := []span{{0, l.capacity.Slots}}
	if !l.fixed {
		runs = spans(l.slots, l.capacity.Slots)
	}
	for _, sp := range runs {
		for slot := sp.lo; slot < sp.hi; slot++ {
			if i == len(s.Rows) || s.Rows[i].Slot != slot {
				l.pad(slot)
				continue
			}
			r := &s.Rows[i]
			l.draws = append(l.draws, pendingDraw{&r.Draw, l.batch.Len()})
			l.batch.Add(r.Token, int32(r.Pos), int32(slot), true)
			l.length[slot] = r.Pos + 1
			i++
		}
	}
	return l.run(s, true)
}
