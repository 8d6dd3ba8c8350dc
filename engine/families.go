package engine

import (
	"cmp"
	"slices"
)

// family is a set of prompts that begin with the same tokens.
type family struct {
	prefix  int   // tokens in common; 0, or at least minShared
	prompts []int // indices
}

// minShared keeps both parts of a cut prompt at two tokens or more: a piece of
// work with a single row takes another kernel on the CPU, and other bits.
const minShared = 2

// families groups neighbouring prompts that share at least half of their tokens,
// as the prompts of one persona do with different questions. Less would not pay: a
// family occupies one sequence, so its prompts are no longer computed together.
func families(readings []Reading, share bool) []family {
	var out []family
	for i, r := range readings {
		if n := len(out) - 1; share && n >= 0 {
			f := &out[n]
			p, first := r.Tokens, readings[f.prompts[0]].Tokens
			common := commonPrefix(p, first)
			if len(f.prompts) > 1 {
				common = min(common, f.prefix)
			}
			common = min(common, len(p)-minShared, len(first)-minShared)
			if common >= minShared && 2*common >= len(p) && f.fits(common, readings) {
				f.prefix = common
				f.prompts = append(f.prompts, i)
				continue
			}
		}
		out = append(out, family{prompts: []int{i}})
	}
	return out
}

// fits reports whether a shorter prefix still leaves every member two tokens and
// spares it half of its work. The first member decides: the others are checked when
// they join, and a prefix that shrinks below half of one of them ends the family.
func (f *family) fits(prefix int, readings []Reading) bool {
	if prefix == f.prefix {
		return true
	}
	for _, i := range f.prompts {
		if 2*prefix < len(readings[i].Tokens) {
			return false
		}
	}
	return true
}

func commonPrefix(a, b []int32) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// batchFamilies groups families of one prefix length, as many as are computed
// together. Those of equal suffixes become neighbours, because only neighbouring
// sequences of one length are computed as one.
func batchFamilies(readings []Reading, all []family, batch int) [][]family {
	slices.SortStableFunc(all, func(a, b family) int {
		return cmp.Or(a.prefix-b.prefix, len(readings[a.prompts[0]].Tokens)-len(readings[b.prompts[0]].Tokens))
	})
	var out [][]family
	for len(all) > 0 {
		limit := stateSequences
		if p := all[0].prefix; p > 0 {
			limit = min(limit, max(1, batch/p))
		}
		n := 1
		for n < len(all) && n < limit && all[n].prefix == all[0].prefix {
			n++
		}
		out = append(out, all[:n])
		all = all[n:]
	}
	return out
}
