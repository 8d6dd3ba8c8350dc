package stats

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

const (
	// collinear is the sine of the angle between a column and the span of those
	// before it below which the column is taken to lie in the span.
	collinear = 1e-10

	// exactFit is the length of residuals, relative to the centred response, below
	// which they are rounding of zero.
	exactFit = 1e-13
)

// design is an intercept and k predictors, ready to fit any response by least
// squares. Columns are centred, which takes care of the intercept, and of length
// one, which makes rank deficiency visible whatever the units are.
type design struct {
	columns []column
	matrix  *mat.Dense // (n, k), nil if k = 0
	qr      mat.QR
}

// newDesign needs n > k + 1; names the predictor that adds nothing to the others.
func newDesign(name, label string, n int, predictors [][]float64) (*design, error) {
	d := &design{}
	if len(predictors) == 0 {
		return d, nil
	}
	d.matrix = mat.NewDense(n, len(predictors), nil)
	for j, p := range predictors {
		c, ok := newColumn(p)
		if !ok {
			return nil, undefined(name, "%s %d is constant", label, j)
		}
		d.columns = append(d.columns, c)
		d.matrix.SetCol(j, c.unit)
	}
	d.qr.Factorize(d.matrix)
	var r mat.Dense
	d.qr.RTo(&r)
	for j := range predictors {
		if math.Abs(r.At(j, j)) < collinear {
			return nil, undefined(name, "%s %d is a linear combination of those before it", label, j)
		}
	}
	return d, nil
}

// fit regresses a centred response of length one. It returns the coefficients of
// the unit columns and the residuals, which are exactly zero if the fit is exact.
func (d *design) fit(response []float64) (coefficients, residuals []float64) {
	residuals = append([]float64(nil), response...)
	if d.matrix == nil {
		return nil, residuals
	}
	n, k := d.matrix.Dims()
	var solution mat.VecDense
	// The error of SolveVecTo reports the condition, bounded by newDesign already.
	_ = d.qr.SolveVecTo(&solution, false, mat.NewVecDense(n, append([]float64(nil), response...)))
	coefficients = make([]float64, k)
	for j := range coefficients {
		coefficients[j] = solution.AtVec(j)
		floats.AddScaled(residuals, -coefficients[j], d.columns[j].unit)
	}
	if floats.Norm(residuals, 2) <= exactFit {
		clear(residuals)
	}
	return coefficients, residuals
}

// inverse returns (X'X)^-1 of the unit columns, (k, k).
func (d *design) inverse() *mat.SymDense {
	k := len(d.columns)
	gram := mat.NewSymDense(k, nil)
	var full mat.Dense
	d.qr.RTo(&full)
	upper := mat.NewTriDense(k, mat.Upper, nil)
	for i := range k {
		for j := i; j < k; j++ {
			upper.SetTri(i, j, full.At(i, j))
		}
	}
	var inv mat.TriDense
	// As in fit: newDesign has refused what is too ill-conditioned to invert.
	_ = inv.InverseTri(upper)
	gram.SymOuterK(1, &inv)
	return gram
}
