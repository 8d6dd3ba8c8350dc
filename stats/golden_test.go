package stats

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	coefficientTolerance = 1e-9 // relative above 1, absolute below
	pTolerance           = 1e-6 // relative, however small the p-value
)

// golden is testdata/golden.json: what scipy, statsmodels, pingouin and mpmath make
// of given inputs. testdata/golden.py writes it and names the source of each part.
type golden struct {
	Correlations []struct {
		Name              string
		X, Y              []float64
		Spearman, Pearson [2]float64
		Kendall           [2]float64
		RanksY            []float64   `json:"ranks_y"`
		PearsonCI90       *[2]float64 `json:"pearson_ci90"`
	}
	Partials []struct {
		X, Y       []float64
		Covariates [][]float64
		R, P       float64
	}
	PermutationTests []struct {
		X, Y              []float64
		Spearman, Pearson float64
	} `json:"permutation_tests"`
	Kruskals []struct {
		Groups [][]float64
		H, P   float64
	}
	Concordances []struct {
		Scores     [][]float64
		W, Chi2, P float64
	}
	ICCs []struct {
		Table [][]float64
		Forms []struct {
			Type      string
			ICC, F, P float64
			CI95      [2]float64
		}
	}
	Proportions []struct {
		K, N           int
		Level          float64
		Wilson         [2]float64
		ClopperPearson [2]float64 `json:"clopper_pearson"`
	}
	Families []struct{ P, Bonferroni, Holm, BH []float64 }
	Lines    []struct {
		X, Y             []float64
		Slope, Intercept float64
		CI95             [2]float64
	}
	Regressions []struct {
		Y             []float64
		X             [][]float64
		Params, SE, P []float64
		CI90          [][2]float64
		R2            float64
		AdjustedR2    float64 `json:"adjusted_r2"`
		Nested        struct{ F, P, DF1, DF2 float64 }
		CV            *struct {
			Folds     []int
			Predicted []float64
			R2        float64
		}
	}
	Kappas []struct {
		Table     [][]int
		Kappa, SE float64
		NullSE    float64 `json:"null_se"`
		P         float64
	}
	BCas []struct {
		X, Replicates []float64
		Tails, CI90   [2]float64
	}
	Tails     struct{ T, F, Chi2 [][]float64 }
	Described []struct {
		Values            []float64
		Mean, Std, Median float64
		SampleStd         *float64 `json:"sample_std"`
		Q                 []float64
	}
}

func readGolden(t *testing.T) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	for part, v := range reflect.ValueOf(g).Fields() {
		if v.Kind() == reflect.Slice && v.Len() == 0 {
			t.Fatalf("golden.json has no %s", part.Name)
		}
	}
	return g
}

func coefficient(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= coefficientTolerance*math.Max(1, math.Abs(want))) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func probability(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= pTolerance*want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func bounds(t *testing.T, what string, got Interval, want [2]float64) {
	t.Helper()
	coefficient(t, what+" lower", got.Lower, want[0])
	coefficient(t, what+" upper", got.Upper, want[1])
}

// ok returns a result of which the test says that it must be defined.
func ok[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestCorrelationsAgainstScipy(t *testing.T) {
	for _, c := range readGolden(t).Correlations {
		t.Run(c.Name, func(t *testing.T) {
			if diff := cmp.Diff(c.RanksY, ok[[]float64](t)(Ranks(c.Y))); diff != "" {
				t.Error("ranks:", diff)
			}
			s, p := ok[Correlation](t)(Spearman(c.X, c.Y)), ok[Correlation](t)(Pearson(c.X, c.Y))
			coefficient(t, "rho", s.Coefficient, c.Spearman[0])
			probability(t, "rho p", s.P, c.Spearman[1])
			coefficient(t, "r", p.Coefficient, c.Pearson[0])
			probability(t, "r p", p.P, c.Pearson[1])
			k := ok[RankCorrelation](t)(KendallTau(c.X, c.Y))
			coefficient(t, "tau", k.Tau, c.Kendall[0])
			probability(t, "tau p", k.P, c.Kendall[1])
			if c.PearsonCI90 != nil {
				bounds(t, "fisher", ok[ZInterval](t)(p.FisherZ(0.9)).Interval, *c.PearsonCI90)
			}
		})
	}
}

func TestPartialSpearmanAgainstPingouin(t *testing.T) {
	for i, c := range readGolden(t).Partials {
		r := ok[Correlation](t)(PartialSpearman(c.X, c.Y, c.Covariates...))
		coefficient(t, fmt.Sprintf("rho %d", i), r.Coefficient, c.R)
		probability(t, fmt.Sprintf("p %d", i), r.P, c.P)
	}
}

func TestExactPermutations(t *testing.T) {
	for i, c := range readGolden(t).PermutationTests {
		s := ok[PermutationTest](t)(Permutation{}.Spearman(c.X, c.Y))
		p := ok[PermutationTest](t)(Permutation{}.Pearson(c.X, c.Y))
		if !s.Exact || !p.Exact {
			t.Errorf("case %d is not exact", i)
		}
		probability(t, "spearman", s.P, c.Spearman)
		probability(t, "pearson", p.P, c.Pearson)
	}
}

func TestKruskalWallisAgainstScipy(t *testing.T) {
	for i, c := range readGolden(t).Kruskals {
		r := ok[KruskalWallisTest](t)(KruskalWallis(c.Groups...))
		coefficient(t, fmt.Sprintf("H %d", i), r.H, c.H)
		probability(t, fmt.Sprintf("p %d", i), r.P, c.P)
	}
}

func TestKendallWAgainstFriedman(t *testing.T) {
	for i, c := range readGolden(t).Concordances {
		r := ok[Concordance](t)(KendallW(c.Scores))
		coefficient(t, fmt.Sprintf("W %d", i), r.W, c.W)
		coefficient(t, fmt.Sprintf("chi2 %d", i), r.ChiSquared, c.Chi2)
		probability(t, fmt.Sprintf("p %d", i), r.P, c.P)
	}
}

func TestICCAgainstPingouin(t *testing.T) {
	forms := map[string]ICCForm{
		"ICC(1,1)": ICC11, "ICC(A,1)": ICC21, "ICC(C,1)": ICC31,
		"ICC(1,k)": ICC1K, "ICC(A,k)": ICC2K, "ICC(C,k)": ICC3K,
	}
	for i, c := range readGolden(t).ICCs {
		for _, want := range c.Forms {
			what := fmt.Sprintf("table %d %s", i, want.Type)
			r := ok[Reliability](t)(ICC(c.Table, forms[want.Type]))
			coefficient(t, what, r.Coefficient, want.ICC)
			bounds(t, what, ok[Interval](t)(r.Interval(0.95)), want.CI95)
			f := ok[FTest](t)(r.FTest())
			coefficient(t, what+" F", f.F, want.F)
			probability(t, what+" p", f.P, want.P)
		}
	}
}

func TestBinomialIntervalsAgainstStatsmodels(t *testing.T) {
	for _, c := range readGolden(t).Proportions {
		what := fmt.Sprintf("%d of %d at %v", c.K, c.N, c.Level)
		bounds(t, "wilson "+what, ok[Interval](t)(Wilson(c.K, c.N, c.Level)), c.Wilson)
		bounds(t, "clopper-pearson "+what, ok[Interval](t)(ClopperPearson(c.K, c.N, c.Level)), c.ClopperPearson)
	}
}

func TestMultipleTestsAgainstStatsmodels(t *testing.T) {
	for _, c := range readGolden(t).Families {
		for _, m := range []struct {
			name   string
			adjust func([]float64) ([]float64, error)
			want   []float64
		}{{"bonferroni", Bonferroni, c.Bonferroni}, {"holm", Holm, c.Holm}, {"bh", BenjaminiHochberg, c.BH}} {
			for i, got := range ok[[]float64](t)(m.adjust(c.P)) {
				probability(t, fmt.Sprintf("%s of %v at %d", m.name, c.P, i), got, m.want[i])
			}
		}
	}
}

func TestTheilSenAgainstScipy(t *testing.T) {
	for i, c := range readGolden(t).Lines {
		l := ok[TheilSenLine](t)(TheilSen(c.X, c.Y))
		coefficient(t, fmt.Sprintf("slope %d", i), l.Slope, c.Slope)
		coefficient(t, fmt.Sprintf("intercept %d", i), l.Intercept, c.Intercept)
		bounds(t, fmt.Sprintf("interval %d", i), ok[Interval](t)(l.Interval(0.95)), c.CI95)
	}
}

func TestRegressionAgainstStatsmodels(t *testing.T) {
	for i, c := range readGolden(t).Regressions {
		full := ok[Regression](t)(OLS(c.Y, c.X...))
		coefficient(t, "r2", full.R2, c.R2)
		coefficient(t, "adjusted r2", full.AdjustedR2, c.AdjustedR2)
		for j, e := range append([]Estimate{full.Intercept}, full.Slopes...) {
			what := fmt.Sprintf("fit %d coefficient %d", i, j)
			coefficient(t, what, e.Value, c.Params[j])
			coefficient(t, what+" se", e.SE, c.SE[j])
			probability(t, what+" p", ok[float64](t)(e.P()), c.P[j])
			bounds(t, what, ok[Interval](t)(e.Interval(0.9)), c.CI90[j])
		}
		reduced := ok[Regression](t)(OLS(c.Y, c.X[:len(c.X)-1]...))
		f := ok[NestedTest](t)(NestedF(reduced, full))
		coefficient(t, "nested F", f.F, c.Nested.F)
		probability(t, "nested p", f.P, c.Nested.P)
		if float64(f.DF1) != c.Nested.DF1 || float64(f.DF2) != c.Nested.DF2 {
			t.Errorf("nested df %d, %d, want %v, %v", f.DF1, f.DF2, c.Nested.DF1, c.Nested.DF2)
		}
		if c.CV == nil {
			continue
		}
		cv := ok[CrossValidation](t)(CrossValidate(c.CV.Folds, c.Y, c.X...))
		coefficient(t, "cv r2", cv.R2, c.CV.R2)
		for k := range cv.Predicted {
			coefficient(t, fmt.Sprintf("prediction %d", k), cv.Predicted[k], c.CV.Predicted[k])
		}
	}
}

func TestKappaAgainstStatsmodels(t *testing.T) {
	for i, c := range readGolden(t).Kappas {
		var a, b []int
		for row := range c.Table {
			for column, count := range c.Table[row] {
				for range count {
					a, b = append(a, row), append(b, column)
				}
			}
		}
		k := ok[Kappa](t)(CohenKappa(a, b))
		coefficient(t, fmt.Sprintf("kappa %d", i), k.Coefficient, c.Kappa)
		coefficient(t, fmt.Sprintf("se %d", i), k.SE, c.SE)
		coefficient(t, fmt.Sprintf("null se %d", i), k.nullSE, c.NullSE)
		probability(t, fmt.Sprintf("p %d", i), ok[float64](t)(k.P()), c.P)
	}
}

func TestBCaAgainstScipy(t *testing.T) {
	for _, c := range readGolden(t).BCas {
		n := len(c.X)
		jackknife := make([]float64, n)
		for i := range jackknife {
			for _, j := range without(n, i) {
				jackknife[i] += c.X[j] / float64(n-1)
			}
		}
		var mean float64
		for _, v := range c.X {
			mean += v / float64(n)
		}
		low, high, err := bcaTails(mean, c.Replicates, [][]float64{jackknife}, 0.9)
		if err != nil {
			t.Fatal(err)
		}
		bounds(t, "tails", Interval{Lower: low, Upper: high}, c.Tails)
		bounds(t, "bca", Interval{Lower: quantile(c.Replicates, low), Upper: quantile(c.Replicates, high)}, c.CI90)
	}
}

func TestTailsAgainstMpmath(t *testing.T) {
	g := readGolden(t).Tails
	for _, c := range g.T {
		probability(t, fmt.Sprint("t ", c[:2]), tTwoSidedP(c[0], c[1]), c[2])
		r := c[0] / math.Sqrt(c[1]+c[0]*c[0])
		if c[0] < 1e3 { // 1-r^2 has no digits left to test beyond
			probability(t, fmt.Sprint("r ", c[:2]), correlationP(r, c[1]), c[2])
		}
	}
	for _, c := range g.F {
		probability(t, fmt.Sprint("F ", c[:3]), fUpperP(c[0], c[1], c[2]), c[3])
	}
	for _, c := range g.Chi2 {
		probability(t, fmt.Sprint("chi2 ", c[:2]), chiSquaredUpperP(c[0], c[1]), c[2])
	}
}

func TestDescribeAgainstNumpy(t *testing.T) {
	for _, c := range readGolden(t).Described {
		s := ok[Summary](t)(Describe(c.Values))
		coefficient(t, "mean", s.Mean, c.Mean)
		coefficient(t, "std", s.Std, c.Std)
		coefficient(t, "median", s.Median, c.Median)
		std, err := s.SampleStd()
		if c.SampleStd == nil {
			if !errors.Is(err, ErrUndefined) {
				t.Errorf("sample std of one value: %v, %v", std, err)
			}
			continue
		}
		coefficient(t, "sample std", std, *c.SampleStd)
		for k, p := range []float64{0, 0.025, 0.25, 0.6, 0.975, 1} {
			coefficient(t, fmt.Sprintf("quantile %v", p), quantile(slices.Sorted(slices.Values(c.Values)), p), c.Q[k])
		}
		if s.Min != c.Q[0] || s.Max != c.Q[len(c.Q)-1] {
			t.Errorf("range [%v, %v], want [%v, %v]", s.Min, s.Max, c.Q[0], c.Q[len(c.Q)-1])
		}
	}
}
