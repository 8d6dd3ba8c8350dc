package analysis

import (
	"context"

	"personaprobe/stats"
)

// layer analyses one layer.
func (a *analyst) layer(ctx context.Context, key layerKey) (Layer, error) {
	all := newSample(a.bystanders(nil), key.name, "source and category", byCell)
	out := Layer{Layer: key.index, Aggregate: a.association(all), Fit: a.fit(all)}
	sources := make([]Association, len(a.sources))
	for i, source := range a.sources {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		sources[i] = a.association(newSample(a.bystanders(inSource(source)), key.name, "category", byCategory))
	}
	categories := make([]Association, len(a.categories))
	for i, category := range a.categories {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		categories[i] = a.association(newSample(a.bystanders(inCategory(category)), key.name, "source", bySource))
	}
	adjust(a, sources, spearmanP, setSpearmanP)
	adjust(a, categories, spearmanP, setSpearmanP)
	out.PerSource, out.PerCategory = named(a.sources, sources), named(a.categories, categories)
	out.WithoutSource = a.leaveOut(key, a.sources, bySource)
	out.WithoutCategory = a.leaveOut(key, a.categories, byCategory)
	out.CosineByCategory = a.kruskalWallis(func(r []*record) []float64 { return cosinesOf(r, key.name) })
	out.CovariatesVsCosine = Ordered[Correlation]{}
	for _, name := range a.covariates {
		out.CovariatesVsCosine.Set(name, a.vsCosine(all, name))
	}
	out.Categories = a.cosineCells(key)
	return out, nil
}

func spearmanP(x Association) *float64        { return x.Spearman.P }
func setSpearmanP(x *Association, p Adjusted) { x.Spearman.Adjusted = p }

// leaveOut is Spearman's rho without each of the groups.
func (a *analyst) leaveOut(key layerKey, groups []string, group func(*record) string) Ordered[Correlation] {
	out := Ordered[Correlation]{}
	for _, name := range groups {
		rest := newSample(a.bystanders(func(r *record) bool { return group(r) != name }), key.name, "", group)
		c, err := stats.Spearman(rest.cosines, rest.leakage)
		out.Set(name, a.correlation(len(rest.records), c, err))
	}
	return out
}

func (a *analyst) vsCosine(s *sample, covariate string) Correlation {
	var x, y []float64
	for i, r := range s.records {
		if v, ok := r.covariates[covariate]; ok {
			x, y = append(x, v), append(y, s.cosines[i])
		}
	}
	c, err := stats.Spearman(x, y)
	return a.correlation(len(x), c, err)
}

func (a *analyst) cosineCells(key layerKey) Ordered[Ordered[CosineSummary]] {
	out := Ordered[Ordered[CosineSummary]]{}
	for _, source := range a.sources {
		row := Ordered[CosineSummary]{}
		for _, category := range a.categories {
			values := cosinesOf(a.bystanders(inCell(source, category)), key.name)
			s := CosineSummary{N: len(values)}
			if len(values) > 0 {
				d, err := stats.Describe(values)
				if err != nil {
					a.reason(err)
				}
				s.Mean, s.StdPop, s.Min, s.Max = &d.Mean, &d.Std, &d.Min, &d.Max
			}
			row.Set(category, s)
		}
		out.Set(source, row)
	}
	return out
}

// fit draws lines through leakage against cosine.
func (a *analyst) fit(s *sample) LinearFit {
	out := LinearFit{N: len(s.records)}
	line, err := stats.OLS(s.leakage, s.cosines)
	if err != nil {
		out.Reason = a.reason(err)
		out.SlopeCI.Reason = out.Reason
	} else {
		slope := line.Slopes[0]
		out.Slope, out.Intercept, out.R2, out.SlopeSE = &slope.Value, &line.Intercept.Value, &line.R2, &slope.SE
		out.SlopeCI = a.interval(slope.Interval(a.opts.Level))
	}
	robust, err := stats.TheilSen(s.cosines, s.leakage)
	if err != nil {
		out.TheilSen.Reason = a.reason(err)
		out.TheilSen.SlopeCI.Reason = out.TheilSen.Reason
		return out
	}
	out.TheilSen = TheilSen{Slope: &robust.Slope, Intercept: &robust.Intercept, SlopeCI: a.interval(robust.Interval(a.opts.Level))}
	return out
}

// compareLayers compares every two layers.
func (a *analyst) compareLayers(ctx context.Context) ([]LayerComparison, error) {
	out := []LayerComparison{}
	for i, first := range a.layers {
		for _, second := range a.layers[i+1:] {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			out = append(out, a.compare(first.name, second.name))
		}
	}
	adjust(a, out, func(c LayerComparison) *float64 { return c.P }, func(c *LayerComparison, p Adjusted) { c.Adjusted = p })
	return out, nil
}

func (a *analyst) compare(first, second string) LayerComparison {
	out := LayerComparison{First: first, Second: second}
	records := a.bystanders(func(r *record) bool {
		_, one := r.cosines[first]
		_, two := r.cosines[second]
		return one && two
	})
	out.N = len(records)
	y, x1, x2 := rates(records), cosinesOf(records, first), cosinesOf(records, second)
	out.Bootstrap = a.resampled(a.bootstrap().Run(out.N, func(units []int) (float64, error) {
		leakage := pick(y, units)
		one, err := stats.Spearman(pick(x1, units), leakage)
		if err != nil {
			return 0, err
		}
		two, err := stats.Spearman(pick(x2, units), leakage)
		return one.Coefficient - two.Coefficient, err
	}))
	d, err := stats.CompareSpearman(y, x1, x2)
	if err != nil {
		out.Reason = a.reason(err)
		out.CI.Reason = out.Reason
		return out
	}
	out.RhoFirst, out.RhoSecond, out.Between = &d.First, &d.Second, &d.Between
	out.Difference, out.P = &d.Difference, &d.P
	out.CI = a.interval(d.Interval(a.opts.Level))
	return out
}

func pick(values []float64, units []int) []float64 {
	out := make([]float64, len(units))
	for k, i := range units {
		out[k] = values[i]
	}
	return out
}
