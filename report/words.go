package report

import (
	"fmt"
	"slices"
	"strings"

	"personaprobe/analysis"
)

// card is one main figure.
type card struct {
	Label  string
	Number number
	Detail phrase
}

// shown is the layer that the report is about, or false without cosines.
func (s *study) shown() (analysis.Layer, string, bool) {
	key := layerKey(s.layer)
	l, ok := s.full.Layers.Get(key)
	return l, key, ok
}

// cards are the main figures.
func (s *study) cards() []card {
	var out []card
	if l, key, ok := s.shown(); ok {
		rho := l.Aggregate.Spearman
		at := func(f ...string) []string { return append([]string{"layers", key, "aggregate", "spearman"}, f...) }
		out = append(out, card{
			fmt.Sprintf("Spearman's ρ, layer %d", s.layer), in(rho.Coefficient, two, "rho", rho.Reason, at("rho")...),
			say(s.level(), " interval ", s.rhoSpan(rho, at), ", p = ", in(rho.P, pValue, "p", rho.Reason, at("p_value")...)),
		})
		if m := l.Aggregate.MeanLeakage; m != nil {
			out = append(out, card{"Mean leakage of bystanders", in(m, percent, "mean", "", "layers", key, "aggregate", "mean_leakage"),
				say("over ", whole(rho.N, "counts", at("n")...), " personas, each alike")})
		}
	}
	out = append(out, card{"Bystander personas", whole(s.full.NumPersonas, "counts", "n_taxonomy_personas"),
		say(whole(s.full.NumSources, "counts", "n_sources"), " sources, ", whole(len(s.categories), "counts", "categories"), " categories")})
	if found, total := s.completions(); total > 0 {
		n := whole(total, "counts", "personas")
		m := whole(found, "counts", "personas")
		out = append(out, card{"Completions", n, say(m, " with the marker; ", whole(len(s.shards), "counts", "personas"), " shards")})
	}
	return out
}

// rhoSpan is the interval of a correlation that the report quotes for all sources.
func (s *study) rhoSpan(rho analysis.Spearman, at func(...string) []string) number {
	if bounds(rho.ClusterBootstrap) != nil {
		return span(rho.ClusterBootstrap, two, "cluster-ci", at("cluster_bootstrap_ci")...)
	}
	return span(rho.BonettWright, two, "bonett-wright", at("bonett_wright_ci")...)
}

// completions are the counts of all personas and anchors.
func (s *study) completions() (found, total int) {
	for _, p := range s.full.Personas {
		if p.Found != nil && p.Total != nil {
			found, total = found+*p.Found, total+*p.Total
		}
	}
	return found, total
}

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

func (s *study) sayAggregate() phrase {
	l, key, ok := s.shown()
	if !ok {
		return say("The directory has no cosines, so the report is about leakage alone.")
	}
	rho := l.Aggregate.Spearman
	at := func(f ...string) []string { return append([]string{"layers", key, "aggregate", "spearman"}, f...) }
	if rho.Coefficient == nil {
		return say("Whether similarity predicts leakage cannot be said: ρ is undefined (", rho.Reason, ").")
	}
	verdict := "The data do not settle whether similarity to the source predicts leakage"
	if i := s.curve[s.layerIndex()].aggregate.Interval; i != nil && i.Lo > 0 {
		verdict = "The more similar the base model holds a persona to be to the source, the more the marker leaks to it"
	} else if i != nil && i.Hi < 0 {
		verdict = "The more similar the base model holds a persona to be to the source, the less the marker leaks to it"
	}
	return say(verdict, ": over ", whole(rho.N, "counts", at("n")...), " bystanders Spearman's ρ of cosine (layer ", s.layerNumber(), ") and leakage is ",
		in(rho.Coefficient, three, "rho", "", at("rho")...), " (", s.level(), " interval, ", s.rhoInterval, ": ", s.rhoSpan(rho, at),
		"; p = ", in(rho.P, pValue, "p", "", at("p_value")...), ").")
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
	significant := 0
	for source, a := range l.PerSource.All() {
		if a.Spearman.Coefficient == nil {
			continue
		}
		rows = append(rows, row{words(source), in(a.Spearman.Coefficient, three, "rho", "", "layers", key, "per_source", source, "spearman", "rho")})
		if a.Spearman.Holm != nil && *a.Spearman.Holm < 0.05 {
			significant++
		}
	}
	if len(rows) < 2 {
		return nil
	}
	slices.SortStableFunc(rows, func(a, b row) int { return compareValues(a.rho.Value, b.rho.Value) })
	lo, hi := rows[0], rows[len(rows)-1]
	return say("Within single sources ρ runs from ", lo.rho, " (", lo.name, ") to ", hi.rho, " (", hi.name, "); ",
		whole(significant, "p-holm", "layers", key, "per_source"), " of ", whole(len(rows), "counts", "layers", key, "per_source"), " have p below 0.05 after Holm's adjustment.")
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
	return say("With the prompts' surface held fixed (", strings.ReplaceAll(name, "+", ", "), ") the correlation is ",
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
	most, least := order[0], order[len(order)-1]
	return say("The marker leaks most from ", words(most), ", to ", mean(most), " of its bystanders' completions, and least from ", words(least), ", to ", mean(least), ".")
}

// meanSpan is the interval of a mean that the report shows throughout.
func (s *study) meanSpan(r analysis.RateSummary, path ...string) number {
	if s.crossed {
		return span(r.CrossedCI, percent, "crossed-ci", append(path, "crossed_ci")...)
	}
	return span(r.PersonaCI, percent, "persona-ci", append(path, "persona_ci")...)
}

func (s *study) sayCategories() phrase {
	var names []string
	for category, r := range s.full.ByCategory.All() {
		if r.Mean != nil {
			names = append(names, category)
		}
	}
	if len(names) < 2 {
		return nil
	}
	mean := func(c string) number {
		r, _ := s.full.ByCategory.Get(c)
		return in(r.Mean, percent, "mean", "", "by_category", c, "mean")
	}
	slices.SortStableFunc(names, func(a, b string) int { return compareValues(mean(b).Value, mean(a).Value) })
	most, least := names[0], names[len(names)-1]
	return say("By kind of persona it leaks most to the category ", words(most), " (", mean(most), ") and least to ", words(least), " (", mean(least), ").")
}

func (s *study) sayExtremes() phrase {
	high, _ := extremes(s.personas, 1)
	if len(high) == 0 {
		return nil
	}
	zero := 0
	for _, p := range s.personas {
		if p.Rate == 0 {
			zero++
		}
	}
	p := s.personas[high[0]]
	return say("The leakiest bystander is ", p.shortName(), " under ", words(p.Source), " with ", s.rateOf(p), bracketed(s.rateSpan(p)), "; ",
		whole(zero, "counts", "personas"), " of ", whole(len(s.personas), "counts", "personas"), " bystanders never wrote the marker.")
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
	full := s.full.Personas[p.Row]
	if s.questions {
		return span(full.Question, percent, "question-ci", "personas", fmt.Sprint(p.Row), "question_ci")
	}
	return span(full.Wilson, percent, "wilson", "personas", fmt.Sprint(p.Row), "wilson")
}

func (s *study) sayAnchors() phrase {
	var rates []number
	for _, a := range s.anchors {
		if a.Prompted == a.Source {
			rates = append(rates, s.rateOf(a))
		}
	}
	if len(rates) == 0 {
		return nil
	}
	slices.SortStableFunc(rates, func(a, b number) int { return compareValues(a.Value, b.Value) })
	return say("Asked as their own source, the adapters write the marker in ", rates[0], " to ", rates[len(rates)-1], " of completions.")
}

func (s *study) sayConcordance() phrase {
	w := s.full.KendallW
	if w.W == nil {
		return nil
	}
	return say("The ", whole(w.NumJudges, "kendall-w", "kendall_w", "n_judges"), " sources order the ", whole(w.NumItems, "kendall-w", "kendall_w", "n_items"), " categories with a concordance of W = ",
		in(w.W, two, "kendall-w", "", "kendall_w", "W"), " (p = ", in(w.P, pValue, "kendall-w", "", "kendall_w", "p"), ").")
}

func (s *study) sayAgreement() phrase {
	var all []number
	for source, c := range s.full.ICC.All() {
		if c.ICC != nil {
			all = append(all, in(c.ICC, two, "icc", "", "icc", source, "icc"))
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b number) int { return compareValues(a.Value, b.Value) })
	return say("Sampling seeds agree on the personas' rates with an ICC(3,1) from ", all[0], " to ", all[len(all)-1], ".")
}

// sayCompute is what the completions cost.
func (s *study) sayCompute() phrase {
	c := s.full.Compute
	if c == nil {
		return nil
	}
	out := say("The sampling took ", in(&c.WallMinutes, one, "compute", "", "compute", "wall_minutes"), " minutes")
	if c.Device != "" {
		out = append(out, say(" on ", c.Device)...)
	}
	if c.GPUHours > 0 {
		out = append(out, say(", ", in(&c.GPUHours, two, "compute", "", "compute", "gpu_hours"), " GPU-hours")...)
	}
	if c.Tokens > 0 {
		out = append(out, say(", for ", whole(c.Tokens, "compute", "compute", "n_tokens"), " new tokens")...)
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
