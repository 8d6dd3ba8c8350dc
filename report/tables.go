package report

import (
	"fmt"

	"personaprobe/analysis"
)

type missing = analysis.Missing

// table is a sortable table of the page, and a plain one of report.md.
type table struct {
	ID, Title, Caption string
	Source             ref
	Columns            []column
	Rows               []row
	Filter             bool // long: the page gives it a field to search in
	Brief              bool // report.md has it too
}

type column struct {
	Name string
	Def  string // "" for text
}

type row struct {
	Cells  []cell
	Strong bool   // stands out: the shown layer, the total
	Open   string // persona: the row opens its completions
	Under  string // source of Open
}

// cell is a text or a number.
type cell struct {
	Text   string
	Hint   string // shown with the text
	Number *number
}

func label(s string) cell { return cell{Text: s} }
func num(n number) cell   { return cell{Number: &n} }
func (c cell) plain() string {
	if c.Number != nil {
		return c.Number.Text
	}
	return c.Text
}

// tables are those that have rows, in the order of the page.
func (s *study) tables() []table {
	var out []table
	for _, t := range []table{
		s.correlations(), s.withinCategories(), s.categoryTable(), s.personaTable(), s.anchorTable(), s.agreementTable(),
		s.partialTable(), s.covariateTable(), s.leaveOutTable(), s.layerTable(), s.fitTable(), s.oceanTable(), s.effectsTable(),
	} {
		if len(t.Rows) > 0 {
			if note := s.incomplete(); note != "" {
				t.Caption += " " + note
			}
			out = append(out, t)
		}
	}
	return out
}

func (s *study) correlations() table {
	t := table{
		ID: "correlations", Title: "Cosine and leakage", Source: ref{File: fullFile, Path: "/layers"}, Brief: true,
		Caption: "Rank correlation at every layer, over all sources (clusters: cells of source and category) and within each (clusters: categories). Intervals at " + s.level() + ".",
		Columns: append([]column{{"layer", "layer"}, {"sources", ""}}, associationColumns...),
	}
	for key, l := range s.full.Layers.All() {
		add := func(name string, a analysis.Association, strong bool, path ...string) {
			t.Rows = append(t.Rows, row{Strong: strong, Cells: append([]cell{num(whole(l.Layer, "layer", "layers", key, "layer")), label(name)},
				associationCells(a, path)...)})
		}
		add("all", l.Aggregate, l.Layer == s.layer, "layers", key, "aggregate")
		for source, a := range l.PerSource.All() {
			add(words(source), a, false, "layers", key, "per_source", source)
		}
	}
	return t
}

// withinCategories is the correlation over the sources' personas of one category.
func (s *study) withinCategories() table {
	l, key, _ := s.shown()
	t := table{
		ID: "within-categories", Title: "Cosine and leakage within categories", Source: ref{File: fullFile, Path: pointer("layers", key, "per_category")},
		Caption: fmt.Sprintf("Rank correlation at layer %d over the personas of one category, of all sources, so "+
			"that differences between sources count. Intervals at %s; clusters are the sources.", s.layer, s.level()),
		Columns: append([]column{{"category", ""}}, associationColumns...),
	}
	for category, a := range l.PerCategory.All() {
		t.Rows = append(t.Rows, row{Cells: append([]cell{label(words(category))}, associationCells(a, []string{"layers", key, "per_category", category})...)})
	}
	return t
}

var associationColumns = []column{
	{"n", "counts"}, {"ρ", "rho"}, {"Bonett-Wright", "bonett-wright"}, {"over clusters", "cluster-ci"}, {"personas, questions", "crossed-ci"},
	{"p", "p"}, {"p, Holm", "p-holm"}, {"permutation p", "permutation-p"}, {"r", "pearson"}, {"τ-b", "tau"},
}

func associationCells(a analysis.Association, path []string) []cell {
	p := a.Spearman
	at := func(f ...string) []string { return append(append([]string{}, path...), f...) }
	sp := func(f string) []string { return at("spearman", f) }
	return []cell{
		num(whole(p.N, "counts", sp("n")...)),
		num(in(p.Coefficient, three, "rho", p.Reason, sp("rho")...)),
		num(span(p.BonettWright, two, "bonett-wright", sp("bonett_wright_ci")...)),
		num(span(p.ClusterBootstrap, two, "cluster-ci", sp("cluster_bootstrap_ci")...)),
		num(span(p.Crossed, two, "crossed-ci", sp("crossed_ci")...)),
		num(in(p.P, pValue, "p", p.Reason, sp("p_value")...)),
		num(in(p.Holm, pValue, "p-holm", p.Reason, sp("p_holm")...)),
		num(in(p.PermutationP, pValue, "permutation-p", p.Reason, sp("permutation_p")...)),
		num(in(a.Pearson.Coefficient, three, "pearson", a.Pearson.Reason, at("pearson", "rho")...)),
		num(in(a.KendallTau.Coefficient, three, "tau", a.KendallTau.Reason, at("kendall_tau_b", "rho")...)),
	}
}

func (s *study) categoryTable() table {
	t := table{
		ID: "categories", Title: "Sources and categories", Source: ref{File: fullFile, Path: "/cells"}, Brief: true,
		Caption: "Mean leakage of each cell's personas. Intervals at " + s.level() + ".",
		Columns: []column{{"source", ""}, {"category", ""}, {"n", "counts"}, {"mean", "mean"}, {"over personas", "persona-ci"},
			{"personas, questions", "crossed-ci"}, {"median", "spread"}, {"min", "spread"}, {"max", "spread"}, {"mean cosine", "cosine"}},
	}
	add := func(source, category string, r analysis.RateSummary, strong bool, path ...string) {
		at := func(f string) []string { return append(append([]string{}, path...), f) }
		cosine := number{Text: dash, Def: "cosine", Reason: "no cosines"}
		if i := s.layerIndex(); i >= 0 && i < len(r.MeanCosines) {
			cosine = in(r.MeanCosines[i], two, "cosine", "no cosines", append(at("mean_cosines"), fmt.Sprint(i))...)
		}
		t.Rows = append(t.Rows, row{Strong: strong, Cells: []cell{
			label(source), label(category), num(whole(r.N, "counts", at("n")...)),
			num(in(r.Mean, percent, "mean", "no personas", at("mean")...)),
			num(span(r.PersonaCI, percent, "persona-ci", at("persona_ci")...)),
			num(span(r.CrossedCI, percent, "crossed-ci", at("crossed_ci")...)),
			num(in(r.Median, percent, "spread", "no personas", at("median")...)),
			num(in(r.Min, percent, "spread", "no personas", at("min")...)),
			num(in(r.Max, percent, "spread", "no personas", at("max")...)), num(cosine),
		}})
	}
	for category, r := range s.full.ByCategory.All() {
		add("all", words(category), r, true, "by_category", category)
	}
	for source, r := range s.full.BySource.All() {
		add(words(source), "all", r, true, "by_source", source)
		cells, _ := s.full.Cells.Get(source)
		for category, c := range cells.All() {
			add(words(source), words(category), c, false, "cells", source, category)
		}
	}
	return t
}

// personaTable is the study's persona comparison: every bystander with its source.
func (s *study) personaTable() table {
	def := "wilson"
	if s.questions {
		def = "question-ci" // of most; the others' cells have their own
	}
	t := table{
		ID: "personas", Title: "Personas", Source: ref{File: fullFile, Path: "/personas"}, Filter: true,
		Caption: "Every bystander under its source's adapter; intervals are " + s.rateInterval + ".",
		Columns: []column{{"persona", ""}, {"source", ""}, {"category", ""}, {"leakage", "rate"}, {"interval", def}, {"marked", "counts"}, {"of", "counts"}},
	}
	if s.hasTexts {
		t.Caption += " A persona's name opens its completions."
	}
	hasCosine := s.layerIndex() >= 0
	if hasCosine {
		t.Columns = append(t.Columns, column{fmt.Sprintf("cosine, layer %d", s.layer), "cosine"})
	}
	keys := s.shardKeys()
	for _, key := range keys {
		t.Columns = append(t.Columns, column{keyName(key), "rate"})
	}
	for _, p := range s.personas {
		t.Rows = append(t.Rows, s.personaRow(p, hasCosine, keys))
	}
	return t
}

func (s *study) personaRow(p persona, hasCosine bool, keys []string) row {
	full, i := s.full.Personas[p.Row], fmt.Sprint(p.Row)
	const unknown = "only the rate is known"
	cells := []cell{
		{Text: p.shortName(), Hint: p.Prompt}, label(words(p.Source)), label(words(p.Category)), num(s.rateOf(p)), num(s.rateSpan(p)),
		num(in(float(full.Found), grouped, "counts", unknown, "personas", i, "found")), num(in(float(full.Total), grouped, "counts", unknown, "personas", i, "total")),
	}
	if hasCosine {
		cells = append(cells, num(in(s.cosine(p), three, "cosine", "a centroid is zero or was not read", "personas", i, "cosines", layerKey(s.layer))))
	}
	for _, key := range keys {
		n := number{Text: dash, Def: "rate", Reason: "no rate in this shard", At: ref{File: fullFile,
			Path: pointer("personas", i, "seeds", key)}}
		if v, ok := p.Shards[key]; ok {
			n = in(&v, percent, "rate", "", "personas", i, "seeds", key, "rate")
		}
		cells = append(cells, num(n))
	}
	return s.opens(row{Cells: cells}, p.ID, p.Source)
}

// opens makes a row open the completions of a persona under a source, if there are any.
func (s *study) opens(r row, persona, source string) row {
	if s.hasTexts {
		r.Open, r.Under = persona, source
	}
	return r
}

// shardKeys are the keys of all shards with rates, in order.
func (s *study) shardKeys() []string {
	var keys []string
	for _, h := range s.shards {
		if indexOf(keys, h.Key) < 0 {
			keys = append(keys, h.Key)
		}
	}
	return keys
}

func float(n *int) *float64 {
	if n == nil {
		return nil
	}
	v := float64(*n)
	return &v
}

func (s *study) anchorTable() table {
	t := table{
		ID: "anchors", Title: "Anchors: adapters asked as sources", Source: ref{File: fullFile, Path: "/anchors"},
		Caption: "The diagonal says how well each source's adapters learned the marker, the rest how it leaks " +
			"between sources. Wilson intervals at " + s.level() + ".",
		Columns: []column{{"adapter", ""}, {"asked as", ""}, {"rate", "anchor"}, {"Wilson", "wilson"}, {"marked", "counts"}, {"of", "counts"}, {"reference", "drift"}, {"drift", "drift"}},
	}
	for adapter, prompts := range s.full.Anchors.All() {
		for prompt, a := range prompts.All() {
			at := func(f string) []string { return []string{"anchors", adapter, prompt, f} }
			const none = "no reference rate was given"
			t.Rows = append(t.Rows, s.opens(row{Strong: adapter == prompt, Cells: []cell{
				label(words(adapter)), label(words(prompt)), num(in(a.Rate, percent, "anchor", "", at("rate")...)), num(span(a.Wilson, percent, "wilson", at("wilson")...)),
				num(whole(a.Found, "counts", at("found")...)), num(whole(a.Total, "counts", at("total")...)),
				num(in(a.Reference, percent, "drift", none, at("reference")...)), num(in(a.Drift, percent, "drift", none, at("drift")...)),
			}}, anchorPrefix+prompt, adapter))
		}
	}
	return t
}
