package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// Regression is a least-squares fit of a response on an intercept and k
// predictors.
type Regression struct {
	Intercept  Estimate
	Slopes     []Estimate // one a predictor, in their order
	R2         float64    // share of the variance explained, in [0, 1]
	AdjustedR2 float64    // 1 - (1-R2)(N-1)/DF, which predictors of noise do not raise
	RSS        float64    // residual sum of squares
	TSS        float64    // sum of squares about the mean
	N          int        // units
	DF         int        // N - 1 - k, residual

	response    []float64
	predictors  [][]float64
	unexplained float64 // RSS/TSS
}

// Estimate is a regression coefficient.
type Estimate struct {
	Value float64
	SE    float64 // 0 if the fit is exact
	DF    int     // residual degrees of freedom
}

// T returns Value/SE, undefined for an exact fit.
func (e Estimate) T() (float64, error) {
	if !(e.SE > 0) {
		return 0, undefined("regression t", "the fit is exact, so its error cannot be estimated")
	}
	t := e.Value / e.SE
	return t, finite("regression t", t)
}

// P returns the two-sided p-value of [Estimate.T].
func (e Estimate) P() (float64, error) {
	t, err := e.T()
	if err != nil {
		return 0, err
	}
	return tTwoSidedP(t, float64(e.DF)), nil
}

// Interval returns Value +- t*SE, undefined for an exact fit.
func (e Estimate) Interval(level float64) (Interval, error) {
	if err := checkLevel("regression interval", level); err != nil {
		return Interval{}, err
	}
	if _, err := e.T(); err != nil {
		return Interval{}, err
	}
	margin := tCritical(level, float64(e.DF)) * e.SE
	i := Interval{Lower: e.Value - margin, Upper: e.Value + margin, Level: level}
	return i, finite("regression interval", i.Lower, i.Upper)
}

// OLS fits response = intercept + slopes * predictors by ordinary least squares,
// with standard errors for independent errors of equal variance. Without
// predictors it is the model of the mean. It is undefined if the response is
// constant, if a predictor is constant or a linear combination of those before it,
// and if no residual degree of freedom is left.
func OLS(response []float64, predictors ...[]float64) (Regression, error) {
	const name = "ols"
	n, k := len(response), len(predictors)
	if err := checkValues(name, "response", response); err != nil {
		return Regression{}, err
	}
	if err := checkColumns(name, "predictor", n, predictors); err != nil {
		return Regression{}, err
	}
	if n-1-k < 1 {
		return Regression{}, undefined(name, "%d units and %d predictors leave %d degrees of freedom", n, k, n-1-k)
	}
	y, ok := newColumn(response)
	if !ok {
		return Regression{}, undefined(name, "the response is constant")
	}
	d, err := newDesign(name, "predictor", n, predictors)
	if err != nil {
		return Regression{}, err
	}
	r := Regression{N: n, DF: n - 1 - k, TSS: y.norm * y.norm, response: slices.Clone(response)}
	for _, p := range predictors {
		r.predictors = append(r.predictors, slices.Clone(p))
	}
	coefficients, residuals := d.fit(y.unit)
	r.unexplained = floats.Dot(residuals, residuals)
	r.RSS = r.unexplained * r.TSS
	r.R2 = clamp(1-r.unexplained, 0)
	r.AdjustedR2 = 1 - r.unexplained*float64(n-1)/float64(r.DF)
	r.estimates(d, y, coefficients)
	return r, r.finite(name)
}

// RankRegression is [OLS] on the mid-ranks of the response and of every predictor,
// so that it sees monotone relations only. Its standard errors are approximate:
// ranks depend on each other.
func RankRegression(response []float64, predictors ...[]float64) (Regression, error) {
	ranked, err := Ranks(response)
	if err != nil {
		return Regression{}, err
	}
	columns := make([][]float64, len(predictors))
	for j, p := range predictors {
		if columns[j], err = Ranks(p); err != nil {
			return Regression{}, err
		}
	}
	return OLS(ranked, columns...)
}

// estimates turns coefficients of unit columns into those of the predictors.
func (r *Regression) estimates(d *design, y column, coefficients []float64) {
	sigma := y.norm * math.Sqrt(r.unexplained/float64(r.DF))
	r.Intercept = Estimate{Value: y.mean, DF: r.DF}
	variance := 1 / float64(r.N) // of the intercept, in units of sigma squared
	if len(coefficients) > 0 {
		inverse := d.inverse()
		for j, c := range d.columns {
			slope := coefficients[j] * (y.norm / c.norm)
			r.Slopes = append(r.Slopes, Estimate{Value: slope, SE: sigma * math.Sqrt(inverse.At(j, j)) / c.norm, DF: r.DF})
			r.Intercept.Value -= slope * c.mean
			for l, other := range d.columns {
				variance += c.mean / c.norm * inverse.At(j, l) * (other.mean / other.norm)
			}
		}
	}
	r.Intercept.SE = sigma * math.Sqrt(variance)
}

func (r *Regression) finite(name string) error {
	values := []float64{r.Intercept.Value, r.Intercept.SE, r.RSS, r.TSS, r.R2, r.AdjustedR2}
	for _, s := range r.Slopes {
		values = append(values, s.Value, s.SE)
	}
	return finite(name, values...)
}

// NestedTest says whether the predictors that one model has and a smaller one has
// not explain anything.
type NestedTest struct {
	FTest
	DeltaR2 float64 // what they add to R2
}

// NestedF compares two fits of the same response, of which full has every
// predictor of reduced and more: F = ((RSS0-RSS1)/(DF0-DF1)) / (RSS1/DF1). Both
// must come from [OLS] or both from [RankRegression]. It is undefined if the full
// fit is exact.
func NestedF(reduced, full Regression) (NestedTest, error) {
	const name = "nested F test"
	if !slices.Equal(reduced.response, full.response) || len(full.response) == 0 {
		return NestedTest{}, badInput(name, "the two fits are not of the same response")
	}
	for j, p := range reduced.predictors {
		same := func(q []float64) bool { return slices.Equal(p, q) }
		if !slices.ContainsFunc(full.predictors, same) {
			return NestedTest{}, badInput(name, "predictor %d of the reduced fit is not in the full one", j)
		}
	}
	added := reduced.DF - full.DF
	if added < 1 {
		return NestedTest{}, badInput(name, "the full fit has no predictor that the reduced one lacks")
	}
	if full.unexplained == 0 {
		return NestedTest{}, undefined(name, "the full fit is exact")
	}
	gain := math.Max(0, reduced.unexplained-full.unexplained) // negative by rounding only
	test, err := newFTest(name, gain/float64(added)/(full.unexplained/float64(full.DF)), added, full.DF)
	return NestedTest{FTest: test, DeltaR2: gain}, err
}
