package analysis

import (
	"errors"
	"strings"

	"personaprobe/stats"
)

// analyst computes. A statistic without a value leaves a reason in its place; any
// other error is a mistake in this package or its input and ends the analysis: the
// first one is kept in err.
type analyst struct {
	*dataset
	opts    Options
	widened int // bootstrap intervals that had to be moved to their estimates
	err     error
}

// reason is why a statistic is undefined.
func (a *analyst) reason(err error) string {
	if !errors.Is(err, stats.ErrUndefined) && a.err == nil {
		a.err = err
	}
	return strings.TrimSuffix(err.Error(), ": "+stats.ErrUndefined.Error())
}

func (a *analyst) bootstrap() stats.Bootstrap {
	return stats.Bootstrap{Resamples: a.opts.Resamples, Level: a.opts.Level, Seed: a.opts.Seed}
}

func (a *analyst) interval(i stats.Interval, err error) Interval {
	if err != nil {
		return Interval{Reason: a.reason(err)}
	}
	return Interval{Lower: &i.Lower, Upper: &i.Upper}
}

func (a *analyst) zInterval(i stats.ZInterval, err error) Interval {
	return a.interval(i.Interval, err)
}

// methodWidened is the Interval.Method of percentiles that left the estimate out.
const methodWidened = "percentile_widened"

// resampled says how the interval was read off the replicates, too.
func (a *analyst) resampled(r stats.BootstrapResult, err error) Interval {
	out := a.interval(r.Interval, err)
	if err == nil {
		out.Method = r.Method.String()
		if r.Widened {
			out.Method = methodWidened
			a.widened++
		}
	}
	return out
}

func (a *analyst) correlation(n int, c stats.Correlation, err error) Correlation {
	if err != nil {
		return Correlation{N: n, Reason: a.reason(err)}
	}
	return Correlation{Coefficient: &c.Coefficient, P: &c.P, N: c.N, DF: c.DF}
}

// family adjusts p-values for each other. Tests without a p-value do not count.
func (a *analyst) family(p []*float64) []Adjusted {
	out := make([]Adjusted, len(p))
	var values []float64
	for _, v := range p {
		if v != nil {
			values = append(values, *v)
		}
	}
	methods := []struct {
		adjust func([]float64) ([]float64, error)
		set    func(*Adjusted, *float64)
	}{
		{stats.Bonferroni, func(x *Adjusted, v *float64) { x.Bonferroni = v }},
		{stats.Holm, func(x *Adjusted, v *float64) { x.Holm = v }},
		{stats.BenjaminiHochberg, func(x *Adjusted, v *float64) { x.BH = v }},
	}
	for _, m := range methods {
		adjusted, err := m.adjust(values)
		if err != nil {
			a.reason(err)
			return out
		}
		k := 0
		for i := range p {
			out[i].Family = len(values)
			if p[i] != nil {
				m.set(&out[i], &adjusted[k])
				k++
			}
		}
	}
	return out
}

// adjust fills in the adjusted p-values of one family of tests.
func adjust[T any](a *analyst, tests []T, p func(T) *float64, set func(*T, Adjusted)) {
	values := make([]*float64, len(tests))
	for i, t := range tests {
		values[i] = p(t)
	}
	for i, adjusted := range a.family(values) {
		set(&tests[i], adjusted)
	}
}

// named puts values under names, in order.
func named[T any](names []string, values []T) Ordered[T] {
	out := Ordered[T]{}
	for i, name := range names {
		out.Set(name, values[i])
	}
	return out
}

func inSource(source string) func(*record) bool {
	return func(r *record) bool { return r.source == source }
}

func inCategory(category string) func(*record) bool {
	return func(r *record) bool { return r.category == category }
}

func inCell(source, category string) func(*record) bool {
	return func(r *record) bool { return r.source == source && r.category == category }
}

// rates are the leakage rates of records, which all have one.
func rates(records []*record) []float64 {
	out := make([]float64, len(records))
	for i, r := range records {
		out[i] = *r.rate
	}
	return out
}

func mean(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	sum /= float64(len(values))
	return &sum
}
