package sampler

import (
	"math"
	"math/bits"
	"sort"
)

// Sampler chooses tokens without sorting the vocabulary. The zero value is ready;
// it grows its buffers to the largest row it has seen and then allocates nothing.
// A Sampler is not for concurrent use: give each goroutine its own.
type Sampler struct {
	peaks  []float32       // largest logit of each block of the row
	masses []uint64        // (V) mass of each token; stale where the token has none
	edge   []int32         // tokens in the nucleus's last bucket, by rising id
	sums   [buckets]uint64 // mass in each bucket, then in each part of the last one
}

// block is how many neighbouring tokens share a peak. A pass over the row skips the
// blocks whose peak shows that they hold nothing it looks for: nearly all of them,
// when a model is sure of its next token.
const block = 64

// Sample chooses a token from logits (V) with the draw u in [0, 1): the same Choice
// as Reference, bit for bit. It takes two passes over the row, and two over the blocks
// that may hold tokens of the nucleus.
//
// Errors wrap ErrParams, ErrUniform or ErrLogits.
func (s *Sampler) Sample(logits []float32, p Params, u float64) (Choice, error) {
	if err := check(p, u); err != nil {
		return Choice{}, err
	}
	top, ok := s.scan(logits)
	if !ok || p.Temperature == 0 {
		argmax, err := checkLogits(logits)
		if err != nil {
			return Choice{}, err
		}
		return greedy(argmax), nil
	}
	sc := newScale(top, p.Temperature)
	total := s.weigh(logits, sc)
	end := s.nucleus(logits, sc, p.nucleusMass(total))
	token, size := s.draw(logits, end, target(u, end.mass))
	return choice(token, sc.depth(logits[token]), size, end.mass, total), nil
}

// scan fills the peaks and returns the largest of them, and whether the row is
// valid; checkLogits says what is wrong.
func (s *Sampler) scan(logits []float32) (top float32, ok bool) {
	if len(logits) == 0 || len(logits) > maxVocab {
		return 0, false
	}
	s.grow(len(logits))
	top = logits[0]
	for j := range s.peaks {
		b := logits[j*block : min((j+1)*block, len(logits))]
		// Four chains, for speed. The built-in max keeps a NaN, and +Inf stays the largest.
		m0, m1, m2, m3 := b[0], b[0], b[0], b[0]
		for ; len(b) >= 4; b = b[4:] {
			m0, m1, m2, m3 = max(m0, b[0]), max(m1, b[1]), max(m2, b[2]), max(m3, b[3])
		}
		for _, l := range b {
			m0 = max(m0, l)
		}
		s.peaks[j] = max(m0, m1, m2, m3)
		top = max(top, s.peaks[j])
	}
	return top, top >= -math.MaxFloat32 && top <= math.MaxFloat32
}

func (s *Sampler) grow(vocab int) {
	if cap(s.masses) < vocab {
		s.masses = make([]uint64, vocab)
		s.edge = make([]int32, vocab)
		s.peaks = make([]float32, (vocab+block-1)/block)
	}
	s.masses = s.masses[:vocab]
	s.peaks = s.peaks[:(vocab+block-1)/block]
}

// weigh fills the masses and the sums of the buckets and returns the total.
func (s *Sampler) weigh(logits []float32, sc scale) (total uint64) {
	clear(s.sums[:])
	for j, peak := range s.peaks {
		if !(sc.depth(peak) <= buckets-1) {
			continue
		}
		from, to := j*block, min((j+1)*block, len(logits))
		masses := s.masses[from:to]
		for i, l := range logits[from:to] {
			d := sc.depth(l)
			if !(d <= buckets-1) {
				continue
			}
			b, rest := split(d)
			m := mass(b, rest)
			masses[i] = m
			s.sums[b] += m
			total += m
		}
	}
	return total
}

// cut is where the nucleus ends: it holds the tokens with a larger logit, and those
// with this logit and an id up to last.
type cut struct {
	logit float32
	last  int
	mass  uint64 // of the whole nucleus
}

// nucleus finds where the nucleus of mass need ends: the bucket in which the running
// mass reaches need, and then the token.
func (s *Sampler) nucleus(logits []float32, sc scale, need uint64) cut {
	var above uint64
	b := 0
	for above+s.sums[b] < need {
		above += s.sums[b]
		b++
	}
	least, most := lowest(sc, b), float32(sc.top)
	if b > 0 {
		most = unorder(order(lowest(sc, b-1)) - 1)
	}
	if above+s.sums[b] == need { // always so without truncation
		return cut{least, len(logits), need}
	}
	return s.narrow(logits, least, most, above, need)
}

// lowest returns the smallest logit in buckets 0 to b.
func lowest(sc scale, b int) float32 {
	least := order(-math.MaxFloat32)
	n := order(float32(sc.top)) - least
	i := sort.Search(int(n), func(i int) bool {
		d := sc.depth(unorder(least + uint32(i))) //nolint:gosec // at most n
		if !(d <= buckets-1) {
			return false
		}
		bucket, _ := split(d)
		return int(bucket) <= b
	})
	return unorder(least + uint32(i)) //nolint:gosec // at most n
}

// gather lists the tokens with logits in [least, most] and returns the smallest and
// the largest logit found.
func (s *Sampler) gather(logits []float32, least, most float32) (lo, hi float32) {
	s.edge = s.edge[:0]
	lo, hi = most, least
	for j, peak := range s.peaks {
		if peak < least {
			continue
		}
		from := j * block
		for i, l := range logits[from:min(from+block, len(logits))] {
			if l >= least && l <= most {
				s.edge = append(s.edge, int32(from+i)) //nolint:gosec // below maxVocab
				if l < lo {
					lo = l
				}
				if l > hi {
					hi = l
				}
			}
		}
	}
	return lo, hi
}

// narrow finds the token that ends the nucleus in the edge, whose logits lie in
// [least, most], above being the mass of all larger ones. Each turn divides the range
// in at most 1024 parts and keeps the part in which the running mass reaches need, so
// four turns leave one logit on any row.
func (s *Sampler) narrow(logits []float32, least, most float32, above, need uint64) cut {
	least, most = s.gather(logits, least, most)
	lo, hi, edge := order(least), order(most), s.edge
	for lo < hi {
		shift := max(bits.Len32(hi-lo), 10) - 10
		parts := s.sums[:1024] // part 0 holds the largest logits
		clear(parts)
		for _, id := range edge {
			parts[(hi-order(logits[id]))>>shift] += s.masses[id]
		}
		for above+parts[0] < need {
			above += parts[0]
			parts = parts[1:]
			hi -= 1 << shift
		}
		lo = max(lo, hi-(1<<shift-1))
		edge = within(edge, logits, lo, hi)
	}
	n := 0 // ties: the lowest ids go first
	for above += s.masses[edge[0]]; above < need; above += s.masses[edge[n]] {
		n++
	}
	return cut{unorder(hi), int(edge[n]), above}
}

// within keeps, in place, the ids with logits from lo to hi as order gives them. It
// has no branch to mispredict.
func within(ids []int32, logits []float32, lo, hi uint32) []int32 {
	n := 0
	for _, id := range ids {
		ids[n] = id
		if order(logits[id])-lo <= hi-lo {
			n++
		}
	}
	return ids[:n]
}

// draw walks the nucleus by id, and on to its end to count it.
func (s *Sampler) draw(logits []float32, end cut, goal uint64) (token, size int) {
	token = -1
	var sum uint64
	for j, peak := range s.peaks {
		if peak < end.logit {
			continue
		}
		from, to := j*block, min((j+1)*block, len(logits))
		masses := s.masses[from:to]
		for i, l := range logits[from:to] {
			if l < end.logit || l == end.logit && from+i > end.last {
				continue
			}
			size++
			if sum += masses[i]; sum > goal && token < 0 {
				token = from + i
			}
		}
	}
	return token, size
}

// order maps a float to an integer with the same order; -0 and +0, being equal, to one.
// unorder is its inverse, and every integer between two floats stands for a float.
func order(l float32) uint32 {
	b := math.Float32bits(l)
	sign := uint32(int32(b) >> 31) //nolint:gosec // 0, or all bits
	return 1<<31 + ((b &^ (1 << 31)) ^ sign) - sign
}

func unorder(k uint32) float32 {
	if k < 1<<31 {
		return -math.Float32frombits(1<<31 - k)
	}
	return math.Float32frombits(k - 1<<31)
}
