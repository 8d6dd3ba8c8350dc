package report

import (
	"strings"

	"personaprobe/analysis"
)

func (s *study) agreementTable() table {
	t := table{
		ID: "agreement", Title: "Agreement of measurements, differences of categories", Source: ref{File: fullFile,
			Path: "/icc"}, Brief: true,
		Caption: "By source. ICC: do the personas' rates agree over " + s.raters() + "? Kruskal-Wallis: do the " +
			"categories differ? Intervals at " + s.level() + ".",
		Columns: []column{{"source", ""}, {"personas", "counts"}, {"seeds", "counts"}, {"ICC(3,1)", "icc"},
			{"interval", "icc"}, {"ICC(2,1)", "icc"}, {"ICC(3,k)", "icc"},
			{"H", "kruskal-wallis"}, {"p", "kruskal-wallis"}, {"p, Holm", "p-holm"}, {"ε²", "epsilon"}},
	}
	for _, source := range s.sources {
		c, hasICC := s.full.ICC.Get(source)
		k, hasTest := s.full.KruskalWallis.Get(source)
		if !hasICC && !hasTest {
			continue
		}
		if !hasICC {
			c.Reason = "no rates by seed"
		}
		icc := func(f string) []string { return []string{"icc", source, f} }
		kw := func(f string) []string { return []string{"kruskal_wallis", source, f} }
		t.Rows = append(t.Rows, row{Cells: []cell{
			label(words(source)), num(whole(c.NumPersonas, "counts", icc("n_personas")...)), num(whole(c.NumSeeds, "counts", icc("n_seeds")...)),
			num(in(c.ICC, three, "icc", c.Reason, icc("icc")...)), num(span(c.CI, two, "icc", icc("ci")...)),
			num(in(c.Agreement, three, "icc", c.AgreementCI.Reason, icc("icc_2_1")...)), num(in(c.MeanICC, three, "icc", c.MeanCI.Reason, icc("icc_3_k")...)),
			num(in(k.H, two, "kruskal-wallis", k.Reason, kw("H")...)), num(in(k.P, pValue, "kruskal-wallis", k.Reason, kw("p")...)),
			num(in(k.Holm, pValue, "p-holm", k.Reason, kw("p_holm")...)), num(in(k.EpsilonSquared, three, "epsilon", k.Reason, kw("epsilon_squared")...)),
		}})
	}
	return t
}

// correlationRow is a name with a correlation.
func correlationRow(name string, c analysis.Correlation, def string, path ...string) row {
	at := func(f string) []string { return append(append([]string{}, path...), f) }
	return row{Cells: []cell{label(name), num(whole(c.N, "counts", at("n")...)),
		num(in(c.Coefficient, three, def, c.Reason, at("rho")...)), num(in(c.P, pValue, "p", c.Reason, at("p_value")...))}}
}

func (s *study) partialTable() table {
	l, key, _ := s.shown()
	t := table{
		ID: "partial", Title: "Correlation with the prompts' surface held fixed", Source: ref{File: fullFile, Path: pointer("layers", key, "aggregate", "partial_spearman")},
		Caption: "Partial Spearman correlation of cosine and leakage over all sources, one row for each set of " +
			"covariates; sources are not held fixed.",
		Columns: []column{{"held fixed", ""}, {"n", "counts"}, {"partial ρ", "partial"}, {"p", "p"}},
	}
	for name, c := range l.Aggregate.Partial.All() {
		t.Rows = append(t.Rows, correlationRow(strings.ReplaceAll(name, "+", " + "), c, "partial", "layers", key, "aggregate", "partial_spearman", name))
	}
	return t
}

func (s *study) covariateTable() table {
	t := table{
		ID: "covariates", Title: "Surface covariates", Source: ref{File: fullFile, Path: "/covariates"},
		Caption: "Length and likeness of the prompts, and Spearman's ρ of them with leakage and with cosine, over " +
			"all bystanders.",
		Columns: []column{{"covariate", ""}, {"n", "counts"}, {"mean", "covariate"}, {"sd", "covariate"}, {"min", "covariate"}, {"max", "covariate"}, {"ρ with leakage", "covariate"}, {"p", "p"}, {"ρ with cosine", "covariate"}},
	}
	l, key, _ := s.shown()
	for name, c := range s.full.Covariates.All() {
		at := func(f string) []string { return []string{"covariates", name, f} }
		leak := func(f string) []string { return append(at("spearman_vs_leakage"), f) }
		withCosine, _ := l.CovariatesVsCosine.Get(name)
		t.Rows = append(t.Rows, row{Cells: []cell{
			label(name), num(whole(c.N, "counts", at("n")...)), num(in(c.Mean, two, "covariate", "", at("mean")...)), num(in(c.StdPop, two, "covariate", "", at("std_pop")...)),
			num(in(c.Min, two, "covariate", "", at("min")...)), num(in(c.Max, two, "covariate", "", at("max")...)),
			num(in(c.VsLeakage.Coefficient, three, "covariate", c.VsLeakage.Reason, leak("rho")...)), num(in(c.VsLeakage.P, pValue, "p", c.VsLeakage.Reason, leak("p_value")...)),
			num(in(withCosine.Coefficient, three, "covariate", withCosine.Reason, "layers", key, "covariates_vs_cosine", name, "rho")),
		}})
	}
	return t
}

func (s *study) leaveOutTable() table {
	l, key, _ := s.shown()
	t := table{
		ID: "leave-out", Title: "Leave one group out", Source: ref{File: fullFile, Path: pointer("layers", key)},
		Caption: "Spearman's ρ of cosine and leakage over the other personas, without those of one category or source.",
		Columns: []column{{"without", ""}, {"n", "counts"}, {"ρ", "leave-out"}, {"p", "p"}},
	}
	for name, c := range l.WithoutCategory.All() {
		t.Rows = append(t.Rows, correlationRow("category "+words(name), c, "leave-out", "layers", key, "leave_one_category_out", name))
	}
	for name, c := range l.WithoutSource.All() {
		t.Rows = append(t.Rows, correlationRow("source "+words(name), c, "leave-out", "layers", key, "leave_one_source_out", name))
	}
	return t
}

func (s *study) layerTable() table {
	t := table{
		ID: "layers", Title: "Differences between layers", Source: ref{File: fullFile, Path: "/layer_tests"},
		Caption: "Does one layer's cosine correlate more with leakage than another's, over all bystanders? " +
			"Intervals at " + s.level() + ".",
		Columns: []column{{"first", "layer"}, {"second", "layer"}, {"n", "counts"}, {"ρ first", "rho"}, {"ρ second", "rho"}, {"difference", "layer-test"},
			{"interval", "layer-test"}, {"bootstrap", "layer-test"}, {"p", "layer-test"}, {"p, Holm", "p-holm"}},
	}
	for i, c := range s.full.LayerTests {
		at := func(f string) []string { return []string{"layer_tests", decimals(float64(i), 0), f} }
		t.Rows = append(t.Rows, row{Cells: []cell{
			label(strings.TrimPrefix(c.First, "layer_")), label(strings.TrimPrefix(c.Second, "layer_")), num(whole(c.N, "counts", at("n")...)),
			num(in(c.RhoFirst, three, "rho", c.Reason, at("rho_first")...)), num(in(c.RhoSecond, three, "rho", c.Reason, at("rho_second")...)),
			num(in(c.Difference, three, "layer-test", c.Reason, at("difference")...)), num(span(c.CI, three, "layer-test", at("ci")...)),
			num(span(c.Bootstrap, three, "layer-test", at("bootstrap_ci")...)), num(in(c.P, pValue, "layer-test", c.Reason, at("p_value")...)),
			num(in(c.Holm, pValue, "p-holm", c.Reason, at("p_holm")...)),
		}})
	}
	return t
}

// fitTable has the lines through all bystanders, layer by layer.
func (s *study) fitTable() table {
	t := table{
		ID: "fit", Title: "Lines of leakage on cosine", Source: ref{File: fullFile, Path: "/layers"},
		Caption: "Least squares and Theil-Sen over all bystanders; slopes are rates per unit of cosine. Intervals at " + s.level() + " take personas as independent.",
		Columns: []column{{"layer", "layer"}, {"n", "counts"}, {"slope", "fit"}, {"interval", "fit"}, {"intercept", "fit"}, {"R²", "fit"}, {"Theil-Sen slope", "fit"}, {"interval", "fit"}},
	}
	for key, l := range s.full.Layers.All() {
		f := l.Fit
		at := func(path ...string) []string { return append([]string{"layers", key, "linear_fit"}, path...) }
		t.Rows = append(t.Rows, row{Strong: l.Layer == s.layer, Cells: []cell{
			num(whole(l.Layer, "layer", "layers", key, "layer")), num(whole(f.N, "counts", at("n")...)),
			num(in(f.Slope, three, "fit", f.Reason, at("slope")...)), num(span(f.SlopeCI, three, "fit", at("slope_ci")...)),
			num(in(f.Intercept, three, "fit", f.Reason, at("intercept")...)), num(in(f.R2, three, "fit", f.Reason, at("r2")...)),
			num(in(f.TheilSen.Slope, three, "fit", f.TheilSen.Reason, at("theil_sen", "slope")...)), num(span(f.TheilSen.SlopeCI, three, "fit", at("theil_sen", "slope_ci")...)),
		}})
	}
	return t
}

func (s *study) oceanTable() table {
	t := table{
		ID: "ocean", Title: "Big Five traits beyond cosine", Source: ref{File: fullFile, Path: "/ocean/layers"},
		Caption: "Rank regressions of leakage: cosine alone against cosine with the traits, or with the distance to the source in them. R² left out: each source predicted from the others.",
		Columns: []column{{"layer", ""}, {"added", ""}, {"n", "counts"}, {"F", "ocean"}, {"p", "ocean"}, {"R², cosine", "ocean"}, {"R², both", "ocean"}, {"R² left out, cosine", "ocean"}, {"R² left out, both", "ocean"}},
	}
	if s.full.Ocean == nil {
		return t
	}
	for key, l := range s.full.Ocean.ByLayer.All() {
		add := func(name, field string, m analysis.ModelTest) {
			at := func(f ...string) []string { return append([]string{"ocean", "layers", key, field}, f...) }
			t.Rows = append(t.Rows, row{Cells: []cell{
				label(strings.TrimPrefix(key, "layer_")), label(name), num(whole(l.N, "counts", "ocean", "layers", key, "n")),
				num(in(m.F, two, "ocean", m.Reason, at("F")...)), num(in(m.P, pValue, "ocean", m.Reason, at("p_value")...)),
				num(in(m.R2Cosine, three, "ocean", m.Reason, at("r2_cosine")...)), num(in(m.R2, three, "ocean", m.Reason, at("r2")...)),
				num(in(m.BySource.Cosine, three, "ocean", m.BySource.Reason, at("by_source", "r2_cosine")...)),
				num(in(m.BySource.Full, three, "ocean", m.BySource.Reason, at("by_source", "r2")...)),
			}})
		}
		add("five traits", "traits", l.Traits)
		add("distance", "distance", l.Distance)
	}
	return t
}
