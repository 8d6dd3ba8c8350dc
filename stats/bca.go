package stats

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// bounds fills in the interval, which always holds the estimate. That of BCa is taken
// only where it also holds the median of the replicates: BCa corrects a distribution
// that is slightly off the estimate, and an interval that leaves its middle out rests
// on a few extreme replicates (Efron and Tibshirani 1993, sections 14.3 and 14.4;
// Carpenter and Bithell 2000). Else it is that of the percentiles, with a bound moved
// to the estimate if they leave it out: wider than they are, so it covers no less.
func (b Bootstrap) bounds(r *BootstrapResult, sorted []float64, s scheme) error {
	slack := slackOf(r.Estimate, sorted)
	between := func(low, high float64) Interval {
		return Interval{Lower: quantile(sorted, low), Upper: quantile(sorted, high), Level: b.Level}
	}
	if b.Method == BCa {
		jackknife, err := s.jackknife()
		if err != nil {
			return err
		}
		if sorted[len(sorted)-1]-sorted[0] <= slack {
			return undefined("bootstrap", "resampling never changes the statistic")
		}
		low, high, err := bcaTails(r.Estimate, sorted, jackknife, b.Level)
		if err != nil && !errors.Is(err, ErrUndefined) {
			return err
		}
		r.Interval = between(low, high)
		if err == nil && low <= 0.5 && 0.5 <= high && !r.include(slack) {
			return nil
		}
	}
	r.Method, r.Interval = Percentile, between((1-b.Level)/2, (1+b.Level)/2)
	r.Widened = r.include(slack)
	return nil
}

// include moves a bound to the estimate if that lies outside, and reports whether it
// lay outside by more than rounding.
func (r *BootstrapResult) include(slack float64) bool {
	outside := r.Estimate < r.Lower-slack || r.Estimate > r.Upper+slack
	r.Lower, r.Upper = math.Min(r.Lower, r.Estimate), math.Max(r.Upper, r.Estimate)
	return outside
}

// bcaTails returns the probabilities whose quantiles of the sorted replicates
// bound the interval: Phi(z0 + (z0+q)/(1 - a(z0+q))) for q = -z, z (Efron 1987).
// The bias correction z0 comes from the share of replicates below the estimate,
// ties counted half. The acceleration a comes from the jackknife; for more than one
// factor the influence values of all are summed (as scipy.stats.bootstrap does for
// several samples).
func bcaTails(estimate float64, sorted []float64, jackknife [][]float64, level float64) (low, high float64, err error) {
	const name = "bca interval"
	acceleration, ok := acceleration(jackknife)
	if !ok {
		return 0, 0, undefined(name, "leaving out single units never changes the statistic")
	}
	share := shareBelow(estimate, sorted)
	if share == 0 || share == 1 {
		return 0, 0, undefined(name, "all resampled statistics lie on one side of the estimate %v", estimate)
	}
	bias, critical := distuv.UnitNormal.Quantile(share), normalCritical(level)
	tail := func(q float64) float64 {
		return distuv.UnitNormal.CDF(bias + (bias+q)/(1-acceleration*(bias+q)))
	}
	// Beyond its pole the correction turns over and the bounds would cross.
	if 1 <= acceleration*(bias+critical) || 1 <= acceleration*(bias-critical) {
		return 0, 0, undefined(name, "the statistic is too skewed for the correction (acceleration %.3g)", acceleration)
	}
	low, high = tail(-critical), tail(critical)
	return low, high, finite(name, low, high)
}

// shareBelow counts replicates equal to the estimate but for the order in which
// their terms were added as ties, half of which are below.
func shareBelow(estimate float64, sorted []float64) float64 {
	slack := slackOf(estimate, sorted)
	var count float64
	for _, v := range sorted {
		switch {
		case v < estimate-slack:
			count++
		case v <= estimate+slack:
			count += 0.5
		}
	}
	return count / float64(len(sorted))
}

// slackOf is how far equal statistics may differ by rounding.
func slackOf(estimate float64, sorted []float64) float64 {
	return 1e-12 * math.Max(math.Abs(estimate), math.Max(math.Abs(sorted[0]), math.Abs(sorted[len(sorted)-1])))
}

// acceleration is sum(u^3/n^3) / (6 sum(u^2/n^2)^1.5) with u = (n-1)(mean - value)
// of the jackknife values; ok is false if they do not vary beyond rounding.
func acceleration(jackknife [][]float64) (a float64, ok bool) {
	var factors []column
	var largest float64
	for _, values := range jackknife {
		if c, varies := newColumn(values); varies {
			c.norm *= float64(len(values)-1) / float64(len(values))
			largest = math.Max(largest, c.norm)
			factors = append(factors, c)
		}
	}
	var cubes, squares float64
	for _, c := range factors {
		scale := c.norm / largest // the unit cancels; dropped so that powers stay in range
		squares += scale * scale
		for _, u := range c.unit {
			cubes -= scale * scale * scale * u * u * u
		}
	}
	if len(factors) == 0 {
		return 0, false
	}
	return cubes / (6 * math.Pow(squares, 1.5)), true
}
