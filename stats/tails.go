package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// The tail probabilities below are upper tails computed as such. One minus a
// cumulative probability has no correct digit once the tail is below 1e-16.

// tTwoSidedP is P(|T| >= |t|) for Student's t with df degrees of freedom:
// I_x(df/2, 1/2) at x = df/(df+t^2).
func tTwoSidedP(t, df float64) float64 {
	t2 := t * t
	if t2 < 1 {
		// x is near 1, where the difference from 1 carries the information.
		return clamp(1-mathext.RegIncBeta(0.5, df/2, t2/(df+t2)), 0)
	}
	return clamp(mathext.RegIncBeta(df/2, 0.5, df/(df+t2)), 0)
}

// correlationP is the two-sided p-value of t = r*sqrt(df/(1-r^2)), without
// computing t, which is infinite at |r| = 1.
func correlationP(r, df float64) float64 {
	r2, rest := r*r, (1-r)*(1+r)
	if r2*df < rest {
		return clamp(1-mathext.RegIncBeta(0.5, df/2, r2), 0)
	}
	return clamp(mathext.RegIncBeta(df/2, 0.5, rest), 0)
}

// fUpperP is P(F >= f). gonum's distuv.F.Survival is one minus its CDF.
func fUpperP(f, df1, df2 float64) float64 {
	return clamp(mathext.RegIncBeta(df2/2, df1/2, df2/(df2+df1*f)), 0)
}

func chiSquaredUpperP(x, df float64) float64 {
	return clamp(distuv.ChiSquared{K: df}.Survival(x), 0)
}

func normalTwoSidedP(z float64) float64 {
	return math.Erfc(math.Abs(z) / math.Sqrt2)
}

// normalCritical is the z with P(|Z| <= z) = level: 1.959964 for 0.95.
func normalCritical(level float64) float64 {
	return -distuv.UnitNormal.Quantile((1 - level) / 2)
}

func tCritical(level, df float64) float64 {
	return -distuv.StudentsT{Sigma: 1, Nu: df}.Quantile((1 - level) / 2)
}

// fCritical is the upper (1-level)/2 point of F: F.975 for 0.95.
func fCritical(level, df1, df2 float64) float64 {
	return distuv.F{D1: df1, D2: df2}.Quantile((1 + level) / 2)
}

// clamp keeps v in [low, 1], where rounding may have pushed it out. NaN stays NaN.
func clamp(v, low float64) float64 {
	return math.Max(low, math.Min(1, v))
}
