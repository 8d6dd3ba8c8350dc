package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"personaprobe/analysis"
	"personaprobe/internal/english"
)

// summary says the main results in sentences.
func (s *study) summary() []phrase {
	var out []phrase
	for _, part := range []func() phrase{
		s.sayAggregate, s.saySources, s.sayPartial, s.sayLeakage, s.sayCategories, s.sayExtremes, s.sayAnchors, s.sayConcordance, s.sayAgreement, s.sayCompute,
	} {
		if p := part(); len(p) > 0 {
			out = append(out, p)
		}
	}
	return out
}

// saySources gives the range of the sources' correlations.
func (s *study) saySources() phrase {
	l, key, ok := s.shown()
	if !ok {
		return nil
	}
	type row struct {
		name string
		rho  number
	}
	var rows []row
	significant, missing := 0, 0
	for source, a := range l.PerSource.All() {
		p := a.Spearman
		if p.Coefficient == nil {
			missing++
			continue
		}
		rows = append(rows, row{words(source), in(p.Coefficient, three, "rho", "", "layers", key, "per_source", source,
			"spearman", "rho")})
		if p.Holm != nil && *p.Holm < 0.05 && (math.Abs(*p.Coefficient) < 1 || p.PermutationP == nil || *p.PermutationP < 0.05) {
			significant++
		}
	}
	if len(rows) < 2 {
		return nil
	}
	slices.SortStableFunc(rows, func(a, b row) int { return compareValues(a.rho.Value, b.rho.Value) })
	lo, hi := rows[0], rows[len(rows)-1]
	out := say("Within single sources ρ runs from ", lo.rho, " (", lo.name, ") to ", hi.rho, " (", hi.name, "); ")
	if lo.rho.Text == hi.rho.Text {
		out = say("Within each of ", len(rows), " sources ρ is ", lo.rho, "; ")
	}
	out = append(out, say(whole(significant, "p-holm", "layers", key, "per_source"), " of ", whole(len(rows), "counts",
		"layers", key, "per_source"), " ",
		english.Form(significant, "has", "have"), " p below 0.05 after Holm's adjustment")...)
	if missing > 0 {
		out = append(out, say("; in ", missing, " more it is undefined")...)
	}
	return append(out, say(".")...)
}

// sayPartial holds all known covariates fixed.
func (s *study) sayPartial() phrase {
	l, key, ok := s.shown()
	if !ok || len(l.Aggregate.Partial) == 0 {
		return nil
	}
	var name string
	var last analysis.Correlation
	for k, c := range l.Aggregate.Partial.All() { // small sets first: the last has all
		name, last = k, c
	}
	if last.Coefficient == nil {
		return nil
	}
	at := []string{"layers", key, "aggregate", "partial_spearman", name}
	return say("With ", listed(strings.Split(name, "+")),
		" of the prompts held fixed the correlation over all bystanders is ",
		in(last.Coefficient, three, "partial", "", append(at, "rho")...), " (p = ", in(last.P, pValue, "p", "", append(at, "p_value")...), ").")
}

func (s *study) sayLeakage() phrase {
	order := s.leaky(len(s.sources))
	if len(order) < 2 {
		return nil
	}
	mean := func(source string) phrase {
		r, _ := s.full.BySource.Get(source)
		return say(in(r.Mean, percent, "mean", "", "by_source", source, "mean"), bracketed(s.meanSpan(r, "by_source", source)))
	}
	most, least := ends(order, func(source string) float64 { return *s.bySource[source].Value })
	switch {
	case least == nil && *s.bySource[order[0]].Value == 0:
		return nil // said of the bystanders
	case least == nil:
		return say("The marker leaks alike from all ", len(order), " sources, at a mean rate of ", mean(order[0]), ".")
	}
	return say("The marker leaks most from ", listed(most), ", at a mean rate of ", mean(most[0]),
		" over its bystanders, and least from ", listed(least), ", at ", mean(least[0]), ".")
}

// meanSpan is the interval of a mean that the report shows throughout.
func (s *study) meanSpan(r analysis.RateSummary, path ...string) number {
	if s.crossed {
		return span(r.CrossedCI, percent, "crossed-ci", append(path, "crossed_ci")...)
	}
	return span(r.PersonaCI, percent, "persona-ci", append(path, "persona_ci")...)
}

func (s *study) sayCategories() phrase {
	values := make(map[string]float64)
	var names []string
	for category, r := range s.full.ByCategory.All() {
		if r.Mean != nil {
			names, values[category] = append(names, category), *r.Mean
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(values[b], values[a]) })
	most, least := ends(names, func(c string) float64 { return values[c] })
	if least == nil {
		return nil
	}
	mean := func(c string) number {
		r, _ := s.full.ByCategory.Get(c)
		return in(r.Mean, percent, "mean", "", "by_category", c, "mean")
	}
	return say("By category of persona, all sources together, it leaks most to ", listed(most), " (", mean(most[0]),
		") and least to ", listed(least), " (", mean(least[0]), ").")
}

func (s *study) sayExtremes() phrase {
	n := len(s.personas)
	if n == 0 {
		return nil
	}
	zero, top := 0, filter(s.personas, func(p persona) bool { return p.Rate == s.highest() })
	for _, p := range s.personas {
		if p.Rate == 0 {
			zero++
		}
	}
	switch {
	case zero == n:
		return say("No bystander wrote the marker: ", english.Form(n, "its rate is 0.",
			fmt.Sprintf("all %s rates are 0.", grouped(float64(n)))))
	case len(top) == n && n > 1:
		return say("All ", counted(n, "bystander", "personas"), " have the same rate, ", s.rateOf(top[0]), ".")
	case len(top) > 1:
		return say("The highest rate, ", s.rateOf(top[0]), ", is that of ", counted(len(top), "bystander", "personas"),
			"; ",
			outOf(zero, n, "bystander", "personas"), " never wrote the marker.")
	}
	p := top[0]
	return say("The bystander with the highest rate is ", p.shortName(), " under ", words(p.Source), ", ", s.rateOf(p),
		bracketed(s.rateSpan(p)), "; ",
		outOf(zero, n, "bystander", "personas"), " never wrote the marker.")
}

// highest is the largest rate of a bystander.
func (s *study) highest() float64 {
	most := 0.0
	for _, p := range s.personas {
		most = max(most, p.Rate)
	}
	return most
}

func (s *study) rateOf(p persona) number {
	return in(&p.Rate, percent, "rate", "", "personas", fmt.Sprint(p.Row), "leakage_rate")
}

// bracketed puts an interval in brackets, or nothing where there is none.
func bracketed(n number) phrase {
	if n.Value == nil {
		return nil
	}
	return say(" (", n, ")")
}

// rateSpan is the interval of a persona's rate that the report shows throughout.
func (s *study) rateSpan(p persona) number {
	full, def := s.full.Personas[p.Row], "question-ci"
	if full.IntervalMethod == analysis.WilsonScore {
		def = "wilson"
	}
	return span(full.Interval, percent, def, "personas", fmt.Sprint(p.Row), "interval")
}

func (s *study) sayAnchors() phrase {
	var rates []number
	for _, a := range s.ownAnchors() {
		rates = append(rates, s.rateOf(a))
	}
	if len(rates) == 0 {
		return nil
	}
	slices.SortStableFunc(rates, func(a, b number) int { return compareValues(a.Value, b.Value) })
	what := say(rates[0], " to ", rates[len(rates)-1])
	if rates[0].Text == rates[len(rates)-1].Text {
		what = say(rates[0])
	}
	if len(rates) == 1 {
		return say("Asked as the source itself, ", words(s.ownAnchors()[0].Source), " has the marker in ", what,
			" of completions.")
	}
	return say("Asked as their own source, the adapters write the marker in ", what, " of completions.")
}

// ownAnchors are the sources asked as themselves.
func (s *study) ownAnchors() []persona {
	return filter(s.anchors, func(a persona) bool { return a.Prompted == a.Source })
}

func (s *study) sayConcordance() phrase {
	w := s.full.KendallWSources
	if w.W == nil {
		return nil
	}
	at := func(f string) []string { return []string{"kendall_w_all_sources", f} }
	return say("The ", counted(w.NumJudges, "source", at("n_judges")...), " order the ",
		counted(w.NumItems, "category", at("n_items")...), " with a concordance of W = ",
		in(w.W, two, "kendall-w", "", at("W")...), " (p = ", in(w.P, pValue, "kendall-w", "", at("p")...), ").")
}

func (s *study) sayAgreement() phrase {
	seeds, adapters := make(map[string]*float64), make(map[string]*float64)
	for source, c := range s.full.ICC.All() {
		seeds[source] = c.ICC
	}
	for source, c := range s.full.ICCAdapters.All() {
		adapters[source] = c.ICC
	}
	out := s.agreement(seeds, "icc", s.raters())
	return append(out, s.agreement(adapters, "icc_adapters", "adapters, each over its sampling seeds")...)
}

// agreement is the range of the sources' ICC over some raters.
func (s *study) agreement(values map[string]*float64, field, raters string) phrase {
	var all []number
	for _, source := range s.sources {
		if v := values[source]; v != nil {
			all = append(all, in(v, two, "icc", "", field, source, "icc"))
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b number) int { return compareValues(a.Value, b.Value) })
	out := say("The agreement of the personas' rates over ", raters, ", ICC(3,1), is ", all[0])
	if last := all[len(all)-1]; last.Text != all[0].Text {
		out = append(out, say(" to ", last, ", by source")...)
	}
	return append(out, say(". ")...)
}

// sayCompute is what the completions cost.
func (s *study) sayCompute() phrase {
	c := s.full.Compute
	if c == nil {
		return nil
	}
	out := say("The sampling took ", in(&c.WallMinutes, duration, "compute", "", "compute", "wall_minutes"))
	if c.Device != "" {
		out = append(out, say(" on ", c.Device)...)
	}
	if c.GPUHours > 0 {
		out = append(out, say(", ", in(&c.GPUHours, atLeast(0.01, two), "compute", "", "compute", "gpu_hours"),
			" GPU-hours")...)
	}
	if c.Tokens > 0 {
		out = append(out, say(", for ", whole(c.Tokens, "compute", "compute", "n_tokens"), " new ",
			english.Plural(c.Tokens, "token"))...)
	}
	return append(out, say(".")...)
}

// layerNumber is the shown layer.
func (s *study) layerNumber() number {
	return whole(s.layer, "layer", "layers", layerKey(s.layer), "layer")
}

// compareValues orders numbers; undefined ones come first.
func compareValues(a, b *float64) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	case *a < *b:
		return -1
	case *a > *b:
		return 1
	}
	return 0
}
