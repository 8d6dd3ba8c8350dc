package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
)

const (
	defaultPermutations = 9999

	// exactPermutationN is the most pairs for which all n! permutations are taken:
	// 362,880 for 9.
	exactPermutationN = 9

	// permutationBatch is how many permutations share one random stream.
	permutationBatch = 256
)

// Permutation tests a correlation by permuting one of its vectors, which assumes
// only that pairs are exchangeable under the null hypothesis. With 9 pairs or
// fewer every permutation is taken and P is exact, else P is
// (extreme + 1)/(Resamples + 1), which never understates it (Phipson and Smyth
// 2010), so it cannot fall below 1/(Resamples + 1).
type Permutation struct {
	Resamples int    // random permutations; 0 means 9,999
	Seed      uint64 // same seed, same result
}

// PermutationTest is the result of a [Permutation].
type PermutationTest struct {
	Coefficient  float64
	P            float64 // two-sided: share of permutations with |r| at least as large
	N            int     // pairs
	Permutations int     // permutations taken
	Exact        bool    // all of them
}

// Validate reports a negative number of resamples.
func (p Permutation) Validate() error {
	if p.Resamples < 0 {
		return badInput("permutation", "%d resamples", p.Resamples)
	}
	return nil
}

// Spearman tests Spearman's correlation; undefined where [Spearman] is. Rank sums
// are whole numbers, so permutations as extreme as the data are counted exactly.
func (p Permutation) Spearman(x, y []float64) (PermutationTest, error) {
	c, err := Spearman(x, y)
	if err != nil {
		return PermutationTest{}, err
	}
	return p.test(c, centredRanks(x), centredRanks(y), 0)
}

// Pearson tests Pearson's correlation; undefined where [Pearson] is.
func (p Permutation) Pearson(x, y []float64) (PermutationTest, error) {
	c, err := Pearson(x, y)
	if err != nil {
		return PermutationTest{}, err
	}
	cx, _ := newColumn(x)
	cy, _ := newColumn(y)
	// Sums in another order differ by rounding; equal ones must count as equal.
	return p.test(c, cx.unit, cy.unit, 1e-12)
}

// test compares |x . y| over permutations of y with that of the data, less slack.
func (p Permutation) test(c Correlation, x, y []float64, slack float64) (PermutationTest, error) {
	if err := p.Validate(); err != nil {
		return PermutationTest{}, err
	}
	threshold := math.Abs(floats.Dot(x, y)) - slack
	result := PermutationTest{Coefficient: c.Coefficient, N: c.N}
	if c.N <= exactPermutationN {
		result.Exact = true
		var extreme int
		permutations(slices.Clone(y), func(y []float64) {
			result.Permutations++
			if math.Abs(floats.Dot(x, y)) >= threshold {
				extreme++
			}
		})
		result.P = float64(extreme) / float64(result.Permutations)
		return result, nil
	}
	result.Permutations = p.Resamples
	if result.Permutations == 0 {
		result.Permutations = defaultPermutations
	}
	extreme := p.countExtreme(x, y, threshold, result.Permutations)
	result.P = float64(extreme+1) / float64(result.Permutations+1)
	return result, nil
}

func (p Permutation) countExtreme(x, y []float64, threshold float64, total int) (extreme int) {
	counts := make([]int, (total+permutationBatch-1)/permutationBatch)
	parallel(len(counts), func(batch int) {
		random := newStream(p.Seed, "permutation", batch)
		shuffled := slices.Clone(y)
		for range min(permutationBatch, total-batch*permutationBatch) {
			shuffle(random, shuffled)
			if math.Abs(floats.Dot(x, shuffled)) >= threshold {
				counts[batch]++
			}
		}
	})
	for _, c := range counts {
		extreme += c
	}
	return extreme
}

// permutations calls visit with every order of x, by Heap's algorithm.
func permutations(x []float64, visit func([]float64)) {
	var generate func(k int)
	generate = func(k int) {
		if k <= 1 {
			visit(x)
			return
		}
		for i := range k {
			generate(k - 1)
			if i == k-1 {
				return
			}
			j := 0
			if k%2 == 0 {
				j = i
			}
			x[j], x[k-1] = x[k-1], x[j]
		}
	}
	generate(len(x))
}
