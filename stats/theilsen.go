package stats

import (
	"math"
	"slices"
)

// maxTheilSen bounds the points of [TheilSen]: 10,000 make 400 MB of slopes.
const maxTheilSen = 10000

// TheilSenLine is a robust line through paired data.
type TheilSenLine struct {
	Slope     float64 // median of the slopes between all pairs with different x
	Intercept float64 // median(y) - Slope*median(x)
	N         int

	slopes   []float64 // sorted
	variance float64   // of Kendall's score between x and y
}

// TheilSen fits a line that up to 29 % of wild values cannot move far (Theil 1950;
// Sen 1968). It takes time and memory for n(n-1)/2 slopes, and refuses more
// than 10,000 points. It is undefined for fewer than 2 points and if x is constant.
func TheilSen(x, y []float64) (TheilSenLine, error) {
	const name = "theil-sen"
	if err := checkPaired(name, x, y); err != nil {
		return TheilSenLine{}, err
	}
	if len(x) < 2 {
		return TheilSenLine{}, undefined(name, "needs 2 points, got %d", len(x))
	}
	if len(x) > maxTheilSen {
		return TheilSenLine{}, badInput(name, "%d points make too many slopes; fit at most %d, for example a random part", len(x), maxTheilSen)
	}
	if isConstant(x) {
		return TheilSenLine{}, undefined(name, "x is constant")
	}
	line := TheilSenLine{N: len(x), slopes: make([]float64, 0, len(x)*(len(x)-1)/2)}
	for i := range x {
		for j := range i {
			if x[i] != x[j] {
				line.slopes = append(line.slopes, (y[i]-y[j])/(x[i]-x[j]))
			}
		}
	}
	if err := finite(name, line.slopes...); err != nil {
		return TheilSenLine{}, err
	}
	slices.Sort(line.slopes)
	line.Slope = quantile(line.slopes, 0.5)
	line.Intercept = median(y) - line.Slope*median(x)
	spread := func(t float64) float64 { return t * (t - 1) * (2*t + 5) }
	_, tiesX := midRanks(x)
	_, tiesY := midRanks(y)
	line.variance = (spread(float64(len(x))) - tieSum(tiesX, spread) - tieSum(tiesY, spread)) / 18
	return line, finite(name, line.Slope, line.Intercept)
}

// Interval returns Sen's interval for the slope: the order statistics of the
// slopes that the null distribution of Kendall's score leaves in, by its normal
// approximation with ties. It is undefined for so few slopes that the level asks
// for more than the smallest and the largest, and if y is constant.
func (l TheilSenLine) Interval(level float64) (Interval, error) {
	const name = "theil-sen interval"
	if err := checkLevel(name, level); err != nil {
		return Interval{}, err
	}
	if l.variance <= 0 {
		return Interval{}, undefined(name, "y is constant, or ties in x and y leave too few comparisons")
	}
	total, margin := float64(len(l.slopes)), normalCritical(level)*math.Sqrt(l.variance)
	lower := int(math.RoundToEven((total-margin)/2)) - 1
	upper := int(math.RoundToEven((total + margin) / 2))
	if lower < 0 || upper > len(l.slopes)-1 {
		return Interval{}, undefined(name, "%d slopes are too few for level %v", len(l.slopes), level)
	}
	return Interval{Lower: l.slopes[lower], Upper: l.slopes[upper], Level: level}, nil
}

func median(x []float64) float64 {
	return quantile(slices.Sorted(slices.Values(x)), 0.5)
}
