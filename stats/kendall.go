package stats

import (
	"cmp"
	"math"
	"slices"
)

// exactKendallN is the largest number of pairs without ties whose p-value is
// computed from the exact null distribution; scipy.stats.kendalltau takes the same.
const exactKendallN = 33

// RankCorrelation is Kendall's tau-b with its test against zero.
type RankCorrelation struct {
	Tau   float64 // tau-b, in [-1, 1]
	P     float64 // two-sided
	N     int     // pairs
	Exact bool    // P is exact, not from the normal approximation
}

// KendallTau returns Kendall's tau-b, which corrects for ties in both vectors, in
// O(n log n) time (Knight 1966). P comes from the exact distribution if there are
// no ties and at most 33 pairs (or at most one discordant or concordant pair), else
// from the normal approximation with the variance corrected for ties (Kendall 1970,
// Rank Correlation Methods). It is undefined for fewer than 2 pairs and if x or y is
// constant.
func KendallTau(x, y []float64) (RankCorrelation, error) {
	const name = "kendall tau"
	if err := checkPaired(name, x, y); err != nil {
		return RankCorrelation{}, err
	}
	if len(x) < 2 {
		return RankCorrelation{}, undefined(name, "needs 2 pairs, got %d", len(x))
	}
	if isConstant(x) || isConstant(y) {
		return RankCorrelation{}, undefined(name, "%s is constant", pick(isConstant(x), "x", "y"))
	}
	discordant, joint := discordantPairs(x, y)
	_, tiesX := midRanks(x)
	_, tiesY := midRanks(y)
	pairs := func(t float64) float64 { return t * (t - 1) / 2 }
	total := pairs(float64(len(x)))
	tiedX, tiedY := tieSum(tiesX, pairs), tieSum(tiesY, pairs)
	score := total - tiedX - tiedY + joint - 2*discordant // concordant - discordant
	result := RankCorrelation{
		Tau: clamp(score/math.Sqrt((total-tiedX)*(total-tiedY)), -1),
		N:   len(x),
	}
	fewer := math.Min(discordant, total-discordant)
	if len(tiesX)+len(tiesY) == 0 && (len(x) <= exactKendallN || fewer <= 1) {
		result.P, result.Exact = kendallExactP(len(x), int(fewer)), true
		return result, nil
	}
	result.P = normalTwoSidedP(score / math.Sqrt(kendallVariance(float64(len(x)), tiesX, tiesY)))
	return result, finite(name, result.Tau, result.P)
}

// discordantPairs counts the pairs ordered one way by x and the other way by y,
// and the pairs tied in both.
func discordantPairs(x, y []float64) (discordant, joint float64) {
	type pair struct{ x, y float64 }
	pairs := make([]pair, len(x))
	for i := range x {
		pairs[i] = pair{x[i], y[i]}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.x, b.x), cmp.Compare(a.y, b.y))
	})
	ys := make([]float64, len(pairs))
	run := 0.0
	for i, p := range pairs {
		ys[i] = p.y
		if i > 0 && p == pairs[i-1] {
			run++ // this pair ties with so many before it
			joint += run
		} else {
			run = 0
		}
	}
	return inversions(ys, make([]float64, len(ys))), joint
}

// inversions sorts x by merging and counts the pairs i < j with x[i] > x[j].
func inversions(x, scratch []float64) (count float64) {
	if len(x) < 2 {
		return 0
	}
	half := len(x) / 2
	count = inversions(x[:half], scratch[:half]) + inversions(x[half:], scratch[half:])
	i, j := 0, half
	for k := range x {
		if j == len(x) || (i < half && x[i] <= x[j]) {
			scratch[k] = x[i]
			i++
			continue
		}
		scratch[k] = x[j]
		j++
		count += float64(half - i)
	}
	copy(x, scratch)
	return count
}

// kendallVariance is the variance of concordant - discordant under independence.
func kendallVariance(n float64, tiesX, tiesY []float64) float64 {
	pairs := func(t float64) float64 { return t * (t - 1) }
	triples := func(t float64) float64 { return t * (t - 1) * (t - 2) }
	spread := func(t float64) float64 { return t * (t - 1) * (2*t + 5) }
	v := (spread(n) - tieSum(tiesX, spread) - tieSum(tiesY, spread)) / 18
	v += tieSum(tiesX, pairs) * tieSum(tiesY, pairs) / (2 * pairs(n))
	if n > 2 {
		v += tieSum(tiesX, triples) * tieSum(tiesY, triples) / (9 * triples(n))
	}
	return v
}

// kendallExactP is twice the probability that a random permutation of n has at
// most c inversions. Inserting element j adds 0 to j-1 inversions, each equally
// likely, so the distribution is a running mean of the one for j-1 elements.
func kendallExactP(n, c int) float64 {
	if 2*c == n*(n-1)/2 {
		return 1 // scores of both signs are at least as extreme as zero
	}
	p := make([]float64, c+1) // p[i] = P(i inversions), cut off above c
	p[0] = 1
	for j := 2; j <= n; j++ {
		next := make([]float64, c+1)
		var window float64
		for i := range next {
			window += p[i]
			if i >= j {
				window -= p[i-j]
			}
			next[i] = window / float64(j)
		}
		p = next
	}
	var tail float64
	for _, v := range p {
		tail += v
	}
	return clamp(2*tail, 0)
}
