package stats

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// Correlation is a correlation coefficient with its test against zero. At a
// coefficient of exactly 1 or -1 the t statistic is infinite and P is 0, however few
// the pairs: [Permutation] gives the p-value of such data.
type Correlation struct {
	Coefficient float64 // in [-1, 1]
	P           float64 // two-sided, from Student's t with DF degrees of freedom
	N           int     // pairs
	DF          int     // N - 2 - covariates held fixed
}

// Spearman returns Spearman's rank correlation: Pearson's on mid-ranks. It is
// undefined for fewer than 3 pairs and if x or y is constant.
func Spearman(x, y []float64) (Correlation, error) {
	if err := checkCorrelated("spearman", x, y); err != nil {
		return Correlation{}, err
	}
	return NewCorrelation(cosine(centredRanks(x), centredRanks(y)), len(x), 0)
}

// Pearson returns Pearson's product-moment correlation. It is undefined for fewer
// than 3 pairs and if x or y does not vary by more than rounding.
func Pearson(x, y []float64) (Correlation, error) {
	if err := checkCorrelated("pearson", x, y); err != nil {
		return Correlation{}, err
	}
	cx, okX := newColumn(x)
	cy, okY := newColumn(y)
	if !okX || !okY {
		return Correlation{}, undefined("pearson", "%s varies by rounding only", pick(okX, "y", "x"))
	}
	return NewCorrelation(cosine(cx.unit, cy.unit), len(x), 0)
}

// NewCorrelation returns the Correlation of a coefficient r that was computed
// elsewhere from n pairs with so many covariates held fixed, for example one from
// a publication: t = r*sqrt(DF/(1-r^2)), two-sided.
func NewCorrelation(r float64, n, covariates int) (Correlation, error) {
	const name = "correlation"
	if !(r >= -1 && r <= 1) {
		return Correlation{}, badInput(name, "coefficient %v is not in [-1, 1]", r)
	}
	if covariates < 0 {
		return Correlation{}, badInput(name, "%d covariates", covariates)
	}
	df := n - 2 - covariates
	if df < 1 {
		return Correlation{}, undefined(name, "%d pairs and %d covariates leave %d degrees of freedom", n, covariates, df)
	}
	return Correlation{Coefficient: r, P: correlationP(r, float64(df)), N: n, DF: df}, nil
}

// T returns the t statistic, which is undefined (infinite) at |r| = 1.
func (c Correlation) T() (float64, error) {
	rest := (1 - c.Coefficient) * (1 + c.Coefficient)
	if rest == 0 || c.DF < 1 {
		return 0, undefined("t", "coefficient %v with %d degrees of freedom", c.Coefficient, c.DF)
	}
	return c.Coefficient * math.Sqrt(float64(c.DF)/rest), nil
}

// checkCorrelated checks what every correlation of two vectors needs.
func checkCorrelated(name string, x, y []float64) error {
	if err := checkPaired(name, x, y); err != nil {
		return err
	}
	if len(x) < 3 {
		return undefined(name, "needs 3 pairs, got %d", len(x))
	}
	if isConstant(x) || isConstant(y) {
		return undefined(name, "%s is constant", pick(isConstant(x), "x", "y"))
	}
	return nil
}

func isConstant(x []float64) bool {
	for _, v := range x {
		if v != x[0] {
			return false
		}
	}
	return true
}

// cosine is the cosine of two vectors: the correlation if both have mean zero.
// One root of the product, not a product of roots, makes perfect agreement of
// whole numbers exactly 1.
func cosine(x, y []float64) float64 {
	r := floats.Dot(x, y) / math.Sqrt(floats.Dot(x, x)*floats.Dot(y, y))
	return clamp(r, -1)
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}
