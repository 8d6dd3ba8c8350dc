package stats

import "sort"

// Ranks returns the mid-ranks of x: 1 for the smallest value, and for equal
// values the mean of the positions that they occupy. The result is exact: every
// rank is a multiple of one half. x is not changed; an empty x has no ranks.
func Ranks(x []float64) ([]float64, error) {
	if err := checkValues("ranks", "x", x); err != nil {
		return nil, err
	}
	ranks, _ := midRanks(x)
	return ranks, nil
}

// midRanks also returns the sizes of the groups of equal values that have more
// than one member, in rising order of value: tie corrections need them.
func midRanks(x []float64) (ranks []float64, ties []float64) {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(a, b int) bool { return x[order[a]] < x[order[b]] })
	ranks = make([]float64, len(x))
	for start := 0; start < len(order); {
		end := start + 1
		for end < len(order) && x[order[end]] == x[order[start]] {
			end++
		}
		// Positions start+1 .. end, whose mean is a multiple of one half.
		mid := float64(start+1+end) / 2
		for _, i := range order[start:end] {
			ranks[i] = mid
		}
		if size := end - start; size > 1 {
			ties = append(ties, float64(size))
		}
		start = end
	}
	return ranks, ties
}

// centredRanks returns 2*rank - (n+1): whole numbers of sum zero, so that sums of
// their products are exact up to n of about 200,000 and ties compare exactly.
func centredRanks(x []float64) []float64 {
	ranks, _ := midRanks(x)
	for i := range ranks {
		ranks[i] = 2*ranks[i] - float64(len(x)+1)
	}
	return ranks
}

// tieSum adds f(t) over the sizes of the groups of ties.
func tieSum(ties []float64, f func(t float64) float64) float64 {
	var sum float64
	for _, t := range ties {
		sum += f(t)
	}
	return sum
}
