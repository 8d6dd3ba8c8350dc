package analysis

import (
	"fmt"
	"math"
	"slices"

	"personaprobe/stats"
)

// kruskalWallis tests every source's categories. values gives one group's.
func (a *analyst) kruskalWallis(values func([]*record) []float64) Ordered[KruskalWallis] {
	var sources []string
	var tests []KruskalWallis
	for _, source := range a.sources {
		var groups [][]float64
		for _, category := range a.categories {
			if group := values(a.bystanders(inCell(source, category))); len(group) > 0 {
				groups = append(groups, group)
			}
		}
		if len(groups) > 0 {
			sources, tests = append(sources, source), append(tests, a.kruskal(groups))
		}
	}
	adjust(a, tests, func(k KruskalWallis) *float64 { return k.P }, func(k *KruskalWallis, p Adjusted) { k.Adjusted = p })
	return named(sources, tests)
}

func (a *analyst) kruskal(groups [][]float64) KruskalWallis {
	out := KruskalWallis{NumGroups: len(groups), DF: len(groups) - 1}
	for _, g := range groups {
		out.N += len(g)
	}
	t, err := stats.KruskalWallis(groups...)
	if err != nil {
		out.Reason = a.reason(err)
		return out
	}
	out.H, out.P, out.EpsilonSquared, out.EtaSquared = &t.H, &t.P, &t.EpsilonSquared, &t.EtaSquared
	return out
}

// kendallW asks whether the judges order the categories alike.
func (a *analyst) kendallW(judges []string) KendallW {
	out := KendallW{Judges: judges, Items: []string{}, RankSums: Ordered[float64]{}, Ranks: Ordered[[]Number]{}}
	for _, category := range a.categories {
		everywhere := !slices.ContainsFunc(judges, func(s string) bool { return len(a.bystanders(inCell(s, category))) == 0 })
		if everywhere {
			out.Items = append(out.Items, category)
		}
	}
	out.NumJudges, out.NumItems = len(judges), len(out.Items)
	out.DF = max(0, out.NumItems-1)
	scores := make([][]float64, len(judges))
	for j, source := range judges {
		var pointers []*float64
		scores[j] = make([]float64, len(out.Items))
		for i, category := range out.Items {
			scores[j][i] = *meanOf(a.bystanders(inCell(source, category)))
			pointers = append(pointers, &scores[j][i])
		}
		tie(pointers)
	}
	c, err := stats.KendallW(scores)
	if err != nil {
		out.Reason = a.reason(err)
		return out
	}
	out.W, out.ChiSquared, out.P, out.Uncorrected = &c.W, &c.ChiSquared, &c.P, &c.WUncorrected
	out.RankSums = named(out.Items, c.RankSums)
	for j, source := range judges {
		ranks := make([]Number, len(out.Items))
		for i := range ranks {
			ranks[i] = &c.Ranks[j][i]
		}
		out.Ranks.Set(source, ranks)
	}
	return out
}

// checkJudges reports judges that are not sources with data.
func (a *analyst) checkJudges() error {
	for i, judge := range a.opts.Judges {
		if !slices.Contains(a.sources, judge) {
			return fmt.Errorf("%w: options: judge %q is not a source with data; those are %s", ErrInput, judge, list(a.sources))
		}
		if slices.Contains(a.opts.Judges[:i], judge) {
			return fmt.Errorf("%w: options: judge %q is given twice", ErrInput, judge)
		}
	}
	return nil
}

// anchors compares the adapters' rates on the source prompts with the reference.
func (a *analyst) anchors(f *Full) {
	f.Anchors, f.AnchorCalibration = Ordered[Ordered[AnchorRate]]{}, a.calibrate()
	for _, source := range a.sources {
		row := Ordered[AnchorRate]{}
		for _, r := range a.records {
			if r.source != source || !r.isAnchor() || r.counts.Total == 0 {
				continue
			}
			rate := a.anchor(r)
			row.Set(anchorOf(r.id), rate)
			f.AnchorMaxDrift = larger(f.AnchorMaxDrift, rate.Drift)
			f.AnchorDriftBySeed = larger(f.AnchorDriftBySeed, rate.SeedDrift)
		}
		if len(row) > 0 {
			f.Anchors.Set(source, row)
		}
	}
	switch {
	case len(f.Anchors) == 0:
		a.miss("anchors (personas of category \"anchor\" with counts)",
			"anchors and anchor_calibration are empty and anchor_max_drift null")
	case a.opts.Anchors == nil:
		a.miss("reference rates of the anchors", "anchors and anchor_calibration have no drift and anchor_max_drift is null")
	}
}

func anchorOf(id string) string {
	if len(id) > len(anchorPrefix) && id[:len(anchorPrefix)] == anchorPrefix {
		return id[len(anchorPrefix):]
	}
	return id
}

func (a *analyst) anchor(r *record) AnchorRate {
	out := AnchorRate{
		Rate: r.rate, Found: r.counts.Found, Total: r.counts.Total, Seeds: Ordered[*float64]{},
		Wilson: a.interval(stats.Wilson(r.counts.Found, r.counts.Total, a.opts.Level)),
	}
	for key, s := range r.shards.All() {
		out.Seeds.Set(key, &s.Rate)
	}
	out.Reference, out.Drift = a.drift(r, *r.rate)
	if out.Reference == nil {
		if a.opts.Anchors != nil {
			a.miss(fmt.Sprintf("reference rate of the adapter %s on the prompt of %s", r.source, anchorOf(r.id)),
				"no drift for it")
		}
		return out
	}
	pass := *out.Drift <= a.opts.Anchors.threshold()+rounding
	out.Pass = &pass
	for _, rate := range r.bySeed().All() {
		_, drift := a.drift(r, rate.Value())
		out.SeedDrift = larger(out.SeedDrift, drift)
	}
	return out
}

// drift compares a rate of an anchor with its reference; both are nil without one.
func (a *analyst) drift(r *record, rate float64) (reference, drift *float64) {
	if a.opts.Anchors == nil {
		return nil, nil
	}
	want, ok := a.opts.Anchors.Rates[[2]string{r.source, anchorOf(r.id)}]
	if !ok {
		return nil, nil
	}
	d := math.Abs(rate - want)
	return &want, &d
}

// larger is the larger of two numbers that may be missing.
func larger(a, b *float64) *float64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}
