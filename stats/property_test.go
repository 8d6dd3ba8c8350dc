package stats

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// smallInts draws n whole numbers with many ties, on which arithmetic is exact.
func smallInts(n int) *rapid.Generator[[]float64] {
	return rapid.SliceOfN(rapid.Map(rapid.IntRange(-9, 9), func(i int) float64 { return float64(i) }), n, n)
}

func mapped(x []float64, f func(float64) float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = f(v)
	}
	return y
}

func same[T any](t *rapid.T, what string, a T, errA error, b T, errB error) {
	t.Helper()
	if (errA == nil) != (errB == nil) {
		t.Fatalf("%s: %v and %v", what, errA, errB)
	}
	if !cmp.Equal(a, b) {
		t.Fatalf("%s: %v and %v", what, a, b)
	}
}

func TestRankStatisticsIgnoreMonotoneMaps(t *testing.T) {
	increasing := []func(float64) float64{
		math.Exp,
		func(v float64) float64 { return v * v * v },
		func(v float64) float64 { return 3*v - 1e6 },
		func(v float64) float64 { return math.Atan(v) / 600 },
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 30).Draw(t, "n")
		x, y, z := smallInts(n).Draw(t, "x"), smallInts(n).Draw(t, "y"), smallInts(n).Draw(t, "z")
		f := rapid.SampledFrom(increasing).Draw(t, "f")
		fx := mapped(x, f)
		s, errS := Spearman(x, y)
		fs, errF := Spearman(fx, y)
		same(t, "spearman", s, errS, fs, errF)
		k, errK := KendallTau(x, y)
		fk, errF := KendallTau(fx, y)
		same(t, "kendall", k, errK, fk, errF)
		p, errP := PartialSpearman(y, z, x)
		fp, errF := PartialSpearman(y, z, fx)
		same(t, "partial", p, errP, fp, errF)
		h, errH := KruskalWallis(x[:n/2], x[n/2:])
		fh, errF := KruskalWallis(fx[:n/2], fx[n/2:])
		same(t, "kruskal-wallis", h, errH, fh, errF)
		w, errW := KendallW([][]float64{x, y, z})
		fw, errF := KendallW([][]float64{fx, y, z})
		same(t, "kendall w", w, errW, fw, errF)
	})
}

func TestCorrelationsAreSymmetric(t *testing.T) {
	negate := func(v float64) float64 { return -v }
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 40).Draw(t, "n")
		x, y := smallInts(n).Draw(t, "x"), smallInts(n).Draw(t, "y")
		a, errA := Spearman(x, y)
		b, errB := Spearman(y, x)
		same(t, "spearman", a, errA, b, errB)
		b, errB = Spearman(mapped(x, negate), y)
		b.Coefficient = -b.Coefficient
		same(t, "spearman of -x", a, errA, b, errB)
		k, errK := KendallTau(x, y)
		l, errL := KendallTau(y, x)
		same(t, "kendall", k, errK, l, errL)
		p, errP := Pearson(x, y)
		q, errQ := Pearson(y, x)
		same(t, "pearson", p, errP, q, errQ)
	})
}

func TestPerfectAgreementIsExactlyOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SliceOfNDistinct(rapid.Float64Range(-1e3, 1e3), 3, 200, rapid.ID).Draw(t, "x")
		s, err := Spearman(x, mapped(x, math.Atan))
		if err != nil || s.Coefficient != 1 || s.P > 1e-6 && len(x) > 20 {
			t.Fatalf("rho %v, %v", s, err)
		}
		if _, err := s.T(); !errors.Is(err, ErrUndefined) {
			t.Fatalf("t at rho 1: %v", err)
		}
		k, err := KendallTau(x, x)
		if err != nil || k.Tau != 1 {
			t.Fatalf("tau %v, %v", k, err)
		}
		w, err := KendallW([][]float64{x, x, x})
		if err != nil || w.W != 1 {
			t.Fatalf("W %v, %v", w.W, err)
		}
	})
}

// TestKendallAgainstPairs compares the merge sort with the definition.
func TestKendallAgainstPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 40).Draw(t, "n")
		x, y := smallInts(n).Draw(t, "x"), smallInts(n).Draw(t, "y")
		var score, untiedX, untiedY float64
		for i := range n {
			for j := range i {
				dx, dy := sign(x[i]-x[j]), sign(y[i]-y[j])
				score += dx * dy
				untiedX += dx * dx
				untiedY += dy * dy
			}
		}
		k, err := KendallTau(x, y)
		if untiedX*untiedY == 0 {
			if !errors.Is(err, ErrUndefined) {
				t.Fatal(err)
			}
			return
		}
		if want := score / math.Sqrt(untiedX*untiedY); math.Abs(k.Tau-want) > 1e-14 {
			t.Fatalf("tau %v, want %v", k.Tau, want)
		}
	})
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

// TestPartialAgainstFormula compares one covariate with the textbook formula and
// many covariates with its recursion.
func TestPartialAgainstFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(8, 40).Draw(t, "n")
		x, y, z, w := smallInts(n).Draw(t, "x"), smallInts(n).Draw(t, "y"), smallInts(n).Draw(t, "z"), smallInts(n).Draw(t, "w")
		rho := func(a, b []float64) float64 {
			c, err := Spearman(a, b)
			if err != nil {
				t.Skip("constant")
			}
			return c.Coefficient
		}
		formula := func(xy, xz, yz float64) float64 { return (xy - xz*yz) / math.Sqrt((1-xz*xz)*(1-yz*yz)) }
		one := formula(rho(x, y), rho(x, z), rho(y, z))
		two := formula(one, formula(rho(x, w), rho(x, z), rho(w, z)), formula(rho(y, w), rho(y, z), rho(w, z)))
		for _, c := range []struct {
			want float64
			held [][]float64
		}{{one, [][]float64{z}}, {two, [][]float64{z, w}}} {
			got, err := PartialSpearman(x, y, c.held...)
			if err == nil && math.Abs(got.Coefficient-c.want) > 1e-9 || err != nil && !errors.Is(err, ErrUndefined) {
				t.Fatalf("%v, %v, want %v", got.Coefficient, err, c.want)
			}
		}
	})
}

// TestKendallWIsMeanSpearman: without ties W = (1 + (m-1) mean rho)/m.
func TestKendallWIsMeanSpearman(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, n := rapid.IntRange(2, 5).Draw(t, "m"), rapid.IntRange(3, 9).Draw(t, "n")
		scores := make([][]float64, m)
		for i := range scores {
			scores[i] = make([]float64, n)
			for j, v := range rapid.Permutation(upTo(n)).Draw(t, "ranks") {
				scores[i][j] = float64(v)
			}
		}
		var sum, pairs float64
		for i := range m {
			for j := range i {
				c, _ := Spearman(scores[i], scores[j])
				sum += c.Coefficient
				pairs++
			}
		}
		w, err := KendallW(scores)
		if want := (1 + float64(m-1)*sum/pairs) / float64(m); err != nil || math.Abs(w.W-want) > 1e-12 {
			t.Fatalf("W %v, %v, want %v", w.W, err, want)
		}
	})
}

func TestClopperPearsonInvertsTheTails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 400).Draw(t, "n")
		k := rapid.IntRange(0, n).Draw(t, "k")
		i, err := ClopperPearson(k, n, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		var atLeast, atMost float64
		for j := range n + 1 {
			if j >= k {
				atLeast += binomialPMF(j, n, i.Lower)
			}
			if j <= k {
				atMost += binomialPMF(j, n, i.Upper)
			}
		}
		if k > 0 && math.Abs(atLeast-0.025) > 1e-9 || k < n && math.Abs(atMost-0.025) > 1e-9 {
			t.Fatalf("%v: tails %v and %v", i, atLeast, atMost)
		}
	})
}

func binomialPMF(k, n int, p float64) float64 {
	if p == 0 || p == 1 {
		return map[bool]float64{true: 1}[float64(k) == p*float64(n)]
	}
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return math.Exp(a - b - c + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}

func TestAdjustedPValuesAreOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOf(rapid.Float64Range(0, 1)).Draw(t, "p")
		bonferroni, _ := Bonferroni(p)
		holm, _ := Holm(p)
		bh, _ := BenjaminiHochberg(p)
		for i := range p {
			if !(p[i] <= bh[i]*(1+1e-15) && bh[i] <= holm[i]*(1+1e-15) && holm[i] <= bonferroni[i] && bonferroni[i] <= 1) {
				t.Fatalf("%v: %v, %v, %v", p[i], bh[i], holm[i], bonferroni[i])
			}
		}
	})
}

func TestPermutationAgreesWithT(t *testing.T) {
	random := newNormals(7)
	for _, slope := range []float64{0, 0.05, 0.1, 0.15} {
		x, y := make([]float64, 300), make([]float64, 300)
		for i := range x {
			x[i] = random.next()
			y[i] = slope*x[i] + random.next()
		}
		for name, pair := range map[string]struct {
			exact func(x, y []float64) (PermutationTest, error)
			limit func(x, y []float64) (Correlation, error)
		}{
			"spearman": {Permutation{Resamples: 4000}.Spearman, Spearman},
			"pearson":  {Permutation{Resamples: 4000}.Pearson, Pearson},
		} {
			p, c := ok[PermutationTest](t)(pair.exact(x, y)), ok[Correlation](t)(pair.limit(x, y))
			// Five standard errors of a share of 4,000, and the +1 of its definition.
			if margin := 5*math.Sqrt(c.P*(1-c.P)/4000) + 1.0/4001; math.Abs(p.P-c.P) > margin {
				t.Errorf("%s at slope %v: permutation %v, t %v", name, slope, p.P, c.P)
			}
		}
	}
}

func TestResamplingIgnoresGOMAXPROCS(t *testing.T) {
	random := newNormals(3)
	x, y := make([]float64, 25), make([]float64, 25)
	for i := range x {
		x[i], y[i] = random.next(), random.next()
	}
	run := func(procs int) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		b := Bootstrap{Resamples: 500, Seed: 42}
		p := ok[PermutationTest](t)(Permutation{Resamples: 1000, Seed: 42}.Spearman(x, y))
		table := [][]float64{x[:5], x[5:10], x[10:15], y[:5]}
		return fmt.Sprintln(p, ok[BootstrapResult](t)(b.Spearman(x, y)), ok[BootstrapResult](t)(b.NestedMean(table)),
			ok[BootstrapResult](t)(b.CrossedMean(table)), ok[[]int](t)(Folds(20, 4, 42)))
	}
	one := run(1)
	for _, procs := range []int{2, 7} {
		if got := run(procs); got != one {
			t.Errorf("GOMAXPROCS %d: %s, with 1: %s", procs, got, one)
		}
	}
}

// TestRandomNumbersAreFixed holds the numbers themselves, so that a change of the
// generator, which changes every published interval, cannot pass unseen.
func TestRandomNumbersAreFixed(t *testing.T) {
	s := newStream(42, "bootstrap", 7)
	index := make([]int, 12)
	s.fill(index, 1000)
	want := []int{121, 530, 543, 544, 285, 550, 548, 28, 327, 967, 392, 83}
	if !slices.Equal(index, want) {
		t.Errorf("drew %v, want %v", index, want)
	}
}

// TestBelowIsUniform: chi-squared over 7 cells of 70,000 draws.
func TestBelowIsUniform(t *testing.T) {
	s, counts, chi2 := newStream(1, "test", 0), make([]float64, 7), 0.0
	for range 70000 {
		counts[s.below(7)]++
	}
	for _, c := range counts {
		chi2 += square(c-10000) / 10000
	}
	if p := chiSquaredUpperP(chi2, 6); p < 1e-4 {
		t.Errorf("counts %v, p %v", counts, p)
	}
}

// TestPublishedComparisons: Meng, Rosenthal and Rubin (1992) give Z = 1.68 for
// correlations .63 and -.03 with -.19 between, n = 15; Zou (2007) the interval
// (-.093, .517) for .396 and .179 with .088 between, n = 66.
func TestPublishedComparisons(t *testing.T) {
	one := func(float64) float64 { return 1 }
	meng := ok[CorrelationDifference](t)(newDifference("test", 0.63, -0.03, -0.19, 15, one))
	if math.Abs(meng.Z-1.68) > 0.005 {
		t.Errorf("Z = %v", meng.Z)
	}
	zou := ok[CorrelationDifference](t)(newDifference("test", 0.396, 0.179, 0.088, 66, one))
	i := ok[Interval](t)(zou.Interval(0.95))
	if math.Abs(i.Lower+0.093) > 5e-4 || math.Abs(i.Upper-0.517) > 5e-4 {
		t.Errorf("interval %v", i)
	}
}

// TestComparisonWithOppositePredictors: f is cut at 1, where h is 1 too.
func TestComparisonWithOppositePredictors(t *testing.T) {
	d := ok[CorrelationDifference](t)(newDifference("test", 0.7, -0.7, -0.9, 30, func(float64) float64 { return 1 }))
	coefficient(t, "Z", d.Z, 2*math.Atanh(0.7)*math.Sqrt(27/(2*1.9)))
}

func TestBadInputIsNamed(t *testing.T) {
	nan, tenth := math.NaN(), 0.1 // a variable, or the compiler adds exactly
	for _, c := range []struct {
		err  error
		kind error
		text string
	}{
		{second(Spearman([]float64{1, 2}, []float64{1})), ErrInput, "x has 2 values and y has 1"},
		{second(Spearman([]float64{1, nan, 3}, []float64{1, 2, 3})), ErrInput, "x[1] is NaN"},
		{second(Spearman([]float64{1, 2}, []float64{1, 2})), ErrUndefined, "needs 3 pairs, got 2"},
		{second(Spearman([]float64{1, 1, 1}, []float64{1, 2, 3})), ErrUndefined, "x is constant"},
		{second(Pearson([]float64{tenth + 0.2, 0.3, 0.3}, []float64{1, 2, 3})), ErrUndefined, "x varies by rounding only"},
		{second(PartialSpearman([]float64{1, 2, 3, 4, 5}, []float64{2, 1, 3, 5, 4}, []float64{1, 1, 1, 1, 1})), ErrUndefined, "covariate 0 is constant"},
		{second(PartialSpearman([]float64{1, 2, 3, 4, 5, 6}, []float64{2, 1, 3, 5, 4, 6}, []float64{1, 3, 2, 5, 4, 6}, []float64{2, 6, 4, 10, 8, 12})), ErrUndefined, "covariate 1 is a linear combination"},
		{second(PartialSpearman([]float64{1, 2, 3, 4, 5}, []float64{2, 1, 3, 5, 4}, []float64{2, 4, 6, 8, 9})), ErrUndefined, "the covariates determine x"},
		{second(ICC([][]float64{{1, 2}, {1}}, ICC31)), ErrInput, "row 1 has 1 values and row 0 has 2"},
		{second(Wilson(3, 2, 0.95)), ErrInput, "3 successes in 2 trials"},
		{second(Wilson(0, 0, 0.95)), ErrUndefined, "no trials"},
		{second(Wilson(1, 2, 95)), ErrInput, "level 95"},
		{second(Holm([]float64{0.1, 1.5})), ErrInput, "p[1] is 1.5"},
		{second(KruskalWallis([]float64{1, 2}, nil)), ErrInput, "group 1 is empty"},
		{second(Bootstrap{Resamples: -1}.Mean([]float64{1, 2, 3})), ErrInput, "-1 resamples"},
		{second(Bootstrap{}.Mean([]float64{0, 0, 0, 0, 0})), ErrUndefined, "never changes"},
		{second(KendallW([][]float64{{1, 1, 1}, {2, 2, 2}})), ErrUndefined, "every judge gave all items the same score"},
		{second(CohenKappa([]float64{nan, 1}, []float64{1, 1})), ErrInput, "label NaN of item 0"},
		{second(TheilSen(make([]float64, 20000), make([]float64, 20000))), ErrInput, "too many slopes"},
		{second(CohenKappa([]string{"a", "a"}, []string{"a", "a"})), ErrUndefined, "same label"},
		{second(Bootstrap{Resamples: 9}.Run(3, func([]int) (float64, error) { return nan, nil })), ErrInput, "returned NaN"},
	} {
		if !errors.Is(c.err, c.kind) || !strings.Contains(c.err.Error(), c.text) {
			t.Errorf("%v: want %v with %q", c.err, c.kind, c.text)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestBootstrapCountsUndefinedResamples(t *testing.T) {
	calls := func(share float64) (BootstrapResult, error) {
		return Bootstrap{Resamples: 1000, Method: Percentile}.Run(10, func(units []int) (float64, error) {
			var sum float64
			for _, u := range units {
				sum += float64(u)
			}
			if math.Mod(sum, 100) < share*100 {
				return 0, undefined("test", "left out")
			}
			return sum, nil
		})
	}
	r := ok[BootstrapResult](t)(calls(0.3))
	if r.Undefined == 0 || r.Undefined > 100 {
		t.Errorf("%d resamples undefined", r.Undefined)
	}
	if _, err := calls(0.4); !errors.Is(err, ErrUndefined) {
		t.Errorf("too many undefined resamples: %v", err)
	}
	broken := errors.New("broken")
	if _, err := (Bootstrap{Resamples: 10}).Run(4, func([]int) (float64, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("the statistic's own error is lost: %v", err)
	}
}

func TestPercentileOfAConstantIsTheConstant(t *testing.T) {
	r := ok[BootstrapResult](t)(Bootstrap{Resamples: 50, Method: Percentile}.Mean([]float64{0, 0, 0, 0, 0}))
	if r.Lower != 0 || r.Upper != 0 || r.SE != 0 {
		t.Errorf("%+v", r)
	}
}

func TestICCOfIdenticalColumnsIsOne(t *testing.T) {
	table := [][]float64{{0.1, 0.1, 0.1}, {0.7, 0.7, 0.7}, {0.3, 0.3, 0.3}}
	for form := ICC11; form <= ICC3K; form++ {
		r := ok[Reliability](t)(ICC(table, form))
		i := ok[Interval](t)(r.Interval(0.95))
		if r.Coefficient != 1 || i.Lower != 1 || i.Upper != 1 {
			t.Errorf("%v: %v %v", form, r.Coefficient, i)
		}
		if _, err := r.FTest(); !errors.Is(err, ErrUndefined) {
			t.Errorf("%v: F without error variance: %v", form, err)
		}
	}
}

// TestICCOfIdenticalRowsIsUndefined: the mean squares of rows and error are zero but
// for rounding, and their ratio would be any number.
func TestICCOfIdenticalRowsIsUndefined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := rapid.SliceOfN(rapid.Float64Range(-1, 1), 2, 6).Draw(t, "row")
		table := make([][]float64, rapid.IntRange(2, 9).Draw(t, "rows"))
		for i := range table {
			table[i] = row
		}
		for form := ICC11; form <= ICC3K; form++ {
			if r, err := ICC(table, form); !errors.Is(err, ErrUndefined) {
				t.Fatalf("%v = %v, %v", form, r.Coefficient, err)
			}
		}
	})
}

// TestExactFitHasNoError: residuals that are rounding of zero must not give a slope a
// standard error of 1e-17 and a p-value of nothing.
func TestExactFitHasNoError(t *testing.T) {
	x := []float64{0.1, 0.7, 0.3, 0.9, 0.2}
	fit := ok[Regression](t)(OLS(mapped(x, func(v float64) float64 { return 0.3*v + 0.1 }), x))
	coefficient(t, "slope", fit.Slopes[0].Value, 0.3)
	if fit.RSS != 0 || fit.R2 != 1 {
		t.Errorf("RSS %v, R2 %v", fit.RSS, fit.R2)
	}
	if p, err := fit.Slopes[0].P(); !errors.Is(err, ErrUndefined) {
		t.Errorf("p = %v, %v", p, err)
	}
}

func TestNestedFNeedsNesting(t *testing.T) {
	x, y, z := []float64{1, 2, 3, 4, 5, 7}, []float64{2, 1, 4, 3, 6, 6}, []float64{3, 1, 4, 1, 5, 9}
	a, b := ok[Regression](t)(OLS(y, x)), ok[Regression](t)(OLS(y, z))
	both := ok[Regression](t)(RankRegression(y, x, z))
	for _, pair := range [][2]Regression{{a, b}, {a, a}, {a, both}, {both, a}, {}} {
		if _, err := NestedF(pair[0], pair[1]); !errors.Is(err, ErrInput) {
			t.Errorf("not nested: %v", err)
		}
	}
	mean := ok[Regression](t)(OLS(y))
	f, r := ok[NestedTest](t)(NestedF(mean, a)), ok[Correlation](t)(Pearson(x, y))
	coefficient(t, "delta r2", f.DeltaR2, square(r.Coefficient))
	probability(t, "p", f.P, r.P) // one predictor: F is t squared
}

func TestRankCrossValidationDoesNotLeak(t *testing.T) {
	folds := []int{0, 0, 1, 1, 2, 2, 3, 3}
	x := []float64{1, 5, 2, 8, 3, 9, 4, 7}
	base := ok[CrossValidation](t)(CrossValidateRanks(folds, x, x))
	// A left-out unit's response must not move its own prediction.
	y := slices.Clone(x)
	y[0] = 100
	moved := ok[CrossValidation](t)(CrossValidateRanks(folds, y, x))
	if base.Predicted[0] != moved.Predicted[0] {
		t.Errorf("prediction went from %v to %v", base.Predicted[0], moved.Predicted[0])
	}
	if base.R2 < 0.8 {
		t.Errorf("R2 %v of a response on itself", base.R2)
	}
}
