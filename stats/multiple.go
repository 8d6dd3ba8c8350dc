package stats

import (
	"cmp"
	"math"
	"slices"
)

// Bonferroni returns min(1, m*p) for a family of m p-values, which bounds the
// probability of any false rejection.
func Bonferroni(p []float64) ([]float64, error) {
	if err := checkProbabilities("bonferroni", p); err != nil {
		return nil, err
	}
	adjusted := make([]float64, len(p))
	for i, v := range p {
		adjusted[i] = math.Min(1, v*float64(len(p)))
	}
	return adjusted, nil
}

// Holm returns step-down adjusted p-values (Holm 1979): the bound of [Bonferroni]
// with more power, whatever the dependence. Order and length are those of p.
func Holm(p []float64) ([]float64, error) {
	if err := checkProbabilities("holm", p); err != nil {
		return nil, err
	}
	adjusted, highest := make([]float64, len(p)), 0.0
	for position, i := range rising(p) {
		highest = math.Max(highest, math.Min(1, p[i]*float64(len(p)-position)))
		adjusted[i] = highest
	}
	return adjusted, nil
}

// BenjaminiHochberg returns step-up adjusted p-values (Benjamini and Hochberg
// 1995): rejecting those at most q keeps the expected share of false rejections at
// q for independent or positively dependent tests.
func BenjaminiHochberg(p []float64) ([]float64, error) {
	if err := checkProbabilities("benjamini-hochberg", p); err != nil {
		return nil, err
	}
	adjusted, lowest := make([]float64, len(p)), 1.0
	for position, i := range slices.Backward(rising(p)) {
		lowest = math.Min(lowest, p[i]*float64(len(p))/float64(position+1))
		adjusted[i] = lowest
	}
	return adjusted, nil
}

func rising(p []float64) []int {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	return order
}

func checkProbabilities(name string, p []float64) error {
	for i, v := range p {
		if !(v >= 0 && v <= 1) {
			return badInput(name, "p[%d] is %v, not a probability", i, v)
		}
	}
	return nil
}
