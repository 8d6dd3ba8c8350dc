package experiment

// Compiled is compiled_analysis.json: the rates of all finished shards.
type Compiled struct {
	Sources         []string                           `json:"sources"` // with a finished shard
	Seeds           []uint64                           `json:"seeds"`   // of the plan
	Categories      []string                           `json:"categories"`
	NumPersonas     int                                `json:"n_taxonomy_personas"` // bystanders
	NumAnchors      int                                `json:"n_anchors"`
	CategorySummary Ordered[Ordered[CategoryStats]]    `json:"category_summary"` // source, category
	RawRates        Ordered[Ordered[Ordered[float64]]] `json:"raw_rates"`        // source, Shard.Key, persona
}

// Compile pools the shards of every source. As in the original study a category's
// figures are over the rates of each persona in each shard, so n counts a persona
// once per shard.
func Compile(r *Results) *Compiled {
	t := r.Study.Taxonomy
	out := &Compiled{
		Sources: []string{}, Seeds: r.Study.Plan.Seeds, Categories: t.Categories,
		NumPersonas: len(t.Bystanders), NumAnchors: len(t.Sources),
	}
	for _, source := range r.Study.Sources() {
		var raw Ordered[Ordered[float64]]
		byCategory := make(map[string][]Rate)
		for _, shard := range r.Shards {
			if shard.Shard.Adapter.Source != source {
				continue
			}
			var rates Ordered[float64]
			for id, e := range shard.Evals.All() {
				rates.Set(id, e.Rate)
				byCategory[e.Category] = append(byCategory[e.Category], Rate{e.Found, e.Total})
			}
			raw.Set(shard.Shard.Key(), rates)
		}
		if len(raw) == 0 {
			continue
		}
		out.Sources = append(out.Sources, source)
		out.RawRates.Set(source, raw)
		out.CategorySummary.Set(source, describeAll(t.Categories, byCategory))
	}
	return out
}

// describeAll describes the categories that have rates, in order.
func describeAll(categories []string, rates map[string][]Rate) Ordered[CategoryStats] {
	var out Ordered[CategoryStats]
	for _, c := range categories {
		if len(rates[c]) > 0 {
			out.Set(c, describe(rates[c]))
		}
	}
	return out
}
