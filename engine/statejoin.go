package engine

import "slices"

// stateRows are states of neighbouring tokens, by layer, (tokens, hidden).
type stateRows [][]float32

// piece is a run of a reading's tokens to be computed in a sequence.
type piece struct {
	seq, reading int
	from, to     int // tokens
	lo           int // those at lo and behind are wanted
	rows         stateRows
}

// wanted is how many of the piece's rows are.
func (p *piece) wanted() int { return p.to - max(p.from, min(p.lo, p.to)) }

// stateJoin puts readings together from the rows of their pieces.
type stateJoin struct {
	hidden int
	out    [][]float32 // by layer: what is handed over
	sums   []float64   // (hidden)
}

func newStateJoin(layers, hidden int) stateJoin {
	return stateJoin{hidden: hidden, out: make([][]float32, layers), sums: make([]float64, hidden)}
}

// join makes a reading's states of the rows of its prefix and its own.
func (r *stateJoin) join(reading *Reading, prefix, own *piece) {
	skip := (reading.From - prefix.lo) * r.hidden // of the prefix's rows, which another reading wanted
	for k := range r.out {
		before := prefix.rows[k][min(skip, len(prefix.rows[k])):]
		switch {
		case reading.Mean:
			r.out[k] = r.mean(r.out[k][:0], before, own.rows[k])
		case len(before) == 0:
			r.out[k] = append(r.out[k][:0], own.rows[k]...)
		default:
			r.out[k] = append(append(r.out[k][:0], before...), own.rows[k]...)
		}
	}
}

// mean appends the mean of all rows. The sum goes from row to row, so that it has the
// same bits wherever the rows are cut.
func (r *stateJoin) mean(dst []float32, parts ...[]float32) []float32 {
	clear(r.sums)
	n := 0
	for _, rows := range parts {
		for row := range slices.Chunk(rows, r.hidden) {
			for i, x := range row {
				r.sums[i] += float64(x)
			}
			n++
		}
	}
	for _, s := range r.sums {
		dst = append(dst, float32(s/float64(n)))
	}
	return dst
}
