package engine

import "personaprobe/cgo/native"

// blockPool is the blocks of a cache, counted by the sequences that use them.
type blockPool struct {
	free []int32 // the last is taken next
	uses []int32 // by block
}

func newBlockPool(n int) *blockPool {
	p := &blockPool{uses: make([]int32, n)}
	for i := n - 1; i >= 0; i-- {
		p.free = append(p.free, int32(i)) //nolint:gosec // a cache's blocks
	}
	return p
}

// take returns a block with one use, or false if there is none.
func (p *blockPool) take() (int32, bool) {
	n := len(p.free)
	if n == 0 {
		return 0, false
	}
	b := p.free[n-1]
	p.free = p.free[:n-1]
	p.uses[b] = 1
	return b, true
}

// share adds a use to each block.
func (p *blockPool) share(blocks []int32) {
	for _, b := range blocks {
		p.uses[b]++
	}
}

// drop takes a use from each block and frees those without any.
func (p *blockPool) drop(blocks []int32) {
	for _, b := range blocks {
		p.uses[b]--
		switch {
		case p.uses[b] == 0:
			p.free = append(p.free, b)
		case p.uses[b] < 0:
			panic("engine: block freed twice")
		}
	}
}

// pages is a sequence in the cache. The blocks of its first prefix tokens may be
// shared with other sequences, whatever the prefix's length: what follows starts a
// block of its own, so nothing is ever copied. It also means that a token's place, and
// with it the order of attention's sums, depends on its own sequence alone.
type pages struct {
	blocks []int32
	prefix int // tokens in the first part
	shared int // of its blocks
	length int // tokens in all
}

// grow makes room for one more token, in the first part or the second.
func (s *pages) grow(p *blockPool, first bool) bool {
	at := s.length
	if !first {
		at -= s.prefix
	}
	if at%native.Block == 0 {
		b, ok := p.take()
		if !ok {
			return false
		}
		s.blocks = append(s.blocks, b)
	}
	s.length++
	if first {
		s.prefix, s.shared = s.length, len(s.blocks)
	}
	return true
}

// fork makes s a sequence that begins with another's first part.
func (s *pages) fork(p *blockPool, src *pages) {
	s.blocks = append(s.blocks[:0], src.blocks[:src.shared]...)
	p.share(s.blocks)
	s.prefix, s.shared, s.length = src.prefix, src.shared, src.prefix
}

// clear empties the sequence.
func (s *pages) clear(p *blockPool) {
	p.drop(s.blocks)
	*s = pages{blocks: s.blocks[:0]}
}

// tableBlocks is how many blocks a sequence of so many tokens can have: its two parts
// may end in partly filled ones.
func tableBlocks(tokens int) int { return (tokens+native.Block-1)/native.Block + 1 }
