package stats

import (
	"math"

	"gonum.org/v1/gonum/floats"
)

// roundingSpread is how far values may lie from their mean, relative to the
// largest of them, and still differ by rounding alone: 8 units in the last place.
const roundingSpread = 8 * 0x1p-52

// column is a vector without its mean and its length, both kept aside:
// value i is mean + norm*unit[i]. Working on unit keeps squares from overflowing.
type column struct {
	unit []float64 // sum 0, sum of squares 1
	mean float64
	norm float64 // Euclidean length of the centred values, > 0
}

// newColumn returns ok = false if the values do not vary beyond rounding.
func newColumn(x []float64) (c column, ok bool) {
	if len(x) == 0 {
		return column{}, false
	}
	_, exponent := math.Frexp(floats.Norm(x, math.Inf(1)))
	unit := make([]float64, len(x))
	for i, v := range x {
		unit[i] = math.Ldexp(v, -exponent) // exact, and in [-1, 1]
	}
	mean := centre(unit)
	if floats.Norm(unit, math.Inf(1)) <= roundingSpread {
		return column{}, false
	}
	norm := floats.Norm(unit, 2)
	floats.Scale(1/norm, unit)
	return column{unit: unit, mean: math.Ldexp(mean, exponent), norm: math.Ldexp(norm, exponent)}, true
}

// centre subtracts the mean from x in place and returns it. The second pass takes
// away what rounding left of the first.
func centre(x []float64) float64 {
	var mean float64
	for range 2 {
		m := floats.Sum(x) / float64(len(x))
		floats.AddConst(-m, x)
		mean += m
	}
	return mean
}
