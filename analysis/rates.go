package analysis

import (
	"slices"

	"personaprobe/experiment"
	"personaprobe/stats"
)

// persona makes the row of a record.
func (a *analyst) persona(r *record) Persona {
	p := Persona{
		ID: r.id, Source: r.source, Category: r.category, Prompt: r.prompt,
		NumSeeds: r.nSeeds, Rate: r.rate, Seeds: r.shards, NumQuestions: len(r.questions),
		Cosines: Ordered[Number]{}, Covariates: Ordered[Number]{},
	}
	if p.Seeds == nil {
		p.Seeds = Ordered[SeedRate]{}
	}
	if !r.isAnchor() {
		for _, layer := range a.layers {
			p.Cosines.Set(layer.name, lookup(r.cosines, layer.name))
		}
		for _, name := range a.covariates {
			p.Covariates.Set(name, lookup(r.covariates, name))
		}
	}
	if r.counts.Total == 0 {
		const reason = "the number of completions is unknown"
		p.Wilson.Reason, p.Exact.Reason, p.Question.Reason = reason, reason, reason
		p.choose()
		return p
	}
	p.Found, p.Total = &r.counts.Found, &r.counts.Total
	p.Wilson = a.interval(stats.Wilson(r.counts.Found, r.counts.Total, a.opts.Level))
	p.Exact = a.interval(stats.ClopperPearson(r.counts.Found, r.counts.Total, a.opts.Level))
	p.Question = a.questionInterval(r)
	p.choose()
	return p
}

func lookup(m map[string]float64, key string) Number {
	if v, ok := m[key]; ok {
		return &v
	}
	return nil
}

// questionInterval resamples questions, and the completions of each.
func (a *analyst) questionInterval(r *record) Interval {
	table, reason := questionTable([]*record{r})
	if reason != "" {
		return Interval{Reason: reason}
	}
	clusters := make([][]float64, len(table[0]))
	for q, rate := range table[0] {
		clusters[q] = make([]float64, rate.Total)
		for i := range rate.Found {
			clusters[q][i] = 1
		}
	}
	return a.resampled(a.bootstrap().NestedMean(clusters))
}

// meanOf is the mean of the records' rates. Where all have the same number of
// completions it is one division of counts, so that equal means are equal floats.
func meanOf(records []*record) *float64 {
	var all experiment.Rate
	for _, r := range records {
		if r.counts.Total == 0 || r.counts.Total != records[0].counts.Total {
			return mean(rates(records))
		}
		all.Found += r.counts.Found
		all.Total += r.counts.Total
	}
	if all.Total == 0 {
		return nil
	}
	v := all.Value()
	return &v
}

// summary describes the rates of a group of bystanders.
func (a *analyst) summary(records []*record) RateSummary {
	s := RateSummary{N: len(records), Mean: meanOf(records), MeanCosines: []Number{}}
	for _, layer := range a.layers {
		s.MeanCosines = append(s.MeanCosines, mean(cosinesOf(records, layer.name)))
	}
	if len(records) == 0 {
		const reason = "no personas"
		s.PersonaCI.Reason, s.CrossedCI.Reason = reason, reason
		return s
	}
	values := rates(records)
	d, err := stats.Describe(values)
	if err != nil {
		a.reason(err)
		return s
	}
	s.Median, s.StdPop, s.Min, s.Max = &d.Median, &d.Std, &d.Min, &d.Max
	if std, err := d.SampleStd(); err == nil {
		s.StdSample = &std
	}
	s.Found, s.Total = pooled(records)
	s.PersonaCI = a.resampled(a.bootstrap().Mean(values))
	s.CrossedCI = a.crossedMean(records)
	return s
}

func (a *analyst) crossedMean(records []*record) Interval {
	counts, reason := questionTable(records)
	if reason != "" {
		return Interval{Reason: reason}
	}
	table := make([][]float64, len(counts))
	for i, row := range counts {
		for _, rate := range row {
			table[i] = append(table[i], rate.Value())
		}
	}
	return a.resampled(a.bootstrap().CrossedMean(table))
}

// pooled are the counts of all records, or nil if one has none.
func pooled(records []*record) (found, total *int) {
	var sum experiment.Rate
	for _, r := range records {
		if r.counts.Total == 0 {
			return nil, nil
		}
		sum.Found += r.counts.Found
		sum.Total += r.counts.Total
	}
	return &sum.Found, &sum.Total
}

func cosinesOf(records []*record, layer string) []float64 {
	var out []float64
	for _, r := range records {
		if c, ok := r.cosines[layer]; ok {
			out = append(out, c)
		}
	}
	return out
}

// summaries fills the tables of rates.
func (a *analyst) summaries(f *Full) {
	f.Cells, f.BySource, f.ByCategory = Ordered[Ordered[RateSummary]]{}, Ordered[RateSummary]{}, Ordered[RateSummary]{}
	for _, source := range a.sources {
		cells := Ordered[RateSummary]{}
		for _, category := range a.categories {
			cells.Set(category, a.summary(a.bystanders(inCell(source, category))))
		}
		f.Cells.Set(source, cells)
		f.BySource.Set(source, a.summary(a.bystanders(inSource(source))))
	}
	for _, category := range a.categories {
		f.ByCategory.Set(category, a.summary(a.bystanders(inCategory(category))))
	}
}

// seedRates are the rates of every persona with every sampling seed.
func seedRates(records []*record) []float64 {
	var out []float64
	for _, r := range records {
		for _, rate := range r.bySeed().All() {
			out = append(out, rate.Value())
		}
	}
	return out
}

// covariateSummaries describes the covariates.
func (a *analyst) covariateSummaries() Ordered[CovariateSummary] {
	out := Ordered[CovariateSummary]{}
	for _, name := range a.covariates {
		records := a.bystanders(func(r *record) bool { _, ok := r.covariates[name]; return ok })
		values := column(records, name)
		c, err := stats.Spearman(values, rates(records))
		s := CovariateSummary{N: len(values), VsLeakage: a.correlation(len(values), c, err)}
		if d, err := stats.Describe(values); err != nil {
			a.reason(err)
		} else {
			s.Mean, s.StdPop, s.Min, s.Max = &d.Mean, &d.Std, &d.Min, &d.Max
		}
		out.Set(name, s)
	}
	return out
}

func column(records []*record, covariate string) []float64 {
	out := make([]float64, len(records))
	for i, r := range records {
		out[i] = r.covariates[covariate]
	}
	return out
}

// hasAll reports whether a record has all of the covariates.
func (r *record) hasAll(covariates []string) bool {
	return !slices.ContainsFunc(covariates, func(name string) bool { _, ok := r.covariates[name]; return !ok })
}
