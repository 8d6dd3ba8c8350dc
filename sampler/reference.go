package sampler

import (
	"math"
	"slices"
)

// Choice is a sampled token and what the distribution looked like. All but LogProb
// have the same bits on every machine; math.Log has them on every machine of one
// architecture.
type Choice struct {
	Token       int32   // token id: index into the logits
	LogProb     float64 // ln p of the token at this temperature, before top-p truncation; 0 when greedy
	NucleusSize int     // number of tokens the draw was among
	NucleusMass float64 // probability of those tokens together, in (0, 1]; 1 without truncation
}

// Reference chooses a token from logits (V) with the draw u in [0, 1). It is the
// definition in the package comment written down plainly, with a full sort of the
// vocabulary; Sampler gives the same Choice faster.
//
// Errors wrap ErrParams, ErrUniform or ErrLogits.
func Reference(logits []float32, p Params, u float64) (Choice, error) {
	if err := check(p, u); err != nil {
		return Choice{}, err
	}
	argmax, err := checkLogits(logits)
	if err != nil {
		return Choice{}, err
	}
	if p.Temperature == 0 {
		return greedy(argmax), nil
	}

	s := newScale(logits[argmax], p.Temperature)
	masses := make([]uint64, len(logits))
	var order []int // ids of the tokens that have mass
	var total uint64
	for i, l := range logits {
		if d := s.depth(l); d <= buckets-1 {
			masses[i] = mass(split(d))
			total += masses[i]
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return 0 // stable: the lower id stays first; +0 and -0 are equal
	})

	need := p.nucleusMass(total)
	var kept uint64
	size := 0
	for kept < need { // the token that reaches need stays in
		kept += masses[order[size]]
		size++
	}
	nucleus := order[:size]
	slices.Sort(nucleus)

	goal := target(u, kept)
	var sum uint64
	for _, i := range nucleus {
		if sum += masses[i]; sum > goal {
			return choice(i, s.depth(logits[i]), size, kept, total), nil
		}
	}
	panic("sampler: unreachable: the target lies below the kept mass")
}

func greedy(argmax int) Choice {
	return Choice{Token: int32(argmax), NucleusSize: 1, NucleusMass: 1} //nolint:gosec // below maxVocab
}

// choice takes the log-probability from the depth, not from the mass: a small mass
// has few bits.
func choice(token int, depth float64, size int, kept, total uint64) Choice {
	return Choice{
		Token:       int32(token),                                                              //nolint:gosec // below maxVocab
		LogProb:     0 - (float64(depth*(math.Ln2/perOct)) + math.Log(float64(total)*0x1p-44)), // 0 −: no -0
		NucleusSize: size,
		NucleusMass: float64(kept) / float64(total),
	}
}
