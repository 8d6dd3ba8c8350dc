package stats_test

import (
	"errors"
	"fmt"

	"personaprobe/stats" //nolint:depguard // these examples are of the package itself
)

// Cosine with the source and completions with the marker (of 600) of ten personas.
var (
	cosine  = []float64{0.67, 0.73, 0.42, 0.69, -0.27, 0.02, 0.53, -0.24, -0.36, 0.13}
	leaked  = []float64{182, 415, 64, 567, 12, 0, 278, 3, 0, 0}
	letters = []float64{96, 90, 84, 86, 97, 89, 88, 101, 93, 85}
)

func ExampleSpearman() {
	c, err := stats.Spearman(cosine, leaked)
	if err != nil {
		fmt.Println(err)
		return
	}
	interval, err := c.BonettWright(0.95)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("rho = %.3f [%.3f, %.3f], p = %.2g, n = %d\n", c.Coefficient, interval.Lower, interval.Upper, c.P, c.N)
	// Output: rho = 0.828 [0.313, 0.967], p = 0.0031, n = 10
}

// A statistic without a value is an error, so that null, not NaN, gets written.
func ExampleSpearman_undefined() {
	_, err := stats.Spearman(cosine, make([]float64, 10))
	fmt.Println(errors.Is(err, stats.ErrUndefined))
	fmt.Println(err)
	// Output:
	// true
	// spearman: y is constant: statistic undefined
}

func ExamplePartialSpearman() {
	c, err := stats.PartialSpearman(cosine, leaked, letters)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("rho = %.3f, p = %.2g, %d degrees of freedom\n", c.Coefficient, c.P, c.DF)
	// Output: rho = 0.849, p = 0.0038, 7 degrees of freedom
}

func ExamplePermutation() {
	test, err := stats.Permutation{Resamples: 9999, Seed: 42}.Spearman(cosine, leaked)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("p = %.4f from %d permutations\n", test.P, test.Permutations)
	// Output: p = 0.0061 from 9999 permutations
}

// Does cosine at one layer follow leakage more closely than at another?
func ExampleCompareSpearman() {
	earlier := []float64{0.5, 0.2, 0.4, 0.1, -0.1, 0.3, 0.6, 0.05, -0.3, 0.15}
	d, err := stats.CompareSpearman(leaked, cosine, earlier)
	if err != nil {
		fmt.Println(err)
		return
	}
	interval, err := d.Interval(0.95)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f - %.3f = %.3f [%.3f, %.3f], p = %.2g\n", d.First, d.Second, d.Difference, interval.Lower, interval.Upper, d.P)
	// Output: 0.828 - 0.374 = 0.454 [-0.026, 1.125], p = 0.075
}

func ExampleKruskalWallis() {
	k, err := stats.KruskalWallis([]float64{182, 415, 256, 305}, []float64{64, 567, 302, 588}, []float64{12, 0, 3, 17})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("H = %.2f, df = %d, p = %.3f, epsilon squared = %.2f\n", k.H, k.DF, k.P, k.EpsilonSquared)
	// Output: H = 7.54, df = 2, p = 0.023, epsilon squared = 0.69
}

func ExampleKendallW() {
	w, err := stats.KendallW([][]float64{ // (sources, categories)
		{0.9, 0.7, 0.3, 0.1, 0.2},
		{0.5, 0.6, 0.2, 0.0, 0.0},
		{0.8, 0.6, 0.4, 0.2, 0.1},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("W = %.3f, rank sums %v\n", w.W, w.RankSums)
	// Output: W = 0.921, rank sums [4 5 9 13.5 13.5]
}

func ExampleICC() {
	rates := [][]float64{ // (personas, sampling seeds)
		{0.10, 0.12, 0.08},
		{0.45, 0.50, 0.41},
		{0.88, 0.91, 0.86},
		{0.02, 0.00, 0.03},
		{0.63, 0.55, 0.60},
		{0.31, 0.36, 0.29},
	}
	r, err := stats.ICC(rates, stats.ICC31)
	if err != nil {
		fmt.Println(err)
		return
	}
	interval, err := r.Interval(0.95)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v = %.4f [%.4f, %.4f]\n", r.Form, r.Coefficient, interval.Lower, interval.Upper)
	// Output: ICC(3,1) = 0.9905 [0.9604, 0.9986]
}

func ExampleCohenKappa() {
	substring := []bool{true, true, false, false, true, false, true, false, true, false}
	reader := []bool{true, true, false, false, true, true, true, false, false, false}
	k, err := stats.CohenKappa(substring, reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	interval, err := k.Interval(0.95)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("kappa = %.2f [%.2f, %.2f]\n", k.Coefficient, interval.Lower, interval.Upper)
	// Output: kappa = 0.60 [0.10, 1.00]
}

func ExampleWilson() {
	i, err := stats.Wilson(0, 600, 0.95)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("[%.4f, %.4f]\n", i.Lower, i.Upper)
	// Output: [0.0000, 0.0064]
}

// Any statistic of independent units: here the difference of two correlations.
func ExampleBootstrap_Run() {
	difference := func(units []int) (float64, error) {
		x, y, z := make([]float64, len(units)), make([]float64, len(units)), make([]float64, len(units))
		for k, i := range units {
			x[k], y[k], z[k] = cosine[i], leaked[i], letters[i]
		}
		a, err := stats.Spearman(y, x)
		if err != nil {
			return 0, err
		}
		b, err := stats.Spearman(y, z)
		return a.Coefficient - b.Coefficient, err
	}
	r, err := stats.Bootstrap{Resamples: 2000, Seed: 42}.Run(len(cosine), difference)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f [%.2f, %.2f]\n", r.Estimate, r.Lower, r.Upper)
	// Output: 0.97 [-0.05, 1.62]
}

// One persona's completions, clustered by the question that they answer: 1 with the
// marker, 0 without.
func ExampleBootstrap_NestedMean() {
	questions := [][]float64{{1, 1, 1, 0}, {0, 0, 0, 0}, {1, 0, 1, 1}, {0, 1, 0, 0}, {1, 1, 1, 1}, {0, 0, 1, 0}}
	var all []float64
	for _, completions := range questions {
		all = append(all, completions...)
	}
	clustered, err := stats.Bootstrap{Seed: 42}.NestedMean(questions)
	if err != nil {
		fmt.Println(err)
		return
	}
	naive, err := stats.Bootstrap{Seed: 42}.Mean(all)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("rate %.2f [%.2f, %.2f]; as if independent [%.2f, %.2f]\n",
		clustered.Estimate, clustered.Lower, clustered.Upper, naive.Lower, naive.Upper)
	// Output: rate 0.50 [0.21, 0.83]; as if independent [0.29, 0.71]
}

// The correlation over personas where each persona's rate is itself uncertain:
// personas are resampled, and the questions of each.
func ExampleBootstrap_Nested() {
	hits := [][]float64{{9, 3, 6}, {10, 8, 9}, {2, 1, 3}, {10, 10, 8}, {1, 0, 0}, {0, 0, 1}, {5, 4, 6}, {0, 1, 0}}
	sizes := []int{3, 3, 3, 3, 3, 3, 3, 3} // questions of each persona
	r, err := stats.Bootstrap{Resamples: 2000, Seed: 42}.Nested(sizes, func(draws []stats.Draw) (float64, error) {
		x, y := make([]float64, len(draws)), make([]float64, len(draws))
		for k, d := range draws {
			x[k] = cosine[d.Cluster]
			for _, q := range d.Units {
				y[k] += hits[d.Cluster][q]
			}
		}
		c, err := stats.Spearman(x, y)
		return c.Coefficient, err
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("rho = %.2f [%.2f, %.2f]\n", r.Estimate, r.Lower, r.Upper)
	// Output: rho = 0.95 [0.85, 1.00]
}

// The mean rate of several personas that all answered the same questions.
func ExampleBootstrap_CrossedMean() {
	r, err := stats.Bootstrap{Seed: 42}.CrossedMean([][]float64{ // (personas, questions)
		{0.9, 0.3, 0.6, 0.7},
		{1.0, 0.8, 0.9, 0.7},
		{0.2, 0.1, 0.3, 0.0},
		{0.5, 0.4, 0.6, 0.2},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f [%.2f, %.2f]\n", r.Estimate, r.Lower, r.Upper)
	// Output: 0.51 [0.23, 0.79]
}

func ExampleHolm() {
	p, err := stats.Holm([]float64{0.01, 0.04, 0.03, 0.005})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f\n", p)
	// Output: [0.03 0.06 0.06 0.02]
}

func ExampleTheilSen() {
	line, err := stats.TheilSen([]float64{1, 2, 3, 4, 5, 6, 7, 8}, []float64{2.1, 3.9, 6.2, 8.0, 90, 12.1, 13.8, 16.2})
	if err != nil {
		fmt.Println(err)
		return
	}
	interval, err := line.Interval(0.95)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("slope %.2f [%.2f, %.2f]\n", line.Slope, interval.Lower, interval.Upper)
	// Output: slope 2.01 [1.80, 2.30]
}

// Does prompt length say anything about leakage that cosine does not?
func ExampleNestedF() {
	reduced, err := stats.RankRegression(leaked, cosine)
	if err != nil {
		fmt.Println(err)
		return
	}
	full, err := stats.RankRegression(leaked, cosine, letters)
	if err != nil {
		fmt.Println(err)
		return
	}
	test, err := stats.NestedF(reduced, full)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("R2 %.3f to %.3f: F(%d, %d) = %.2f, p = %.2f\n", reduced.R2, full.R2, test.DF1, test.DF2, test.F, test.P)
	// Output: R2 0.686 to 0.727: F(1, 7) = 1.04, p = 0.34
}

func ExampleCrossValidateRanks() {
	folds, err := stats.Folds(len(leaked), 5, 42)
	if err != nil {
		fmt.Println(err)
		return
	}
	cv, err := stats.CrossValidateRanks(folds, leaked, cosine)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("R2 = %.2f over %d folds\n", cv.R2, cv.Folds)
	// Output: R2 = 0.68 over 5 folds
}
