package stats

import (
	"math"
	"testing"
)

// simpson is a study whose groups each fall while all together rise: resampling draws
// some units twice and others never, which lowers Spearman's rho far more often than
// it raises it.
func simpson(groups, each int) (x, y []float64) {
	for g := range groups {
		for i := range each {
			wobble := 0.02 * math.Sin(float64(7*g+5*i))
			x = append(x, float64(g)+0.9*float64(i)/float64(each)+wobble)
			y = append(y, float64(g)-0.9*float64(i)/float64(each)+wobble)
		}
	}
	return x, y
}

// An interval holds its own estimate, whatever the bootstrap makes of the data, and
// says which method gave it.
func TestBootstrapHoldsItsEstimate(t *testing.T) {
	const size = 5 // of a cell; a group has 8
	x, y := simpson(5, 8*size)
	cells := func(units []int) (float64, error) {
		var a, b []float64
		for _, g := range units {
			a, b = append(a, x[size*g:size*(g+1)]...), append(b, y[size*g:size*(g+1)]...)
		}
		c, err := Spearman(a, b)
		return c.Coefficient, err
	}
	distinct := func(units []int) (float64, error) {
		seen := make(map[int]bool)
		for _, u := range units {
			seen[u] = true
		}
		return float64(len(seen)) / float64(len(units)), nil
	}
	parity := func(units []int) (float64, error) { // the same without any single unit
		sum := 0
		for _, u := range units {
			sum += u%2*2 - 1
		}
		return math.Abs(math.Trunc(float64(sum) / 2)), nil
	}
	mean := func(units []int) (float64, error) {
		sum := 0.0
		for _, u := range units {
			sum += y[u]
		}
		return sum / float64(len(units)), nil
	}
	for _, c := range []struct {
		name      string
		n         int
		statistic func([]int) (float64, error)
		method    BootstrapMethod
		widened   bool
	}{
		{"mean", 15, mean, BCa, false},
		{"rho of falling groups that rise together", 40, cells, Percentile, true},
		{"all replicates on one side", 15, distinct, Percentile, true},
		{"no acceleration", 16, parity, Percentile, false},
	} {
		r, err := Bootstrap{Resamples: 2000}.Run(c.n, c.statistic)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		t.Logf("%s: %v in %v, %s, widened %v", c.name, r.Estimate, r.Interval, r.Method, r.Widened)
		if !r.Contains(r.Estimate) {
			t.Errorf("%s: the interval [%v, %v] leaves the estimate %v out", c.name, r.Lower, r.Upper, r.Estimate)
		}
		if r.Method != c.method || r.Widened != c.widened {
			t.Errorf("%s: method %s, widened %v; want %s, %v", c.name, r.Method, r.Widened, c.method, c.widened)
		}
		p, err := Bootstrap{Resamples: 2000, Method: Percentile}.Run(c.n, c.statistic)
		if err != nil || p.Method != Percentile {
			t.Fatalf("%s: %v", c.name, err)
		}
		if r.Method == Percentile && r.Interval != p.Interval {
			t.Errorf("%s: %v is not the interval of the percentiles, %v", c.name, r.Interval, p.Interval)
		}
	}
}

// BCa gives way where its interval leaves out the middle of the replicates, also if the
// estimate is still inside: z0 = 1.2 puts its lower bound at their 67th percentile.
func TestBCaKeepsTheMedian(t *testing.T) {
	replicates := make([]float64, 1001)
	for i := range replicates {
		replicates[i] = float64(i)
	}
	jackknife := scheme{factors: []factor{{20, func(i int) (float64, error) { return float64(i), nil }}}}
	for estimate, want := range map[float64]BootstrapMethod{
		500: BCa, 800: BCa, 885: Percentile, 115: Percentile, 998: Percentile, 1: Percentile,
	} {
		r := BootstrapResult{Estimate: estimate}
		if err := (Bootstrap{Level: 0.95}).bounds(&r, replicates, jackknife); err != nil {
			t.Fatal(err)
		}
		if r.Method != want || !r.Contains(estimate) || !r.Contains(500) || r.Widened != (estimate > 990 || estimate < 10) {
			t.Errorf("estimate %v of 0 to 1000: %v, %s, widened %v; want %s", estimate, r.Interval, r.Method, r.Widened, want)
		}
	}
}

// Without any variation there is no interval, not one of width zero.
func TestBootstrapOfConstants(t *testing.T) {
	if r, err := (Bootstrap{Resamples: 100}).Mean([]float64{0.1, 0.1, 0.1}); err == nil {
		t.Errorf("got %+v", r)
	}
}
