//go:build cgo

package cudalib

import (
	"errors"
	"fmt"
)

// Merger adds adapters into a model's weights in place, one at a time, and takes them
// out again. It keeps a copy of every weight that it has changed, so the base comes
// back bit by bit. It is for one goroutine, and nothing may compute with the weights
// meanwhile.
type Merger struct {
	k      *Kernels
	base   map[Memory]saved // by the weight's address
	merged []Pair           // what the weights hold now
	stream Stream
}

type saved struct {
	copy  Memory
	bytes int
}

// NewMerger returns a merger for one model, whose weights are now the base.
func (k *Kernels) NewMerger() (*Merger, error) {
	stream, err := k.NewStream()
	return &Merger{k: k, base: map[Memory]saved{}, stream: stream}, err
}

// Set makes the weights base + times x the change of the pairs; no pairs restore the
// base. After an error the weights are the base again, unless the device is lost. The
// error may be that the copies do not fit.
func (m *Merger) Set(pairs []Pair, times float64) error {
	err := m.set(pairs, times)
	if err != nil {
		if e := m.set(nil, 0); e != nil {
			return errors.Join(err, e)
		}
	}
	return err
}

func (m *Merger) set(pairs []Pair, times float64) error {
	for i := range pairs {
		if err := m.save(&pairs[i]); err != nil {
			return err
		}
	}
	keep := make(map[Memory]bool, len(pairs))
	for i := range pairs {
		keep[pairs[i].W] = true
	}
	for i := range m.merged {
		if w := m.merged[i].W; !keep[w] {
			if err := m.k.CopyWithin(w, m.base[w].copy, m.base[w].bytes, m.stream); err != nil {
				return err
			}
		}
	}
	m.merged = append(m.merged, pairs...) // in case of an error below: all that may be changed
	for i := range pairs {
		p := pairs[i]
		if err := m.k.Merge(p.W, m.base[p.W].copy, p, times, m.stream); err != nil {
			return err
		}
	}
	if err := m.k.Wait(m.stream); err != nil {
		return err
	}
	m.merged = append(m.merged[:0], pairs...)
	return nil
}

// save copies a weight that has never been changed.
func (m *Merger) save(p *Pair) error {
	if _, ok := m.base[p.W]; ok {
		return nil
	}
	c, err := m.k.Alloc(p.Bytes)
	if err != nil {
		return fmt.Errorf("copy of the base weights: %w", err)
	}
	m.base[p.W] = saved{c, p.Bytes}
	return m.k.CopyWithin(c, p.W, p.Bytes, m.stream)
}

// Close restores the base and frees the copies.
func (m *Merger) Close() error {
	errs := []error{m.Set(nil, 0)}
	for w, s := range m.base {
		errs = append(errs, m.k.Free(s.copy))
		delete(m.base, w)
	}
	return errors.Join(append(errs, m.k.FreeStream(m.stream))...)
}
