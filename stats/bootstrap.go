package stats

import (
	"errors"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

const (
	defaultBootstraps = 10000
	defaultLevel      = 0.95

	// maxUndefined is the share of resamples on which a statistic may be undefined
	// before the rest no longer stands for its sampling distribution.
	maxUndefined = 0.1
)

// BootstrapMethod says how an interval is read off the resampled statistics.
type BootstrapMethod int

const (
	// BCa corrects for bias and skewness (Efron 1987). Where the correction fails the
	// interval is that of Percentile, and the result says so.
	BCa BootstrapMethod = iota
	// Percentile takes the quantiles as they are.
	Percentile
)

// String is the method's name in files.
func (m BootstrapMethod) String() string {
	if m == Percentile {
		return "percentile"
	}
	return "bca"
}

// Bootstrap makes intervals by resampling with replacement. Its methods differ in
// what they resample: independent units ([Bootstrap.Run], [Bootstrap.Mean],
// [Bootstrap.Spearman]), clusters and the units within each ([Bootstrap.Nested]),
// or rows and columns of a table ([Bootstrap.Crossed]). What was sampled
// independently in the study must be resampled as one piece. With fewer than
// about 20 independent pieces every bootstrap interval is too narrow.
//
// A statistic is called from several goroutines at once, must not keep or change
// the slices it is given, and says that it has no value by an error that wraps
// [ErrUndefined]. Such resamples are left out and counted; if more than a tenth is,
// the interval is undefined. Any other error of the statistic is returned.
type Bootstrap struct {
	Resamples int             // 0 means 10,000
	Level     float64         // nominal coverage; 0 means 0.95
	Method    BootstrapMethod // BCa unless set
	Seed      uint64          // same seed, same result
}

// BootstrapResult is an estimate with its bootstrap interval.
type BootstrapResult struct {
	Interval
	Estimate  float64         // the statistic of the data themselves; the interval holds it
	SE        float64         // standard deviation of the resampled statistics
	Resamples int             // drawn, with those in Undefined
	Undefined int             // resamples on which the statistic had no value
	Method    BootstrapMethod // that gave the interval: Percentile where BCa fails
	Widened   bool            // the percentiles left the estimate out; a bound was moved to it
}

// Validate reports options out of range.
func (b Bootstrap) Validate() error {
	const name = "bootstrap"
	if b.Resamples < 0 || b.Resamples == 1 {
		return badInput(name, "%d resamples", b.Resamples)
	}
	if b.Method != BCa && b.Method != Percentile {
		return badInput(name, "unknown method %d", int(b.Method))
	}
	if b.Level == 0 {
		return nil
	}
	return checkLevel(name, b.Level)
}

// Run resamples n independent units. statistic is given n indices of units and
// must use all of them, repeats included.
func (b Bootstrap) Run(n int, statistic func(units []int) (float64, error)) (BootstrapResult, error) {
	if n < 2 {
		return BootstrapResult{}, undefined("bootstrap", "needs 2 units, got %d", n)
	}
	return b.run(scheme{
		all: func() (float64, error) { return statistic(upTo(n)) },
		resample: func(random stream) (float64, error) {
			units := make([]int, n)
			random.fill(units, n)
			return statistic(units)
		},
		factors: []factor{{n, func(i int) (float64, error) { return statistic(without(n, i)) }}},
	})
}

// Mean resamples independent values and takes their mean.
func (b Bootstrap) Mean(values []float64) (BootstrapResult, error) {
	if err := checkValues("bootstrap mean", "values", values); err != nil {
		return BootstrapResult{}, err
	}
	return b.Run(len(values), func(units []int) (float64, error) {
		var sum float64
		for _, i := range units {
			sum += values[i]
		}
		return sum / float64(len(units)), nil
	})
}

// Spearman resamples independent pairs and takes Spearman's correlation.
func (b Bootstrap) Spearman(x, y []float64) (BootstrapResult, error) {
	if err := checkPaired("bootstrap spearman", x, y); err != nil {
		return BootstrapResult{}, err
	}
	return b.Run(len(x), func(units []int) (float64, error) {
		rx, ry := make([]float64, len(units)), make([]float64, len(units))
		for k, i := range units {
			rx[k], ry[k] = x[i], y[i]
		}
		c, err := Spearman(rx, ry)
		return c.Coefficient, err
	})
}

// scheme is a way to resample and to leave single pieces out.
type scheme struct {
	all      func() (float64, error)
	resample func(random stream) (float64, error)
	factors  []factor // what is sampled independently, for the jackknife of BCa
}

type factor struct {
	n       int
	without func(i int) (float64, error)
}

func (b Bootstrap) run(s scheme) (BootstrapResult, error) {
	if err := b.Validate(); err != nil {
		return BootstrapResult{}, err
	}
	if b.Resamples == 0 {
		b.Resamples = defaultBootstraps
	}
	if b.Level == 0 {
		b.Level = defaultLevel
	}
	estimate, err := checked(s.all())
	if err != nil {
		return BootstrapResult{}, err
	}
	replicates, err := b.replicates(s)
	if err != nil {
		return BootstrapResult{}, err
	}
	result := BootstrapResult{
		Estimate:  estimate,
		SE:        stat.StdDev(replicates, nil),
		Resamples: b.Resamples,
		Undefined: b.Resamples - len(replicates),
	}
	if err := b.bounds(&result, replicates, s); err != nil {
		return BootstrapResult{}, err
	}
	return result, finite("bootstrap", result.Lower, result.Upper, result.SE)
}

// replicates returns the resampled statistics in rising order, without those that
// are undefined.
func (b Bootstrap) replicates(s scheme) ([]float64, error) {
	values, errs := make([]float64, b.Resamples), make([]error, b.Resamples)
	parallel(b.Resamples, func(i int) {
		values[i], errs[i] = checked(s.resample(newStream(b.Seed, "bootstrap", i)))
	})
	defined := values[:0]
	for i, err := range errs {
		switch {
		case err == nil:
			defined = append(defined, values[i])
		case !errors.Is(err, ErrUndefined):
			return nil, err
		}
	}
	if missing := b.Resamples - len(defined); len(defined) < 2 || float64(missing) > maxUndefined*float64(b.Resamples) {
		return nil, undefined("bootstrap", "the statistic has no value on %d of %d resamples", missing, b.Resamples)
	}
	slices.Sort(defined)
	return defined, nil
}

// jackknife returns the statistic without piece i, for every piece of each factor.
func (s scheme) jackknife() ([][]float64, error) {
	var result [][]float64
	for _, f := range s.factors {
		values, errs := make([]float64, f.n), make([]error, f.n)
		parallel(f.n, func(i int) { values[i], errs[i] = checked(f.without(i)) })
		for _, err := range errs {
			if err != nil {
				return nil, err
			}
		}
		result = append(result, values)
	}
	return result, nil
}

// checked keeps a NaN of a caller's statistic from passing for a number.
func checked(v float64, err error) (float64, error) {
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		err = badInput("bootstrap", "the statistic returned %v without an error", v)
	}
	return v, err
}

func upTo(n int) []int {
	index := make([]int, n)
	for i := range index {
		index[i] = i
	}
	return index
}

func without(n, left int) []int {
	return slices.Delete(upTo(n), left, left+1)
}
