package analysis

import (
	"slices"

	"personaprobe/stats"
)

// OriginalAnchor is the rate of one adapter, source prompt and sampling seed as the
// original study gives it.
type OriginalAnchor struct {
	Actual    *float64 `json:"actual"`
	Reference *float64 `json:"reference"`   // null without a table of earlier rates
	Drift     *float64 `json:"drift"`       // |actual - reference|
	Within    bool     `json:"within_10pp"` // drift is known and at most 0.10
}

// CellInterval is a bootstrap interval for a cell's mean, in the original's fields. A
// cell of a single value has no bounds, and no fields for them.
type CellInterval struct {
	Mean  *float64 `json:"mean"`
	Lower *float64 `json:"ci_lo,omitempty"`
	Upper *float64 `json:"ci_hi,omitempty"`
	Width *float64 `json:"ci_width,omitempty"`
	N     int      `json:"n"` // values resampled: personas, or personas x seeds
}

// originalJudges are the sources that the original study took for its Kendall's W.
var originalJudges = []string{"software_engineer", "assistant", "kindergarten_teacher"}

// judges are those of the options, else the original's where the data have them, else
// all sources.
func (a *analyst) judges() []string {
	switch {
	case len(a.opts.Judges) > 0:
		return a.opts.Judges
	case !slices.ContainsFunc(originalJudges, func(s string) bool { return !slices.Contains(a.sources, s) }):
		return originalJudges
	}
	return a.sources
}

// cellIntervals are the original's table of bootstrap intervals, of values by cell:
// plain percentiles, which every cell of two values or more has.
func (a *analyst) cellIntervals(values func([]*record) []float64) Ordered[Ordered[CellInterval]] {
	out := Ordered[Ordered[CellInterval]]{}
	b := a.bootstrap()
	b.Method = stats.Percentile
	for _, source := range a.sources {
		intervals := Ordered[CellInterval]{}
		for _, category := range a.categories {
			cell := values(a.bystanders(inCell(source, category)))
			if len(cell) == 0 {
				continue
			}
			c := CellInterval{Mean: mean(cell), N: len(cell)}
			if ci := a.resampled(b.Mean(cell)); ci.Lower != nil {
				width := *ci.Upper - *ci.Lower
				c.Lower, c.Upper, c.Width = ci.Lower, ci.Upper, &width
			}
			intervals.Set(category, c)
		}
		out.Set(source, intervals)
	}
	return out
}

// calibrate compares the anchors with the reference seed by seed, as the original does.
func (a *analyst) calibrate() Ordered[Ordered[Ordered[OriginalAnchor]]] {
	const within = 0.10
	out := Ordered[Ordered[Ordered[OriginalAnchor]]]{}
	for _, source := range a.sources {
		var seeds []string
		bySeed := make(map[string]Ordered[OriginalAnchor])
		for _, r := range a.records {
			if r.source != source || !r.isAnchor() {
				continue
			}
			for seed, rate := range r.bySeed().All() {
				if !slices.Contains(seeds, seed) {
					seeds = append(seeds, seed)
				}
				actual := rate.Value()
				one := OriginalAnchor{Actual: &actual}
				one.Reference, one.Drift = a.drift(r, actual)
				one.Within = one.Drift != nil && *one.Drift <= within+rounding
				rates := bySeed[seed]
				rates.Set(r.id, one)
				bySeed[seed] = rates
			}
		}
		if len(seeds) == 0 {
			continue
		}
		row := Ordered[Ordered[OriginalAnchor]]{}
		for _, seed := range seeds {
			row.Set(seed, bySeed[seed])
		}
		out.Set(source, row)
	}
	return out
}
