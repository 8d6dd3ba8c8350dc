//go:build cgo

package native

// #include "table.h"
//
// static int n_decoder_new(nv_table *t, nv_decoder **d, nv_model *m, const nv_sizes *z) { return t->nv_decoder_new(d, m, z); }
// static void n_decoder_free(nv_table *t, nv_decoder *d) { t->nv_decoder_free(d); }
// static int n_decoder_use(nv_table *t, nv_decoder *d, int set) { return t->nv_decoder_use(d, set); }
// static int n_step_buffers(nv_table *t, nv_decoder *d, int slot, nv_step *s) { return t->nv_step_buffers(d, slot, s); }
// static int n_decode_start(nv_table *t, nv_decoder *d, int slot) { return t->nv_decode_start(d, slot); }
// static int n_decode_wait(nv_table *t, nv_decoder *d, int slot) { return t->nv_decode_wait(d, slot); }
// static int n_profile(nv_table *t, nv_decoder *d, int slot, int n, float *ms) { return t->nv_profile_step(d, slot, n, ms); }
// static int n_time(nv_table *t, nv_decoder *d, int slot, int n, int roof, float *ms) { return t->nv_time_steps(d, slot, n, roof, ms); }
//
// // The parts of nv_prompt one by one: Go may not pass a struct of its pointers.
// static int n_prompt(nv_table *t, nv_decoder *d, const nv_row *row, const int32_t *table, const nv_tile *tile,
//                     const int32_t *logit_row, const pp_draw *draw, const int32_t *tap_row, const int32_t *tap_layer,
//                     const int32_t *n, float *logits, float *states, pp_choice *choice) {
//     nv_prompt p = { row, table, tile, logit_row, draw, tap_row, tap_layer, n[0], n[1], n[2], n[3], n[4], n[5], n[6],
//                     logits, states, choice };
//     return t->nv_prompt_run(d, &p);
// }
import "C"

import (
	"fmt"
	"unsafe"

	"personaprobe/cgo/cudalib"
)

// Decoder computes passes and steps of a model.
type Decoder struct {
	m     *Model
	sizes Sizes
	d     *C.nv_decoder
	steps [2]Step
}

// NewDecoder allocates a cache and buffers. The error wraps ErrMemory if they do not
// fit.
func (m *Model) NewDecoder(z Sizes) (*Decoder, error) {
	d := &Decoder{m: m, sizes: z}
	c := z.c()
	if err := m.do("new decoder", func() C.int { return C.n_decoder_new(m.lib.t, &d.d, m.m, &c) }); err != nil {
		return nil, err
	}
	for slot := range d.steps {
		var s C.nv_step
		if err := d.do("step buffers", func() C.int { return C.n_step_buffers(m.lib.t, d.d, C.int(slot), &s) }); err != nil {
			d.Close()
			return nil, err
		}
		d.steps[slot] = Step{
			Rows:    unsafe.Slice((*Row)(unsafe.Pointer(s.row)), z.Rows),
			Tables:  unsafe.Slice((*int32)(unsafe.Pointer(s.table)), z.Rows*z.Table),
			Draws:   unsafe.Slice((*cudalib.Draw)(unsafe.Pointer(s.draw)), z.Rows),
			Choices: unsafe.Slice((*cudalib.Choice)(unsafe.Pointer(s.choice)), z.Rows),
		}
	}
	return d, nil
}

// Sizes are what the decoder was made with.
func (d *Decoder) Sizes() Sizes { return d.sizes }

// Model is what the decoder computes.
func (d *Decoder) Model() *Model { return d.m }

// Close frees the decoder.
func (d *Decoder) Close() {
	if d.d != nil {
		C.n_decoder_free(d.m.lib.t, d.d)
		d.d = nil
		d.steps = [2]Step{}
	}
}

// Use selects the set of weights for what follows.
func (d *Decoder) Use(set int) error {
	return d.do("use weights", func() C.int { return C.n_decoder_use(d.m.lib.t, d.d, C.int(set)) })
}

// Step is the memory of slot 0 or 1. Two steps may be under way, in turn.
func (d *Decoder) Step(slot int) *Step { return &d.steps[slot] }

// Start queues the step in slot; Wait waits for its choices.
func (d *Decoder) Start(slot int) error {
	return d.do("decode", func() C.int { return C.n_decode_start(d.m.lib.t, d.d, C.int(slot)) })
}

// Wait is documented with Start.
func (d *Decoder) Wait(slot int) error {
	return d.do("decode", func() C.int { return C.n_decode_wait(d.m.lib.t, d.d, C.int(slot)) })
}

// Prompt computes a pass and fills its results.
func (d *Decoder) Prompt(p *Prompt) error {
	if err := p.check(d.sizes, d.m.shape); err != nil {
		return err
	}
	layers := make([]int32, len(p.TapLayers)+1) // one to have an address
	for i, l := range p.TapLayers {
		layers[i] = int32(l)
	}
	n := [7]int32{int32(len(p.Rows)), int32(len(p.Tiles)), int32(len(p.LogitRows)), int32(len(p.Draws)),
		int32(len(p.TapRows)), int32(len(p.TapLayers)), int32(p.Last)}
	return d.do("prompt", func() C.int {
		return C.n_prompt(d.m.lib.t, d.d, (*C.nv_row)(at(p.Rows)), (*C.int32_t)(at(p.Tables)), (*C.nv_tile)(at(p.Tiles)),
			(*C.int32_t)(at(p.LogitRows)), (*C.pp_draw)(at(p.Draws)), (*C.int32_t)(at(p.TapRows)), (*C.int32_t)(at(layers)),
			(*C.int32_t)(&n[0]), (*C.float)(at(p.Logits)), (*C.float)(at(p.States)), (*C.pp_choice)(at(p.Choices)))
	})
}

// at is the address of a slice's elements, nil without any.
func at[T any](s []T) unsafe.Pointer {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Pointer(&s[0])
}

// check sees that no copy leaves the slices.
func (p *Prompt) check(z Sizes, s Shape) error {
	switch {
	case len(p.Tables) != len(p.Rows)*z.Table,
		len(p.Choices) != len(p.Draws),
		p.Logits != nil && len(p.Logits) != len(p.LogitRows)*s.Vocab,
		p.States != nil && len(p.States) != len(p.TapLayers)*len(p.TapRows)*s.Hidden:
		return fmt.Errorf("%w: the lengths of a prompt's slices do not fit together", ErrArgument)
	}
	return nil
}

// Profile computes the step in slot n times without a graph and returns the mean
// milliseconds by kind of kernel, in the order of Kinds.
func (d *Decoder) Profile(slot, n int) ([]float32, error) {
	ms := make([]float32, len(Kinds))
	err := d.do("profile", func() C.int { return C.n_profile(d.m.lib.t, d.d, C.int(slot), C.int(n), (*C.float)(&ms[0])) })
	return ms, err
}

// Time replays the step in slot n times, back to back, and returns the mean
// milliseconds: of the whole step, or of its matrix products alone.
func (d *Decoder) Time(slot, n int, productsOnly bool) (float64, error) {
	var ms C.float
	roof := C.int(0)
	if productsOnly {
		roof = 1
	}
	err := d.do("time", func() C.int { return C.n_time(d.m.lib.t, d.d, C.int(slot), C.int(n), roof, &ms) })
	return float64(ms), err
}

func (d *Decoder) do(op string, call func() C.int) error {
	if d.d == nil {
		return ErrClosed
	}
	return d.m.lib.do(op, call)
}
