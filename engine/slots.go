package engine

import "math/bits"

// slots is the set of free slots. The lowest is taken first, which keeps the
// occupied ones dense: llama.cpp computes runs of neighbouring slots together.
type slots struct {
	words []uint64 // bit i%64 of word i/64: slot i is free
	free  int
}

func newSlots(n int) *slots {
	s := &slots{words: make([]uint64, (n+63)/64)}
	for i := range n {
		s.put(i)
	}
	return s
}

// take removes and returns the lowest free slot; there must be one.
func (s *slots) take() int {
	for i, w := range s.words {
		if w != 0 {
			bit := bits.TrailingZeros64(w)
			s.words[i] &^= 1 << bit
			s.free--
			return 64*i + bit
		}
	}
	panic("engine: no free slot")
}

func (s *slots) put(i int) {
	if s.words[i/64]&(1<<(i%64)) != 0 {
		panic("engine: slot freed twice")
	}
	s.words[i/64] |= 1 << (i % 64)
	s.free++
}
