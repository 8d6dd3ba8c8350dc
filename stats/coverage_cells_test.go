package stats

import (
	"math"
	"testing"
)

// TestCellCoverage: personas of one cell are alike in cosine and in leakage, so that 40
// cells of 5 are worth far fewer than 200 independent personas. Resampling whole cells
// covers rho; resampling personas, and the formula for independent ones, do not.
func TestCellCoverage(t *testing.T) {
	const cells, each, rho, share = 40, 5, 0.7, 0.8 // share: of the variance, between cells
	draw := func(random normals) (x, y []float64) {
		u, v := random.correlated(cells, rho)
		x, y = random.correlated(cells*each, rho)
		for i := range x {
			x[i] = math.Sqrt(share)*u[i/each] + math.Sqrt(1-share)*x[i]
			y[i] = math.Sqrt(share)*v[i/each] + math.Sqrt(1-share)*y[i]
		}
		return x, y
	}
	truth := spearmanOf(rho)
	options := func(i int) Bootstrap { return Bootstrap{Resamples: 399, Seed: uint64(i)} }
	whole := coverage(t, 240, func(random normals, i int) (Interval, error) {
		x, y := draw(random)
		r, err := options(i).Run(cells, func(drawn []int) (float64, error) {
			var a, b []float64
			for _, c := range drawn {
				a, b = append(a, x[c*each:(c+1)*each]...), append(b, y[c*each:(c+1)*each]...)
			}
			s, err := Spearman(a, b)
			return s.Coefficient, err
		})
		return r.Interval, err
	}, truth)
	mustCover(t, "cells resampled whole", whole, 0.9, 0.98)
	naive := coverage(t, 160, func(random normals, i int) (Interval, error) {
		r, err := options(i).Spearman(draw(random))
		return r.Interval, err
	}, truth)
	mustCover(t, "personas as if independent", naive, 0.5, 0.85)
	formula := coverage(t, 2000, func(random normals, _ int) (Interval, error) {
		c, err := Spearman(draw(random))
		if err != nil {
			return Interval{}, err
		}
		z, err := c.BonettWright(0.95)
		return z.Interval, err
	}, truth)
	mustCover(t, "bonett-wright as if independent", formula, 0.5, 0.85)
}

// TestBootstrapDifferenceCoverage: two layers' correlations with the same leakage.
func TestBootstrapDifferenceCoverage(t *testing.T) {
	r1, r2 := math.Sqrt(0.5), math.Sqrt(0.2)
	got := coverage(t, 400, func(random normals, i int) (Interval, error) {
		y, x1, x2 := random.vector(60, random.next), random.vector(60, random.next), random.vector(60, random.next)
		for k := range y {
			x1[k] += y[k]
			x2[k] = 2*x2[k] + y[k]
		}
		r, err := Bootstrap{Resamples: 399, Seed: uint64(i)}.Run(len(y), func(units []int) (float64, error) {
			leakage := at(y, units)
			one, err := Spearman(at(x1, units), leakage)
			if err != nil {
				return 0, err
			}
			two, err := Spearman(at(x2, units), leakage)
			return one.Coefficient - two.Coefficient, err
		})
		return r.Interval, err
	}, spearmanOf(r1)-spearmanOf(r2))
	mustCover(t, "BCa difference of layers", got, 0.91, 0.98)
}
