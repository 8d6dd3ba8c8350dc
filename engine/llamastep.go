package engine

import (
	"fmt"

	llama "personaprobe/cgo"
)

// llamaStepper is the Stepper on llama.cpp: one context, sampling on the CPU.
//
// It keeps to shapes in which llama.cpp's CPU kernels compute a row the same way
// whatever the other rows are. These are all but one: a matrix product with a
// single row takes another kernel. So no piece of work has a single row, be it
// of tokens or of outputs (the last layer and the head run on output rows only).
type llamaStepper struct {
	ctx      *llama.Context
	vocab    int
	adapters map[string]*llama.Adapter
	capacity Capacity
	length   []int // tokens in each slot
	batch    llama.Batch
	slots    []int // scratch
	padded   []int // slots with a padding token to remove after the decode
	choosers *choosers
}

func newLlamaStepper(ctx *llama.Context, vocab int, capacity Capacity, adapters map[string]*llama.Adapter) *llamaStepper {
	return &llamaStepper{
		ctx:      ctx,
		vocab:    vocab,
		adapters: adapters,
		capacity: capacity,
		length:   make([]int, capacity.Slots),
		choosers: newChoosers(ctx.Options().Threads),
	}
}

func (l *llamaStepper) Capacity() Capacity { return l.capacity }

func (l *llamaStepper) Use(adapter string) error {
	if adapter == "" {
		return l.ctx.SetAdapter(nil, 0)
	}
	a, ok := l.adapters[adapter]
	if !ok {
		return fmt.Errorf("%w: no adapter of that name was opened", ErrRequest)
	}
	return l.ctx.SetAdapter(a, 1)
}

func (l *llamaStepper) Fork(dst, src int) error {
	l.length[dst] = l.length[src]
	return l.ctx.Fork(dst, src)
}

func (l *llamaStepper) Free(slot int) error {
	l.length[slot] = 0
	return l.ctx.Remove(slot, 0)
}

func (l *llamaStepper) Step(s *Step) error {
	for rest := s.Chunks; len(rest) > 0; {
		n := l.mergeable(rest)
		if err := l.prefill(s, rest[:n]); err != nil {
			return fmt.Errorf("prompt: %w", err)
		}
		rest = rest[n:]
	}
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
	if l.batch.Len() == 1 {
		l.single(chunks[0])
	}
	if err := l.run(); err != nil {
		return err
	}
	logits, err := l.ctx.Logits()
	if err != nil {
		return err
	}
	row := -1 // of the logits: of the outputs so far the last
	for _, c := range chunks {
		if len(c.Draws) == 0 {
			continue
		}
		row += min(len(c.Tokens), 2)
		if s.Choices, err = l.choosers.prompt(s.Choices, c.Draws, logits[row*l.vocab:(row+1)*l.vocab]); err != nil {
			return err
		}
	}
	return nil
}

// pad adds a row whose result nobody reads. It goes behind the slot's tokens and
// is removed after the decode; contexts have a cell to spare for it.
func (l *llamaStepper) pad(slot int) {
	l.batch.Add(0, int32(l.length[slot]), int32(slot), true)
	l.padded = append(l.padded, slot)
}

// run decodes the batch and takes the padding out of the cache again.
func (l *llamaStepper) run() error {
	err := l.ctx.Decode(&l.batch, nil)
	for _, slot := range l.padded {
		if e := l.ctx.Remove(slot, l.length[slot]); err == nil {
			err = e
		}
	}
	l.padded = l.padded[:0]
	return err
}

// single computes a chunk of one token, which would be a piece of work with a
// single row, together with a row of padding.
func (l *llamaStepper) single(c Chunk) {
	output := len(c.Draws) > 0
	l.batch.Reset()
	sp := spans([]int{c.Slot}, l.capacity.Slots)[0]
	for slot := sp.lo; slot < sp.hi; slot++ {
		if slot == c.Slot {
			l.batch.Add(c.Tokens[0], int32(c.Pos), int32(slot), output)
		} else {
			l.pad(slot)
		}
	}
}

// decode computes one token for each row.
func (l *llamaStepper) decode(s *Step) error {
	l.batch.Reset()
	l.choosers.begin()
	l.slots = l.slots[:0]
	for _, r := range s.Rows {
		l.slots = append(l.slots, r.Slot)
	}
	i := 0
	for _, sp := range spans(l.slots, l.capacity.Slots) {
		for slot := sp.lo; slot < sp.hi; slot++ {
			if i == len(s.Rows) || s.Rows[i].Slot != slot {
				l.pad(slot)
				continue
			}
			r := &s.Rows[i]
			l.choosers.add(&r.Draw, l.batch.Len())
			l.batch.Add(r.Token, int32(r.Pos), int32(slot), true)
			l.length[slot] = r.Pos + 1
			i++
		}
	}
	if err := l.run(); err != nil {
		return err
	}
	logits, err := l.ctx.Logits()
	if err != nil {
		return err
	}
	s.Choices, err = l.choosers.rows(s.Choices, logits, l.vocab)
	return err
}
