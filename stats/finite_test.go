package stats

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// vectors draws values of one kind: small counts with many ties, one constant,
// ordinary numbers, magnitudes near the limits of float64, or not numbers at all.
func vectors(n int) *rapid.Generator[[]float64] {
	return rapid.Custom(func(t *rapid.T) []float64 {
		kinds := []*rapid.Generator[float64]{
			rapid.Map(rapid.IntRange(0, 3), func(i int) float64 { return float64(i) }),
			rapid.Just(rapid.SampledFrom([]float64{0, 0.1, -7, 1e308, 5e-324}).Draw(t, "constant")),
			rapid.Float64Range(-10, 10),
			rapid.SampledFrom([]float64{1e308, -1e308, 1.7e308, 5e-324, 1e-200, 1e200, 0, 1}),
			rapid.SampledFrom([]float64{0.1 + 0.2, 0.3, 0.3 + 1e-16, 0.30000000000000016}),
			rapid.Float64(),
			rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), 1}),
		}
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		return rapid.SliceOfN(kind, n, n).Draw(t, "values")
	})
}

func tables(t *rapid.T, rows, columns int) [][]float64 {
	table := make([][]float64, rows)
	for i := range table {
		table[i] = vectors(columns).Draw(t, fmt.Sprintf("row %d", i))
	}
	return table
}

// mustBeFinite fails if err is nil and v has a NaN or an infinity anywhere, or if
// err is none of the two documented kinds.
func mustBeFinite(t *rapid.T, what string, v any, err error) {
	t.Helper()
	if err != nil {
		if !errors.Is(err, ErrUndefined) && !errors.Is(err, ErrInput) {
			t.Fatalf("%s: undocumented error %v", what, err)
		}
		return
	}
	if path := notFinite(reflect.ValueOf(v)); path != "" {
		t.Fatalf("%s%s is not finite in %+v", what, path, v)
	}
}

func notFinite(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Float64:
		if math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) {
			return " "
		}
	case reflect.Struct:
		for field, value := range v.Fields() {
			if path := notFinite(value); path != "" {
				return "." + field.Name + path
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if path := notFinite(v.Index(i)); path != "" {
				return fmt.Sprintf("[%d]%s", i, path)
			}
		}
	}
	return ""
}

// check runs one call and, if it is defined, what can be asked of its result.
func check[T any](t *rapid.T, what string, call func() (T, error), more ...func(T)) {
	t.Helper()
	v, err := call()
	mustBeFinite(t, what, v, err)
	if err != nil {
		return
	}
	for _, f := range more {
		f(v)
	}
}

func asked[T any](t *rapid.T, what string, f func() (T, error)) {
	t.Helper()
	v, err := f()
	mustBeFinite(t, what, v, err)
}

func TestNoNaNWithoutError(t *testing.T) {
	level := rapid.SampledFrom([]float64{0.95, 0.5, 0.999999, 1e-9, 0, 1, math.NaN()})
	t.Run("pairs", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.IntRange(0, 12).Draw(t, "n")
			x, y, z := vectors(n).Draw(t, "x"), vectors(n).Draw(t, "y"), vectors(n).Draw(t, "z")
			checkPairs(t, x, y, z, level.Draw(t, "level"))
		})
	})
	t.Run("tables", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			table := tables(t, rapid.IntRange(0, 5).Draw(t, "rows"), rapid.IntRange(0, 5).Draw(t, "columns"))
			checkTables(t, table, level.Draw(t, "level"))
		})
	})
	t.Run("counts", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			k, n, l := rapid.IntRange(-1, 300).Draw(t, "k"), rapid.IntRange(-1, 300).Draw(t, "n"), level.Draw(t, "level")
			check(t, "wilson", func() (Interval, error) { return Wilson(k, n, l) }, inOrder(t, "wilson"))
			check(t, "clopper-pearson", func() (Interval, error) { return ClopperPearson(k, n, l) }, inOrder(t, "clopper-pearson"))
			a := rapid.SliceOfN(rapid.IntRange(0, 2), 0, 8).Draw(t, "a")
			b := rapid.SliceOfN(rapid.IntRange(0, 2), len(a), len(a)).Draw(t, "b")
			check(t, "kappa", func() (Kappa, error) { return CohenKappa(a, b) }, func(k Kappa) {
				asked(t, "kappa p", k.P)
				asked(t, "kappa interval", func() (Interval, error) { return k.Interval(l) })
			})
		})
	})
}

func inOrder(t *rapid.T, what string) func(Interval) {
	return func(i Interval) {
		t.Helper()
		if i.Lower > i.Upper {
			t.Fatalf("%s: bounds cross: %v", what, i)
		}
	}
}

func checkPairs(t *rapid.T, x, y, z []float64, level float64) {
	correlation := func(c Correlation) {
		asked(t, "t", c.T)
		asked(t, "fisher", func() (ZInterval, error) { return c.FisherZ(level) })
		asked(t, "bonett-wright", func() (ZInterval, error) { return c.BonettWright(level) })
	}
	check(t, "ranks", func() ([]float64, error) { return Ranks(x) })
	check(t, "describe", func() (Summary, error) { return Describe(x) }, func(s Summary) { asked(t, "std", s.SampleStd) })
	check(t, "spearman", func() (Correlation, error) { return Spearman(x, y) }, correlation)
	check(t, "pearson", func() (Correlation, error) { return Pearson(x, y) }, correlation)
	check(t, "partial", func() (Correlation, error) { return PartialSpearman(x, y, z) }, correlation)
	check(t, "kendall", func() (RankCorrelation, error) { return KendallTau(x, y) })
	if len(x) < 7 {
		check(t, "permutation", func() (PermutationTest, error) { return Permutation{}.Pearson(x, y) })
	}
	check(t, "theil-sen", func() (TheilSenLine, error) { return TheilSen(x, y) }, func(l TheilSenLine) {
		asked(t, "theil-sen interval", func() (Interval, error) { return l.Interval(level) })
	})
	for _, fit := range []func([]float64, ...[]float64) (Regression, error){OLS, RankRegression} {
		check(t, "regression", func() (Regression, error) { return fit(y, x, z) }, func(full Regression) {
			for _, e := range append(full.Slopes, full.Intercept) {
				asked(t, "p", e.P)
				asked(t, "interval", func() (Interval, error) { return e.Interval(level) })
			}
			check(t, "smaller", func() (Regression, error) { return fit(y, x) }, func(reduced Regression) {
				asked(t, "nested", func() (NestedTest, error) { return NestedF(reduced, full) })
			})
		})
	}
	folds := make([]int, len(x))
	for i := range folds {
		folds[i] = i % 3
	}
	check(t, "cv", func() (CrossValidation, error) { return CrossValidate(folds, y, x) })
	check(t, "rank cv", func() (CrossValidation, error) { return CrossValidateRanks(folds, y, x) })
	for _, compare := range []func(y, x1, x2 []float64) (CorrelationDifference, error){ComparePearson, CompareSpearman} {
		check(t, "difference", func() (CorrelationDifference, error) { return compare(y, x, z) }, func(d CorrelationDifference) {
			asked(t, "zou", func() (Interval, error) { return d.Interval(level) })
		})
	}
	for _, method := range []BootstrapMethod{BCa, Percentile} {
		b := Bootstrap{Resamples: 40, Level: level, Method: method}
		check(t, "bootstrap mean", func() (BootstrapResult, error) { return b.Mean(x) })
		check(t, "bootstrap spearman", func() (BootstrapResult, error) { return b.Spearman(x, y) })
	}
	check(t, "holm", func() ([]float64, error) { return Holm(x) })
	check(t, "bonferroni", func() ([]float64, error) { return Bonferroni(x) })
	check(t, "bh", func() ([]float64, error) { return BenjaminiHochberg(x) })
}

func checkTables(t *rapid.T, table [][]float64, level float64) {
	check(t, "kendall w", func() (Concordance, error) { return KendallW(table) })
	check(t, "kruskal-wallis", func() (KruskalWallisTest, error) { return KruskalWallis(table...) })
	for form := ICC11; form <= ICC3K; form++ {
		check(t, form.String(), func() (Reliability, error) { return ICC(table, form) }, func(r Reliability) {
			asked(t, "F", r.FTest)
			check(t, "interval", func() (Interval, error) { return r.Interval(level) }, inOrder(t, form.String()))
		})
	}
	for _, method := range []BootstrapMethod{BCa, Percentile} {
		b := Bootstrap{Resamples: 40, Level: level, Method: method}
		check(t, "nested", func() (BootstrapResult, error) { return b.NestedMean(table) })
		check(t, "crossed", func() (BootstrapResult, error) { return b.CrossedMean(table) })
	}
}
