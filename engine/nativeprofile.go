package engine

import (
	"fmt"
	"slices"

	"personaprobe/cgo/cudalib"
	"personaprobe/cgo/native"
)

// StepProfile is where the time of a decode step on the native path goes, measured with
// events on the device.
type StepProfile struct {
	Rows     int     `json:"rows"`
	Context  int     `json:"context"`     // tokens of each row's sequence
	Step     float64 `json:"step_ms"`     // one step, replayed back to back
	Products float64 `json:"products_ms"` // its matrix products alone, likewise: the roof
	Kinds    []Kind  `json:"kinds"`       // by kind of kernel, each launched by itself
	Chosen   string  `json:"products"`    // what computes them, see native.Model.Algorithms
}

// Kind is the kernels of one kind in a step.
type Kind struct {
	Name         string  `json:"name"`
	Milliseconds float64 `json:"ms"`
	Bytes        float64 `json:"bytes"` // that have to move
	Operations   float64 `json:"operations"`
}

// ProfileStep measures decode steps of as many rows as the options have slots, whose
// sequences are all of the given length. It is for the native path; elsewhere it is
// ErrOptions.
func (e *Engine) ProfileStep(context, repeat int) (*StepProfile, error) {
	if e.native == nil {
		return nil, fmt.Errorf("%w: only the native decoder profiles its steps", ErrOptions)
	}
	if context < 1 || context > e.info.Context || repeat < 1 {
		return nil, fmt.Errorf("%w: %d steps at a context of %d tokens; the model has 1 to %d", ErrOptions, repeat, context, e.info.Context)
	}
	if err := e.acquire(); err != nil {
		return nil, err
	}
	defer e.release()
	e.closeLanes()
	n, err := newNativeStepper(e.native, e.opts.Slots, context+1)
	if err != nil {
		return nil, err
	}
	defer n.close()
	if err := n.fake(context); err != nil {
		return nil, err
	}
	p := &StepProfile{Rows: e.opts.Slots, Context: context}
	if p.Step, err = n.d.Time(0, repeat, false); err != nil {
		return nil, err
	}
	if p.Products, err = n.d.Time(0, repeat, true); err != nil {
		return nil, err
	}
	ms, err := n.d.Profile(0, 5)
	if err != nil {
		return nil, err
	}
	for i, name := range native.Kinds {
		if ms[i] == 0 {
			continue // rotation is a kernel of its own in prompt passes only
		}
		p.Kinds = append(p.Kinds, e.native.kind(name, float64(ms[i]), p.Rows, context))
	}
	p.Chosen, err = n.m.model.Algorithms(p.Rows, nativeChunk)
	return p, err
}

// fake fills slot 0 with sequences of one length whose cache holds anything.
func (n *nativeStepper) fake(context int) error {
	st, table := n.d.Step(0), n.d.Sizes().Table
	for i := range st.Rows {
		seq := &n.slots[i]
		for seq.length < context {
			if !seq.grow(n.pool, seq.length < context/5) {
				return fmt.Errorf("%w: the cache has no block left", native.ErrMemory)
			}
		}
		st.Rows[i] = native.Row{Token: int32(i * 7919 % n.m.shape.Vocab), Pos: int32(context - 1), Prefix: int32(seq.prefix)}
		st.Draws[i] = cudalib.Draw{Seed: 42, Prompt: uint64(i), Temperature: 1, TopP: 0.95, Row: int32(i)}
		copy(st.Tables[i*table:(i+1)*table], seq.blocks)
	}
	return nil
}

// kind adds what a kind of kernel has to move and to compute at least.
func (m *nativeModel) kind(name string, ms float64, rows, context int) Kind {
	s := &m.shape
	b, e, f, v, l := float64(rows), float64(s.Hidden), float64(s.FFN), float64(s.Vocab), float64(s.Layers)
	d, h, kv := float64(s.HeadDim), float64(s.Heads), float64(s.KVHeads)
	qkv := (h + 2*kv) * d
	product := func(out, in, outBytes float64) (bytes, ops float64) {
		return 2*out*in + 2*b*in + outBytes*b*out, 2 * b * out * in
	}
	k := Kind{Name: name, Milliseconds: ms}
	switch name {
	case "qkv":
		k.Bytes, k.Operations = product(qkv, e, 2)
	case "out":
		k.Bytes, k.Operations = product(e, h*d, 8)
	case "gate_up":
		k.Bytes, k.Operations = product(2*f, e, 2)
	case "down":
		k.Bytes, k.Operations = product(e, f, 8)
	case "head":
		k.Bytes, k.Operations = product(v, e, 4)
	case "attention":
		k.Bytes, k.Operations = b*(4*kv*d*float64(context)+4*h*d), 4*b*h*d*float64(context)
	case "embed":
		k.Bytes = 6 * b * e
	case "norm":
		k.Bytes = 6 * b * e * (2*l + 1) / l
	case "rope":
		k.Bytes = 4 * b * qkv
	case "silu":
		k.Bytes = 6 * b * f
	case "sample":
		k.Bytes = 4 * b * v
	}
	if !slices.Contains([]string{"head", "embed", "sample"}, name) {
		k.Bytes, k.Operations = k.Bytes*l, k.Operations*l
	}
	return k
}
