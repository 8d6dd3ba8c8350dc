package engine

// span is a run of neighbouring slots lo <= slot < hi.
type span struct{ lo, hi int }

// maxGap is how many idle slots between two occupied ones are computed as
// padding. llama.cpp takes each run of neighbouring slots as a piece of work of
// its own; a longer gap costs more rows than another piece costs overhead.
const maxGap = 8

// spans covers the occupied slots (rising, of total) with as few runs as maxGap
// allows, each of at least two slots. Runs do not touch.
func spans(occupied []int, total int) []span {
	var out []span
	for _, s := range occupied {
		if n := len(out); n > 0 && s-out[n-1].hi <= maxGap {
			out[n-1].hi = s + 1
		} else {
			out = append(out, span{s, s + 1})
		}
	}
	for i := range out {
		switch {
		case out[i].hi-out[i].lo > 1:
		case out[i].hi < total:
			out[i].hi++
		default:
			out[i].lo--
		}
	}
	return out
}
