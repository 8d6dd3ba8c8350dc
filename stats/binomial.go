package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Wilson returns the score interval for the probability behind k successes in n
// independent trials (Wilson 1927). Its average coverage is close to the level.
// Completions that share questions are not independent: see [Bootstrap.Nested].
func Wilson(k, n int, level float64) (Interval, error) {
	if err := checkBinomial("wilson interval", k, n, level); err != nil {
		return Interval{}, err
	}
	z := normalCritical(level)
	trials, rate := float64(n), float64(k)/float64(n)
	scale := 1 + z*z/trials
	middle := (rate + z*z/(2*trials)) / scale
	margin := z / scale * math.Sqrt(rate*(1-rate)/trials+z*z/(4*trials*trials))
	return pinned(k, n, Interval{Lower: middle - margin, Upper: middle + margin, Level: level}), nil
}

// ClopperPearson returns the exact interval for the probability behind k successes
// in n independent trials (Clopper and Pearson 1934). Its coverage is never below
// the level and often well above it.
func ClopperPearson(k, n int, level float64) (Interval, error) {
	if err := checkBinomial("clopper-pearson interval", k, n, level); err != nil {
		return Interval{}, err
	}
	tail, i := (1-level)/2, Interval{Level: level}
	if k > 0 {
		i.Lower = distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.Quantile(tail)
	}
	if k < n {
		// From the other end, so that the tail area keeps its digits.
		i.Upper = 1 - distuv.Beta{Alpha: float64(n - k), Beta: float64(k + 1)}.Quantile(tail)
	}
	return pinned(k, n, i), nil
}

func checkBinomial(name string, k, n int, level float64) error {
	if k < 0 || n < 0 || k > n {
		return badInput(name, "%d successes in %d trials", k, n)
	}
	if n == 0 {
		return undefined(name, "no trials")
	}
	return checkLevel(name, level)
}

// pinned keeps the interval in [0, 1] and makes the bound that k = 0 and k = n
// have by definition exact.
func pinned(k, n int, i Interval) Interval {
	i.Lower, i.Upper = clamp(i.Lower, 0), clamp(i.Upper, 0)
	if k == 0 {
		i.Lower = 0
	}
	if k == n {
		i.Upper = 1
	}
	return i
}
