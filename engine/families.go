package engine

// family is a set of prompts that begin with the same tokens.
type family struct {
	prefix  int   // tokens in common; 0, or at least minShared
	prompts []int // indices
}

// minShared keeps both parts of a cut prompt at two tokens or more: a piece of
// work with a single row takes another kernel on the CPU, and other bits.
const minShared = 2

// families groups neighbouring prompts that share at least half of their tokens,
// as the prompts of one persona do with different questions.
func families(prompts [][]int32, share bool) []family {
	var out []family
	for i, p := range prompts {
		if n := len(out) - 1; share && n >= 0 {
			f := &out[n]
			common := commonPrefix(p, prompts[f.prompts[0]])
			if len(f.prompts) > 1 {
				common = min(common, f.prefix)
			}
			common = min(common, len(p)-minShared, len(prompts[f.prompts[0]])-minShared)
			if common >= minShared && 2*common >= len(p) {
				f.prefix = common
				f.prompts = append(f.prompts, i)
				continue
			}
		}
		out = append(out, family{prompts: []int{i}})
	}
	return out
}

func commonPrefix(a, b []int32) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
