package analysis

import (
	"personaprobe/experiment"
	"personaprobe/stats"
)

// compile is compiled_analysis.json of a folder without a manifest, or nil without
// rates by seed. As in the original a category's figures are over the rates of each
// persona in each shard.
func (a *analyst) compile() *experiment.Compiled {
	if len(a.shards) == 0 {
		return nil
	}
	out := &experiment.Compiled{Sources: a.sources, Seeds: a.seeds, Categories: a.categories, NumPersonas: a.nominal}
	if out.NumPersonas == 0 {
		out.NumPersonas = len(a.bystanders(nil))
	}
	anchors := make(map[string]bool)
	for _, source := range a.sources {
		var raw Ordered[Ordered[float64]]
		for _, key := range a.shardKeys(source) {
			var rates Ordered[float64]
			for _, r := range a.records {
				if r.isAnchor() {
					anchors[r.id] = true
				}
				if s, ok := r.shards.Get(key); ok && r.source == source {
					rates.Set(r.id, s.Rate)
				}
			}
			raw.Set(key, rates)
		}
		out.RawRates.Set(source, raw)
		var cells Ordered[experiment.CategoryStats]
		for _, category := range a.categories {
			var values []float64
			for _, r := range a.bystanders(inCell(source, category)) {
				for _, s := range r.shards.All() {
					values = append(values, s.Rate)
				}
			}
			if len(values) > 0 {
				cells.Set(category, a.describe(values))
			}
		}
		out.CategorySummary.Set(source, cells)
	}
	out.NumAnchors = len(anchors)
	return out
}

func (a *analyst) describe(values []float64) experiment.CategoryStats {
	d, err := stats.Describe(values)
	if err != nil {
		a.reason(err)
	}
	return experiment.CategoryStats{Mean: d.Mean, Min: d.Min, Max: d.Max, Std: d.Std, N: d.N}
}

// cost is what the completions cost, or nil if no summary says it.
func (a *analyst) cost() *Compute {
	if a.compute == nil {
		return nil
	}
	out := *a.compute
	for _, s := range a.shards {
		for _, e := range s.evals.All() {
			if e.Total != nil {
				out.Completions += *e.Total
			}
		}
	}
	return &out
}
