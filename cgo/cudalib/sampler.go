//go:build cgo

package cudalib

import (
	"errors"
	"time"
)

// Sampler holds the device memory for draws and choices, so that sampling allocates
// nothing. It is for one goroutine.
type Sampler struct {
	k          *Kernels
	n          int
	draws, out Memory
	stream     Stream
	from, to   Event // around the kernel
}

// NewSampler returns a sampler for up to n draws at a time.
func (k *Kernels) NewSampler(n int) (_ *Sampler, err error) {
	s := &Sampler{k: k, n: n}
	defer func() {
		if err != nil {
			_ = s.Close() // the first error is the one to tell
		}
	}()
	if s.stream, err = k.NewStream(); err != nil {
		return nil, err
	}
	for _, e := range []*Event{&s.from, &s.to} {
		if *e, err = k.NewEvent(); err != nil {
			return nil, err
		}
	}
	if s.draws, err = k.Alloc(n * DrawBytes); err != nil {
		return nil, err
	}
	s.out, err = k.Alloc(n * ChoiceBytes)
	return s, err
}

// Sample makes the draws and waits for the choices, one per draw. The logits must be
// complete. Errors of single draws are in the choices.
func (s *Sampler) Sample(l Logits, draws []Draw, choices []Choice) error {
	if len(draws) > s.n || len(choices) < len(draws) {
		return errors.New("cudalib: more draws than the sampler was made for")
	}
	if err := CopyIn(s.k, s.draws, draws, s.stream); err != nil {
		return err
	}
	_ = s.k.Record(s.from, s.stream) // Took tells of errors
	if err := s.k.Sample(l, s.draws, len(draws), s.out, s.stream); err != nil {
		return err
	}
	_ = s.k.Record(s.to, s.stream)
	return CopyOut(s.k, choices[:len(draws)], s.out, s.stream)
}

// Took is how long the last Sample's kernel ran on the device.
func (s *Sampler) Took() (time.Duration, error) {
	ms, err := s.k.Elapsed(s.from, s.to)
	return time.Duration(ms * float64(time.Millisecond)), err
}

// Close frees the memory.
func (s *Sampler) Close() error {
	var errs []error
	for _, m := range []*Memory{&s.draws, &s.out} {
		if *m != 0 {
			errs = append(errs, s.k.Free(*m))
			*m = 0
		}
	}
	for _, e := range []*Event{&s.from, &s.to} {
		if *e != 0 {
			errs = append(errs, s.k.FreeEvent(*e))
			*e = 0
		}
	}
	if s.stream != 0 {
		errs = append(errs, s.k.FreeStream(s.stream))
		s.stream = 0
	}
	return errors.Join(errs...)
}
