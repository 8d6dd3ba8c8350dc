package engine

import (
	"fmt"
	"log/slog"
	"math"

	"personaprobe/cgo/native"
)

// memorySizes tells how many bytes of the device's memory something takes.
// native.Library does.
type memorySizes interface {
	ModelBytes(s native.Shape) int64
	SetBytes(s native.Shape) int64
	DecoderBytes(s native.Shape, z native.Sizes) int64
}

// nativeSpare is the memory, in bytes, that stays free beside weights and decoders: for
// kernels, graphs and the libraries' own.
const nativeSpare = 512 << 20

// footprint is what the native path takes of a device, in bytes.
type footprint struct {
	free     int64 // of the device, before anything is loaded
	base     int64 // the weights
	set      int64 // one more set of layer matrices, with an adapter merged in
	decoder  int64 // the smallest decoder that serves
	adapters int
}

// sets decides how many sets of merged weights stay on the device: all, if half of the
// memory is left for the cache, and one at least where there are adapters. The error
// wraps native.ErrMemory: what is needed is more than what is free.
func (f *footprint) sets() (int, error) {
	rest := f.free - f.base - f.decoder - nativeSpare // for sets
	n := min(f.adapters, 1)
	if int64(n)*f.set > rest {
		return 0, fmt.Errorf("%w: the weights take %.1f GiB, cache and buffers at least %.1f; %.1f GiB are free",
			native.ErrMemory, gib(f.base+int64(n)*f.set), gib(f.decoder+nativeSpare), gib(f.free))
	}
	for n < f.adapters && f.base+int64(n+1)*f.set <= f.free/2 && int64(n+1)*f.set <= rest {
		n++
	}
	return n, nil
}

func gib(n int64) float64 { return float64(n) / (1 << 30) }

// plan decides what stays on the device, before anything is loaded. The error wraps
// native.ErrMemory where the model would not serve the options.
func (m *nativeModel) plan(o *Options) (err error) {
	f := footprint{
		free:     int64(m.device.Free), //nolint:gosec // bytes of memory
		base:     m.memory.ModelBytes(m.shape),
		set:      m.memory.SetBytes(m.shape),
		decoder:  m.smallest(o),
		adapters: len(m.adapters),
	}
	m.maxSets, err = f.sets()
	return err
}

// smallest is how many bytes the smallest decoder takes that serves the options. It has
// the slots that were asked for, if the length of their sequences was, too, and else one:
// Reserve tells the length of the others, and how many fit is known then. It must do for
// hidden states as well.
func (m *nativeModel) smallest(o *Options) int64 {
	tokens, rows := o.withDefaults(m.shape.Context, true).Context, 1
	if o.Context > 0 {
		rows = max(o.Slots, 1)
	}
	if m.shape.Context > 0 {
		tokens = min(tokens, m.shape.Context) // Reserve refuses more
	}
	return max(m.decoderBytes(m.sizes(rows, tokens)), m.decoderBytes(stateSizes(tokens, 1)))
}

// decoderBytes is what a decoder takes, more than there is where its sizes are beyond
// the library's numbers.
func (m *nativeModel) decoderBytes(z native.Sizes) int64 {
	if z.Rows > math.MaxInt32 || z.Blocks > math.MaxInt32 {
		return math.MaxInt64 / 4
	}
	return m.memory.DecoderBytes(m.shape, z)
}

// left is how much of the device's memory the weights leave.
func (m *nativeModel) left() int64 {
	weights := m.memory.ModelBytes(m.shape) + int64(m.maxSets)*m.memory.SetBytes(m.shape)
	return int64(m.device.Free) - weights //nolint:gosec // bytes of memory
}

// needs is how many bytes a decoder of these sizes takes with what stays free beside it.
func (m *nativeModel) needs(z native.Sizes) int64 {
	return m.decoderBytes(z) + nativeSpare
}

// fitting is the largest number of rows, at most want, that fits the device's
// memory beside the weights, and 0 if none does.
func (m *nativeModel) fitting(want, tokens int) int {
	left := m.left()
	for rows := want; rows > 0; rows -= max(rows/8, 1) {
		if m.needs(m.sizes(rows, tokens)) <= left {
			return rows
		}
	}
	return 0
}

// fit checks that the slots fit the device. A number that the caller left open becomes
// what fits, another is an error that says how many would.
func (m *nativeModel) fit(o *Options, open bool) error {
	if open {
		if fits := m.fitting(nativeRows, o.Context); fits > 0 {
			if fits < nativeRows && fits != o.Slots {
				slog.Warn("fewer sequences than usual fit the GPU", "sequences", fits, "tokens", o.Context, "free", m.left())
			}
			o.Slots = fits
			return nil
		}
		o.Slots = 1
	}
	fits := m.fitting(o.Slots, o.Context)
	if fits == o.Slots {
		return nil
	}
	return fmt.Errorf("%w: %d sequences of %d tokens need %.1f GiB beside the weights, %.1f GiB are free: about %d fit; give fewer slots or a shorter context",
		native.ErrMemory, o.Slots, o.Context, gib(m.needs(m.sizes(o.Slots, o.Context))), gib(m.left()), fits)
}

// newNativeDecoder opens a decoder beside that of the lanes, or in its place if both do
// not fit: Generate opens the lanes again.
func (e *Engine) newNativeDecoder(z native.Sizes) (*native.Decoder, error) {
	m := e.native
	if len(e.lanes) > 0 {
		lanes := m.decoderBytes(m.sizes(e.opts.Slots, e.opts.Context))
		if lanes+m.needs(z) > m.left() {
			e.closeLanes()
		}
	}
	return m.model.NewDecoder(z)
}
