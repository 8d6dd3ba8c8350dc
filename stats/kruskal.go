package stats

import "fmt"

// KruskalWallisTest is the result of [KruskalWallis].
type KruskalWallisTest struct {
	H              float64 // corrected for ties
	DF             int     // groups - 1
	P              float64 // upper tail of chi-squared with DF degrees of freedom
	N              int     // values in all groups
	EpsilonSquared float64 // H (N+1)/(N^2-1), in [0, 1]
	EtaSquared     float64 // (H - groups + 1)/(N - groups), negative for small H
}

// KruskalWallis tests whether several independent groups have the same
// distribution, by ranks (Kruskal and Wallis 1952), with the correction for ties.
// Give one value per independent unit: repeated measurements of one persona
// entered as separate values inflate H. Effect sizes are those of Tomczak and
// Tomczak (2014).
//
// It is undefined for fewer than 2 groups, if all values are equal, and if no
// group has a second value. An empty group is an error of input.
func KruskalWallis(groups ...[]float64) (KruskalWallisTest, error) {
	const name = "kruskal-wallis"
	var all []float64
	for g, group := range groups {
		if len(group) == 0 {
			return KruskalWallisTest{}, badInput(name, "group %d is empty", g)
		}
		if err := checkValues(name, fmt.Sprintf("group %d", g), group); err != nil {
			return KruskalWallisTest{}, err
		}
		all = append(all, group...)
	}
	if len(groups) < 2 || len(all) <= len(groups) {
		return KruskalWallisTest{}, undefined(name, "%d values in %d groups", len(all), len(groups))
	}
	if isConstant(all) {
		return KruskalWallisTest{}, undefined(name, "all values are equal")
	}
	ranks, ties := midRanks(all)
	n, k := float64(len(all)), float64(len(groups))
	var h float64
	rest := ranks
	for _, group := range groups {
		var sum float64 // of ranks, about its expectation
		for _, r := range rest[:len(group)] {
			sum += r - (n+1)/2
		}
		h += sum * sum / float64(len(group))
		rest = rest[len(group):]
	}
	// 12/(n(n+1)) over the correction 1 - sum(t^3-t)/(n^3-n), as one division.
	h *= 12 * (n - 1) / (n*n*n - n - tieSum(ties, func(t float64) float64 { return t*t*t - t }))
	result := KruskalWallisTest{
		H: h, DF: len(groups) - 1, P: chiSquaredUpperP(h, k-1), N: len(all),
		EpsilonSquared: h * (n + 1) / (n*n - 1),
		EtaSquared:     (h - k + 1) / (n - k),
	}
	return result, finite(name, result.H, result.P)
}
