package stats

import (
	"math"
	"strings"
	"testing"
)

// study computes what expected_layer15.json states, in the same tree of keys. The
// expected tree tells which combinations of covariates and judges to take, and
// holds the inputs of the worked examples; no value of it is copied to be compared
// with itself but for those inputs and the descriptions in words.
type study struct {
	t        *testing.T
	personas []persona
	expected tree
}

func (s study) compute() tree {
	sources, categories := s.labels(bySource), s.labels(byCategory)
	aggregate := s.correlations(s.personas)
	c := ok[Correlation](s.t)(Spearman(cosines(s.personas), counts(s.personas)))
	aggregate["fisher_z_ci95"] = zTree(ok[ZInterval](s.t)(c.FisherZ(0.95)), true)
	aggregate["bonett_wright_ci95"] = zTree(ok[ZInterval](s.t)(c.BonettWright(0.95)), true)
	result := tree{
		"computed_with": s.expected["computed_with"], "layer": 15,
		"aggregate":    aggregate,
		"per_source":   s.family(sources, bySource),
		"per_category": s.family(categories, byCategory),
		"partial_spearman": tree{
			"aggregate": s.partials(s.personas, s.in("partial_spearman", "aggregate")), "per_source": s.partialsPerSource(),
		},
		"covariates":                         s.covariates(),
		"kruskal_wallis_leakage_by_category": s.kruskal(sources, counts, true),
		"kruskal_wallis_cosine_by_category":  s.kruskal(sources, cosines, false),
		"kendall_w":                          s.kendallW(categories),
		"leakage_cells":                      s.cells(sources, categories, rates, true),
		"cosine_cells":                       s.cells(sources, categories, cosines, false),
		"linear_fit":                         s.line(),
		"icc_worked_example":                 s.icc("icc_worked_example"),
		"icc_shrout_fleiss_1979_example":     s.icc("icc_shrout_fleiss_1979_example"),
		"binomial_intervals":                 s.binomial(),
		"rank_worked_example":                s.ranks(),
	}
	s.published(result)
	return result
}

func bySource(p persona) string   { return p.source }
func byCategory(p persona) string { return p.category }

func valuesOf[T any](personas []T, f func(T) float64) []float64 {
	values := make([]float64, len(personas))
	for i, p := range personas {
		values[i] = f(p)
	}
	return values
}

func cosines(p []persona) []float64 {
	return valuesOf(p, func(p persona) float64 { return p.cosine })
}
func rates(p []persona) []float64  { return valuesOf(p, func(p persona) float64 { return p.rate }) }
func counts(p []persona) []float64 { return valuesOf(p, func(p persona) float64 { return p.count }) }

func covariate(p []persona, name string) []float64 {
	return valuesOf(p, func(p persona) float64 { return p.covariates[name] })
}

// in walks the expected tree.
func (s study) in(keys ...string) tree {
	at := s.expected
	for _, k := range keys {
		at = at[k].(tree)
	}
	return at
}

func (s study) labels(by func(persona) string) (labels []string) {
	seen := map[string]bool{}
	for _, p := range s.personas {
		if !seen[by(p)] {
			seen[by(p)] = true
			labels = append(labels, by(p))
		}
	}
	return labels
}

func (s study) where(by func(persona) string, label string) (group []persona) {
	for _, p := range s.personas {
		if by(p) == label {
			group = append(group, p)
		}
	}
	return group
}

func (s study) correlations(p []persona) tree {
	rho := ok[Correlation](s.t)(Spearman(cosines(p), counts(p)))
	r := ok[Correlation](s.t)(Pearson(cosines(p), rates(p)))
	tau := ok[RankCorrelation](s.t)(KendallTau(cosines(p), counts(p)))
	return tree{
		"n": rho.N, "spearman_rho": rho.Coefficient, "spearman_p": rho.P,
		"pearson_r": r.Coefficient, "pearson_p": r.P, "kendall_tau_b": tau.Tau,
	}
}

func zTree(z ZInterval, full bool) tree {
	if full {
		return tree{"z": z.Z, "se": z.SE, "lo": z.Lower, "hi": z.Upper}
	}
	return tree{"lo": z.Lower, "hi": z.Upper}
}

func (s study) family(labels []string, by func(persona) string) tree {
	result, p := tree{}, make([]float64, len(labels))
	for i, label := range labels {
		group := s.where(by, label)
		entry := s.correlations(group)
		c := ok[Correlation](s.t)(Spearman(cosines(group), counts(group)))
		entry["fisher_z_ci95"] = zTree(ok[ZInterval](s.t)(c.FisherZ(0.95)), false)
		entry["mean_cosine"] = ok[Summary](s.t)(Describe(cosines(group))).Mean
		entry["mean_leakage"] = ok[Summary](s.t)(Describe(rates(group))).Mean
		entry["bonferroni_m"] = len(labels)
		result[label], p[i] = entry, c.P
	}
	bonferroni, holm, bh := ok[[]float64](s.t)(Bonferroni(p)), ok[[]float64](s.t)(Holm(p)), ok[[]float64](s.t)(BenjaminiHochberg(p))
	for i, label := range labels {
		entry := result[label].(tree)
		entry["spearman_p_bonferroni"], entry["spearman_p_holm"], entry["spearman_p_bh"] = bonferroni[i], holm[i], bh[i]
	}
	return result
}

func (s study) partials(p []persona, wanted tree) tree {
	result := tree{}
	for names := range wanted {
		var held [][]float64
		for name := range strings.SplitSeq(names, "+") {
			held = append(held, covariate(p, name))
		}
		c := ok[Correlation](s.t)(PartialSpearman(cosines(p), counts(p), held...))
		result[names] = tree{
			"rho": c.Coefficient, "t": ok[float64](s.t)(c.T()), "df": c.DF, "p": c.P, "n": c.N, "k": len(held),
		}
	}
	return result
}

func (s study) partialsPerSource() tree {
	result := tree{}
	for source := range s.in("partial_spearman", "per_source") {
		result[source] = s.partials(s.where(bySource, source), s.in("partial_spearman", "per_source", source))
	}
	return result
}

func (s study) covariates() tree {
	result := tree{}
	for name := range s.in("covariates") {
		values := covariate(s.personas, name)
		d := ok[Summary](s.t)(Describe(values))
		leakage := ok[Correlation](s.t)(Spearman(values, counts(s.personas)))
		cosine := ok[Correlation](s.t)(Spearman(values, cosines(s.personas)))
		result[name] = tree{
			"mean": d.Mean, "std_pop": d.Std, "min": d.Min, "max": d.Max,
			"spearman_vs_leakage": tree{"rho": leakage.Coefficient, "p": leakage.P},
			"spearman_vs_cosine":  tree{"rho": cosine.Coefficient, "p": cosine.P},
		}
	}
	return result
}

func (s study) kruskal(sources []string, value func([]persona) []float64, full bool) tree {
	result := tree{}
	for _, source := range sources {
		var groups [][]float64
		for _, category := range s.labels(byCategory) {
			groups = append(groups, value(s.cell(source, category)))
		}
		k := ok[KruskalWallisTest](s.t)(KruskalWallis(groups...))
		entry := tree{"H": k.H, "p": k.P}
		if full {
			entry["df"], entry["n"] = k.DF, k.N
			entry["epsilon_squared"], entry["eta_squared_H"] = k.EpsilonSquared, k.EtaSquared
		}
		result[source] = entry
	}
	return result
}

func (s study) cell(source, category string) (group []persona) {
	for _, p := range s.where(bySource, source) {
		if p.category == category {
			group = append(group, p)
		}
	}
	return group
}

// kendallW scores a cell by its count of completions, which is exact, not by its
// mean rate.
func (s study) kendallW(categories []string) tree {
	result := tree{}
	for name := range s.in("kendall_w") {
		judges := s.in("kendall_w", name)["judges"].([]any)
		var scores [][]float64
		for _, judge := range judges {
			row := make([]float64, len(categories))
			for i, category := range categories {
				for _, count := range counts(s.cell(judge.(string), category)) {
					row[i] += count
				}
			}
			scores = append(scores, row)
		}
		w := ok[Concordance](s.t)(KendallW(scores))
		sums, ranks := tree{}, tree{}
		for i, category := range categories {
			sums[category] = w.RankSums[i]
			for j, judge := range judges {
				if i == 0 {
					ranks[judge.(string)] = tree{}
				}
				ranks[judge.(string)].(tree)[category] = w.Ranks[j][i]
			}
		}
		result[name] = tree{
			"judges": judges, "W": w.W, "W_uncorrected": w.WUncorrected, "chi2": w.ChiSquared,
			"df": w.DF, "p": w.P, "rank_sums": sums, "ranks": ranks,
		}
	}
	return result
}

func (s study) cells(sources, categories []string, value func([]persona) []float64, full bool) tree {
	result := tree{}
	for _, source := range sources {
		row := tree{}
		for _, category := range categories {
			d := ok[Summary](s.t)(Describe(value(s.cell(source, category))))
			entry := tree{"mean": d.Mean, "std_pop": d.Std, "min": d.Min, "max": d.Max}
			if full {
				entry["n"], entry["median"] = d.N, d.Median
				entry["std_sample"] = ok[float64](s.t)(d.SampleStd())
			}
			row[category] = entry
		}
		result[source] = row
	}
	return result
}

func (s study) line() tree {
	fit := ok[Regression](s.t)(OLS(rates(s.personas), cosines(s.personas)))
	return tree{
		"slope": fit.Slopes[0].Value, "intercept": fit.Intercept.Value,
		"r": math.Copysign(math.Sqrt(fit.R2), fit.Slopes[0].Value), "r2": fit.R2,
	}
}

func floatsOf(v any) (values []float64) {
	for _, x := range v.([]any) {
		values = append(values, x.(float64))
	}
	return values
}

func tableOf(v any) (table [][]float64) {
	for _, row := range v.([]any) {
		table = append(table, floatsOf(row))
	}
	return table
}

func listOf(values ...float64) (list []any) {
	for _, v := range values {
		list = append(list, v)
	}
	return list
}

func (s study) icc(name string) tree {
	example := s.in(name)
	table := tableOf(example["data"])
	a := ok[TwoWay](s.t)(NewTwoWay(table))
	form := func(f ICCForm) Reliability { return ok[Reliability](s.t)(ICC(table, f)) }
	interval := func(f ICCForm) []any {
		i := ok[Interval](s.t)(form(f).Interval(0.95))
		return listOf(i.Lower, i.Upper)
	}
	f := ok[FTest](s.t)(form(ICC31).FTest())
	result := tree{
		"rows": example["rows"], "columns": example["columns"], "data": example["data"],
		"n": a.N, "k": a.K, "grand_mean": a.GrandMean,
		"ss": tree{"rows": a.SSRows, "cols": a.SSColumns, "error": a.SSError, "total": a.SSTotal},
		"ms": tree{"rows": a.MSRows, "cols": a.MSColumns, "error": a.MSError, "within": a.MSWithin},
		"F":  f.F, "F_df": listOf(float64(f.DF1), float64(f.DF2)), "F_p": f.P,
		"icc_1_1": form(ICC11).Coefficient, "icc_2_1": form(ICC21).Coefficient, "icc_3_1": form(ICC31).Coefficient,
		"icc_2_k": form(ICC2K).Coefficient, "icc_3_k": form(ICC3K).Coefficient,
		"icc_2_1_ci95": interval(ICC21), "icc_3_1_ci95": interval(ICC31),
	}
	if degenerate, has := example["degenerate"].(tree); has {
		cases := tree{}
		for name, c := range degenerate {
			_, err := ICC(tableOf(c.(tree)["data"]), ICC31)
			cases[name] = tree{"data": c.(tree)["data"], "expected": err}
		}
		result["degenerate"] = cases
	}
	return result
}

func (s study) binomial() (list []any) {
	for _, v := range s.expected["binomial_intervals"].([]any) {
		k, n := int(v.(tree)["k"].(float64)), int(v.(tree)["n"].(float64))
		w, c := ok[Interval](s.t)(Wilson(k, n, 0.95)), ok[Interval](s.t)(ClopperPearson(k, n, 0.95))
		list = append(list, tree{
			"k": k, "n": n, "rate": float64(k) / float64(n),
			"wilson95": listOf(w.Lower, w.Upper), "clopper_pearson95": listOf(c.Lower, c.Upper),
		})
	}
	return list
}

func (s study) ranks() tree {
	example := s.in("rank_worked_example")
	x, y := floatsOf(example["x"]), floatsOf(example["y"])
	c := ok[Correlation](s.t)(Spearman(x, y))
	return tree{
		"x": example["x"], "y": example["y"], "ranks": listOf(ok[[]float64](s.t)(Ranks(x))...),
		"spearman_rho": c.Coefficient, "spearman_p": c.P,
	}
}

// published compares with the rounded figures of the write-up, whose ranks broke
// ties between equal counts: correlations agree to 0.0007, means to their rounding.
func (s study) published(result tree) {
	tolerances := map[string]float64{"p_value": 2e-6, "mean_cosine": 5.1e-7, "mean_leakage": 5.1e-5}
	ours := map[string]string{"p_value": "spearman_p", "mean_cosine": "mean_cosine", "mean_leakage": "mean_leakage"}
	var largest float64
	check := func(computed, wanted tree) tree {
		entry := tree{"n": computed["n"], "spearman_rho": published{computed["spearman_rho"].(float64), 7e-4}}
		for key, tolerance := range tolerances {
			if _, has := wanted[key]; has {
				entry[key] = published{computed[ours[key]].(float64), tolerance}
			}
		}
		largest = max(largest, math.Abs(computed["spearman_rho"].(float64)-wanted["spearman_rho"].(float64)))
		return entry
	}
	all := tree{"aggregate": check(result["aggregate"].(tree), s.in("published_rounded", "aggregate"))}
	for _, family := range []string{"per_source", "per_category"} {
		groups := tree{}
		for label := range s.in("published_rounded", family) {
			groups[label] = check(result[family].(tree)[label].(tree), s.in("published_rounded", family, label))
		}
		all[family] = groups
	}
	result["published_rounded"], result["max_abs_diff_vs_published_rho"] = all, largest
}
