package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Summary describes one set of values.
type Summary struct {
	N      int
	Mean   float64
	Std    float64 // population standard deviation (divides by N), as numpy's std
	Min    float64
	Median float64 // mean of the two middle values for even N
	Max    float64
}

// Describe summarises values. It is undefined for none.
func Describe(values []float64) (Summary, error) {
	const name = "describe"
	if err := checkValues(name, "values", values); err != nil {
		return Summary{}, err
	}
	if len(values) == 0 {
		return Summary{}, undefined(name, "no values")
	}
	sorted := slices.Sorted(slices.Values(values))
	s := Summary{
		N:      len(values),
		Mean:   stat.Mean(values, nil),
		Min:    sorted[0],
		Median: quantile(sorted, 0.5),
		Max:    sorted[len(sorted)-1],
	}
	if s.Min == s.Max {
		s.Mean = s.Min // a rounded mean would give equal values a spread
	} else {
		s.Std = stat.PopStdDev(values, nil)
	}
	return s, finite(name, s.Mean, s.Std, s.Median)
}

// SampleStd is the sample standard deviation (divides by N-1), undefined for N < 2.
func (s Summary) SampleStd() (float64, error) {
	if s.N < 2 {
		return 0, undefined("sample standard deviation", "needs 2 values, got %d", s.N)
	}
	return s.Std * math.Sqrt(float64(s.N)/float64(s.N-1)), nil
}

// quantile interpolates linearly between the order statistics of sorted values, as
// numpy's default does (type 7 of Hyndman and Fan 1996).
func quantile(sorted []float64, p float64) float64 {
	position := clamp(p, 0) * float64(len(sorted)-1)
	below := int(position)
	if below == len(sorted)-1 {
		return sorted[below]
	}
	share := position - float64(below)
	return sorted[below]*(1-share) + sorted[below+1]*share
}
