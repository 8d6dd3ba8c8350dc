package engine

import (
	"fmt"

	"personaprobe/cgo/cudalib"
	"personaprobe/cgo/native"
	"personaprobe/sampler"
)

// nativeStepper is the Stepper on the native path. Every pass has its declared number
// of rows, idle ones padded, so that a row's bytes do not depend on the others.
type nativeStepper struct {
	m        *nativeModel
	d        *native.Decoder
	capacity Capacity
	pool     *blockPool
	slots    []pages
	pass     promptPass
	turn     int   // slot of the next decode step
	under    []int // slots of those under way, the oldest first
}

func newNativeStepper(m *nativeModel, rows, tokens int) (*nativeStepper, error) {
	z := m.sizes(rows, tokens)
	d, err := m.model.NewDecoder(z)
	if err != nil {
		return nil, err
	}
	n := &nativeStepper{
		m: m, d: d,
		capacity: Capacity{Slots: nativeSlots(rows), Rows: rows, Context: tokens, Chunk: nativeChunk, Ahead: true},
		pool:     newBlockPool(z.Blocks),
		slots:    make([]pages, nativeSlots(rows)),
	}
	n.pass.init(m, z)
	for slot := range 2 {
		s := d.Step(slot)
		for i := range s.Rows {
			s.Rows[i] = native.Row{Pos: -1}
			s.Draws[i] = cudalib.Draw{Row: -1}
		}
	}
	return n, nil
}

func (n *nativeStepper) Capacity() Capacity { return n.capacity }

func (n *nativeStepper) Use(adapter string) error {
	set, err := n.m.use(adapter)
	if err != nil {
		return err
	}
	return n.d.Use(set)
}

func (n *nativeStepper) Fork(dst, src int) error {
	n.slots[dst].fork(n.pool, &n.slots[src])
	return nil
}

func (n *nativeStepper) Free(slot int) error {
	n.slots[slot].clear(n.pool)
	return nil
}

// Start computes the prompts and queues the rows.
func (n *nativeStepper) Start(s *Step) error {
	if err := n.prompts(s); err != nil {
		return fmt.Errorf("prompt: %w", err)
	}
	if len(s.Rows) == 0 {
		return nil
	}
	if err := n.decode(s); err != nil {
		return fmt.Errorf("decode %d rows: %w", len(s.Rows), err)
	}
	return nil
}

// Finish waits for the rows.
func (n *nativeStepper) Finish(s *Step) error {
	if len(s.Rows) == 0 || len(n.under) == 0 {
		return nil
	}
	slot := n.under[0]
	n.under = n.under[1:]
	if err := n.d.Wait(slot); err != nil {
		return fmt.Errorf("decode %d rows: %w", len(s.Rows), err)
	}
	var err error
	s.Choices, err = appendChoices(s.Choices, n.d.Step(slot).Choices[:len(s.Rows)])
	return err
}

// prompts computes the chunks, as many tokens a pass as it has rows.
func (n *nativeStepper) prompts(s *Step) (err error) {
	defer func() {
		if err != nil {
			n.pass.reset() // the next call begins anew
		}
	}()
	for i := range s.Chunks {
		c := &s.Chunks[i]
		seq := &n.slots[c.Slot]
		if len(n.pass.p.Draws)+len(c.Draws) > nativeDraws {
			if err := n.run(s); err != nil {
				return err
			}
		}
		for tokens := c.Tokens; len(tokens) > 0; {
			k := n.pass.room(len(tokens))
			if k == 0 {
				if err := n.run(s); err != nil {
					return err
				}
				continue
			}
			if err := n.pass.add(n.pool, seq, tokens[:k], true); err != nil {
				return err
			}
			if tokens = tokens[k:]; len(tokens) > 0 {
				continue
			}
			if len(c.Draws) > 0 {
				n.pass.logits()
				for j := range c.Draws {
					n.pass.p.Draws = append(n.pass.p.Draws, drawOf(&c.Draws[j], len(n.pass.p.LogitRows)-1))
				}
			}
		}
	}
	return n.run(s)
}

// run computes what the pass holds.
func (n *nativeStepper) run(s *Step) error {
	p := &n.pass.p
	if len(p.Rows) == 0 {
		return nil
	}
	p.Last = n.m.shape.Layers - 1
	p.Choices = make([]cudalib.Choice, len(p.Draws))
	if err := n.d.Prompt(p); err != nil {
		return err
	}
	var err error
	s.Choices, err = appendChoices(s.Choices, p.Choices)
	n.pass.reset()
	return err
}

// decode queues one token for each row.
func (n *nativeStepper) decode(s *Step) error {
	st, table := n.d.Step(n.turn), n.d.Sizes().Table
	for i := range st.Rows {
		if i >= len(s.Rows) {
			st.Rows[i], st.Draws[i] = native.Row{Pos: -1}, cudalib.Draw{Row: -1}
			continue
		}
		r := &s.Rows[i]
		seq := &n.slots[r.Slot]
		if seq.length == r.Pos && !seq.grow(n.pool, false) {
			return fmt.Errorf("%w: the cache has no block left", native.ErrMemory)
		}
		token := r.Token
		if r.After > 0 {
			token = -int32(r.After) // of the other slot's choices
		}
		st.Rows[i] = native.Row{Token: token, Pos: int32(r.Pos), Prefix: int32(seq.prefix)}
		st.Draws[i] = drawOf(&r.Draw, i)
		copy(st.Tables[i*table:(i+1)*table], seq.blocks)
	}
	if err := n.d.Start(n.turn); err != nil {
		return err
	}
	n.under = append(n.under, n.turn)
	n.turn = 1 - n.turn
	return nil
}

func (n *nativeStepper) close() error {
	n.d.Close()
	return nil
}

func drawOf(d *Draw, row int) cudalib.Draw {
	return cudalib.Draw{Seed: d.Key.Seed, Prompt: d.Key.Prompt, Completion: d.Key.Completion, Position: d.Position,
		Temperature: d.Params.Temperature, TopP: d.Params.TopP, Row: int32(row)}
}

// appendChoices turns the device's choices into the sampler's. A failed draw is the
// sampler's error.
func appendChoices(dst []sampler.Choice, choices []cudalib.Choice) ([]sampler.Choice, error) {
	for i := range choices {
		c := &choices[i]
		switch c.Error {
		case cudalib.SampleOK:
		case cudalib.SampleParams:
			return dst, sampler.ErrParams
		case cudalib.SampleEmpty:
			return dst, fmt.Errorf("%w: all are -Inf; no token is allowed", sampler.ErrLogits)
		default:
			return dst, fmt.Errorf("%w: logit %d is NaN or +Inf; the model's output is broken", sampler.ErrLogits, c.Bad)
		}
		dst = append(dst, sampler.Choice{Token: c.Token, LogProb: c.LogProb, NucleusSize: int(c.NucleusSize), NucleusMass: c.NucleusMass})
	}
	return dst, nil
}
