package stats

import "math"

// CorrelationDifference compares the correlations of two predictors with one
// response, measured on the same units.
type CorrelationDifference struct {
	First, Second float64 // correlation of the response with each predictor
	Between       float64 // correlation of the predictors with each other
	Difference    float64 // First - Second
	Z             float64 // Meng, Rosenthal and Rubin's test of no difference
	P             float64 // two-sided
	N             int

	inflation func(r float64) float64 // factor on the variance of Fisher's z
}

// ComparePearson compares Pearson's correlations of y with x1 and with x2, by the
// test of Meng, Rosenthal and Rubin (1992) and, in
// [CorrelationDifference.Interval], the interval of Zou (2007). It assumes that
// (y, x1, x2) is trivariate normal. It is undefined where one of the correlations is
// or is exactly 1 in size, and for fewer than 4 units.
func ComparePearson(y, x1, x2 []float64) (CorrelationDifference, error) {
	return compare("comparison of correlations", Pearson, func(float64) float64 { return 1 }, y, x1, x2)
}

// CompareSpearman compares Spearman's correlations of y with x1 and with x2, for
// example leakage with cosine at two layers. It is an approximation: the formulas of
// [ComparePearson] applied to ranks, with the variance of Fisher's z inflated by
// 1 + r^2/2 (Bonett and Wright 2000). [Bootstrap.Run] on the difference needs no such
// assumption.
func CompareSpearman(y, x1, x2 []float64) (CorrelationDifference, error) {
	return compare("comparison of rank correlations", Spearman, func(r float64) float64 { return 1 + r*r/2 }, y, x1, x2)
}

func compare(name string, correlate func(x, y []float64) (Correlation, error), inflation func(float64) float64, y, x1, x2 []float64) (CorrelationDifference, error) {
	var r [3]Correlation
	for i, pair := range [...][2][]float64{{y, x1}, {y, x2}, {x1, x2}} {
		var err error
		if r[i], err = correlate(pair[0], pair[1]); err != nil {
			return CorrelationDifference{}, err
		}
	}
	return newDifference(name, r[0].Coefficient, r[1].Coefficient, r[2].Coefficient, len(y), inflation)
}

// newDifference computes Z = (z1-z2) sqrt((n-3)/(2(1-r12) h)), h = (1-f r2)/(1-r2),
// f = min(1, (1-r12)/(2(1-r2))), with r2 the mean of the squared correlations.
func newDifference(name string, r1, r2, between float64, n int, inflation func(float64) float64) (CorrelationDifference, error) {
	if n < 4 {
		return CorrelationDifference{}, undefined(name, "needs 4 units, got %d", n)
	}
	for _, r := range [...]float64{r1, r2, between} {
		if math.Abs(r) == 1 {
			return CorrelationDifference{}, undefined(name, "a correlation is exactly %v", r)
		}
	}
	mean := (r1*r1 + r2*r2) / 2
	f := math.Min(1, (1-between)/(2*(1-mean)))
	h := (1 - f*mean) / (1 - mean)
	variance := 2 * (1 - between) * h / float64(n-3) * inflation(math.Sqrt(mean))
	d := CorrelationDifference{
		First: r1, Second: r2, Between: between, Difference: r1 - r2, N: n,
		Z:         (math.Atanh(r1) - math.Atanh(r2)) / math.Sqrt(variance),
		inflation: inflation,
	}
	d.P = normalTwoSidedP(d.Z)
	return d, finite(name, d.Z, d.P)
}

// Interval returns Zou's (2007, Psychological Methods 12, 399-413) interval for the
// difference: the intervals of the two correlations, combined with the correlation
// of their estimates.
func (d CorrelationDifference) Interval(level float64) (Interval, error) {
	const name = "interval of a difference of correlations"
	if err := checkLevel(name, level); err != nil {
		return Interval{}, err
	}
	if d.inflation == nil {
		return Interval{}, badInput(name, "not a result of a comparison")
	}
	first, second := d.bounds(d.First, level), d.bounds(d.Second, level)
	c := d.estimateCorrelation()
	reach := func(a, b float64) float64 { return math.Sqrt(math.Max(0, a*a+b*b-2*c*a*b)) }
	i := Interval{
		Lower: d.Difference - reach(d.First-first.Lower, second.Upper-d.Second),
		Upper: d.Difference + reach(first.Upper-d.First, d.Second-second.Lower),
		Level: level,
	}
	return i, finite(name, i.Lower, i.Upper)
}

func (d CorrelationDifference) bounds(r, level float64) Interval {
	z, margin := math.Atanh(r), normalCritical(level)*math.Sqrt(d.inflation(r)/float64(d.N-3))
	return Interval{Lower: math.Tanh(z - margin), Upper: math.Tanh(z + margin)}
}

// estimateCorrelation is the large-sample correlation of the two estimates (Olkin
// and Siotani 1976).
func (d CorrelationDifference) estimateCorrelation() float64 {
	r1, r2, r12 := d.First, d.Second, d.Between
	top := (r12-r1*r2/2)*(1-r1*r1-r2*r2-r12*r12) + r12*r12*r12
	return clamp(top/((1-r1*r1)*(1-r2*r2)), -1)
}
