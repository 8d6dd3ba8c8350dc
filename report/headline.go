package report

import (
	"math"

	"personaprobe/analysis"
	"personaprobe/internal/english"
)

// The report's first sentence says whether similarity predicts leakage. A correlation
// over all bystanders mixes two relations: which of a source's personas the marker leaks
// to, and which sources leak more. They can have opposite signs (Simpson's paradox), so
// the sentence follows from both the correlation over all and those within the sources:
//
//	over all    within sources   the sentence says
//	up, down    the same         the relation, over all and within
//	up, down    reversed         the correlation over all; within the sources it is reversed
//	up, down    mixed            the correlation over all; the sources disagree
//	up, down    open             the correlation over all; within sources it is not settled
//	up, down    none             the correlation over all; within sources it is undefined
//	up, down    alone            the relation, under the one source
//	open        up, down         the relation within the sources; over all it is not settled
//	open        mixed            the sources disagree
//	open        open, none, alone   the data do not settle it
//	undefined   any              it cannot be said, and why
//
// One correlation is up or down if every interval that the report has for it lies on one
// side of zero: Bonett-Wright's, and over all also that over clusters. At 1 and -1, where
// neither exists, the permutation test decides. Otherwise it is open.
//
// Within the sources the relation is up if more than half of those with a defined
// correlation are up and none is down; mixed if some are up and some are down; none if
// no source has a defined correlation; alone if the study has one source.
type call int

const (
	undefined call = iota
	open
	up
	down
	mixed // of sources only
	none
	alone
)

// callOf is what one correlation says.
func (s *study) callOf(p analysis.Spearman) call {
	if p.Coefficient == nil {
		return undefined
	}
	sides := make(map[call]bool)
	for _, i := range []*interval{bounds(p.BonettWright), bounds(p.ClusterBootstrap)} {
		if i != nil {
			sides[sideOf(*i)] = true
		}
	}
	if bounds(p.BonettWright) == nil && math.Abs(*p.Coefficient) == 1 && p.PermutationP != nil && *p.PermutationP < 1-s.confidence() {
		sides[sideOf(interval{*p.Coefficient, *p.Coefficient})] = true
	}
	switch {
	case len(sides) == 1 && sides[up]:
		return up
	case len(sides) == 1 && sides[down]:
		return down
	}
	return open
}

func sideOf(i interval) call {
	switch {
	case i.Lo > 0:
		return up
	case i.Hi < 0:
		return down
	}
	return open
}

// evidence is what the sources' own correlations say together.
type evidence struct {
	call            call
	sources         int    // of the study
	defined         int    // with a correlation
	up, down        int    // of those
	lowest, highest number // correlations; empty without any
}

func (s *study) within(l analysis.Layer, key string) evidence {
	e := evidence{sources: len(s.sources)}
	for source, a := range l.PerSource.All() {
		rho := in(a.Spearman.Coefficient, two, "rho", "", "layers", key, "per_source", source, "spearman", "rho")
		if rho.Value == nil {
			continue
		}
		e.defined++
		switch s.callOf(analysis.Spearman{
			Correlation: a.Spearman.Correlation, PermutationP: a.Spearman.PermutationP,
			BonettWright: a.Spearman.BonettWright,
		}) {
		case up:
			e.up++
		case down:
			e.down++
		}
		if e.lowest.Value == nil || *rho.Value < *e.lowest.Value {
			e.lowest = rho
		}
		if e.highest.Value == nil || *rho.Value > *e.highest.Value {
			e.highest = rho
		}
	}
	e.call = e.verdict()
	return e
}

func (e evidence) verdict() call {
	switch {
	case e.sources == 1:
		return alone
	case e.defined == 0:
		return none
	case e.up > 0 && e.down > 0:
		return mixed
	case 2*e.up > e.defined:
		return up
	case 2*e.down > e.defined:
		return down
	}
	return open
}

// span is the range of the sources' correlations.
func (e evidence) span() phrase {
	if e.lowest.Text == e.highest.Text {
		return say(e.lowest)
	}
	return say(e.lowest, " to ", e.highest)
}

// how says in how many sources the correlation is settled, with the range of all.
func (e evidence) how() phrase {
	var out phrase
	switch of := say(" of ", e.defined, " ", english.Plural(e.defined, "source")); {
	case e.up > 0 && e.down > 0:
		out = say("above zero in ", e.up, " and below zero in ", e.down, of)
	case e.up > 0:
		out = say("above zero in ", e.up, of)
	case e.down > 0:
		out = say("below zero in ", e.down, of)
	default:
		out = say("on one side of zero in none", of)
	}
	out = say("the interval of ρ lies ", out, ", with ρ ", e.span())
	if n := e.sources - e.defined; n > 0 {
		out = append(out, say("; ρ is undefined in ", n, " more")...)
	}
	return out
}

// each is "each of the 5 sources", or how many of them.
func (e evidence) each(n int) phrase {
	if n == e.sources {
		return say("each of the ", n, " sources")
	}
	return say(n, " of the ", e.sources, " sources")
}

// relation is the claim in words.
func relation(c call) string {
	if c == up {
		return "the more similar the base model holds a persona to be to the source, the more the marker leaks to it"
	}
	return "the more similar the base model holds a persona to be to the source, the less the marker leaks to it"
}

func direction(c call) string {
	if c == up {
		return "rises"
	}
	return "falls"
}

// headline is the first sentence; over is the correlation over all bystanders in words.
func headline(all call, e evidence, over phrase) phrase {
	settled, agree := all == up || all == down, all == e.call
	across := say("Across all bystanders leakage ", direction(all), " with similarity to the source: ", over, "; but ")
	switch {
	case settled && e.call == alone:
		return say("Under the one source, ", relation(all), ": ", over, ".")
	case settled && agree:
		return say(capital(relation(all)), ", over all bystanders and within the sources: ", over,
			"; within the sources ", e.how(), ".")
	case settled && (e.call == up || e.call == down):
		return say(across, "within ", e.each(e.up+e.down), " the relation is reversed (ρ ", e.span(),
			"): the correlation over all reflects differences between sources.")
	case settled && e.call == mixed:
		return say(across, "the sources disagree (", e.how(), ").")
	case settled && e.call == open:
		return say(across, "within single sources the data do not settle it (", e.how(),
			"), so the correlation over all may reflect differences between sources.")
	case settled:
		return say(across, "within single sources ρ is undefined, so this may be a difference between sources alone.")
	case e.call == up || e.call == down:
		return say("Within the sources ", relation(e.call), " (", e.how(),
			"); across all bystanders, where differences between sources come in, the data do not settle it: ", over,
			".")
	case e.call == mixed:
		return say("The sources disagree about whether more similar personas leak more (", e.how(),
			"), and across all bystanders the data do not settle it: ", over, ".")
	}
	out := say("The data do not settle whether similarity to the source predicts leakage: ", over)
	switch e.call {
	case open:
		out = append(out, say("; within the sources ", e.how())...)
	case none:
		out = append(out, say("; within single sources ρ is undefined")...)
	}
	return append(out, say(".")...)
}

// sayAggregate is the headline.
func (s *study) sayAggregate() phrase {
	l, key, ok := s.shown()
	if !ok {
		return say("The directory has no cosines, so the report is about leakage alone.")
	}
	rho := l.Aggregate.Spearman
	if rho.Coefficient == nil {
		return say("Whether similarity predicts leakage cannot be said: ρ is undefined (", why(rho.Reason), ").")
	}
	over := say("over ", counted(rho.N, "bystander", at(key, "n")...), " Spearman's ρ of cosine (layer ",
		s.layerNumber(), ") and leakage is ",
		in(rho.Coefficient, three, "rho", "", at(key, "rho")...), " (", s.uncertainty(rho, key), ")")
	return headline(s.callOf(rho), s.within(l, key), over)
}

// at is the place of a part of a layer's correlation over all bystanders.
func at(layer string, field string) []string {
	return []string{"layers", layer, "aggregate", "spearman", field}
}

// uncertainty is the interval and the p-value of the correlation over all bystanders.
func (s *study) uncertainty(rho analysis.Spearman, key string) phrase {
	p := say("p = ", in(rho.P, pValue, "p", rho.Reason, at(key, "p_value")...))
	if math.Abs(*rho.Coefficient) == 1 && rho.PermutationP != nil { // Student's t says 0 there, however few there are
		p = say("permutation p = ", in(rho.PermutationP, pValue, "permutation-p", "", at(key, "permutation_p")...))
	}
	interval, name := s.rhoSpan(rho, key)
	if interval.Value == nil {
		return say("no interval: ", why(interval.Reason), "; ", p)
	}
	return say(s.level(), " interval, ", name, ": ", interval, "; ", p)
}

// rhoSpan is the interval of a correlation over all bystanders that the report quotes,
// and what it is: of that over clusters and Bonett-Wright's the one that callOf went by,
// which is one with zero in it if there is any, and the wider one of two alike.
func (s *study) rhoSpan(rho analysis.Spearman, key string) (n number, name string) {
	cluster, formula := bounds(rho.ClusterBootstrap), bounds(rho.BonettWright)
	if cluster != nil && (formula == nil || further(*cluster, *formula)) {
		return span(rho.ClusterBootstrap, two, "cluster-ci", at(key, "cluster_bootstrap_ci")...), clusterBootstrap
	}
	return span(rho.BonettWright, two, "bonett-wright", at(key, "bonett_wright_ci")...), bonettWright
}

// further reports whether a says less than b.
func further(a, b interval) bool {
	if openA, openB := sideOf(a) == open, sideOf(b) == open; openA != openB {
		return openA
	}
	return a.Hi-a.Lo > b.Hi-b.Lo
}

const (
	clusterBootstrap = "bootstrap over cells of source and category"
	bonettWright     = "Bonett-Wright"
)

// betweenSources explains a correlation over all bystanders that those within the
// sources do not bear out.
func (s *study) betweenSources() *caveat {
	l, key, ok := s.shown()
	if !ok {
		return nil
	}
	all, e := s.callOf(l.Aggregate.Spearman), s.within(l, key)
	if all == undefined || e.call == alone || all == e.call {
		return nil
	}
	var what phrase
	switch {
	case all == open && e.call == none:
		return nil
	case (all == up || all == down) && (e.call == up || e.call == down):
		what = say("The correlation over all bystanders and those within the sources have opposite signs " +
			"(Simpson's paradox).")
	case e.call == none:
		what = say("No source has a correlation of its own, so only differences between sources are seen.")
	default:
		what = say("The correlation over all bystanders and those within the sources do not say the same.")
	}
	return newCaveat("Differences between sources", what,
		" Where sources differ in their mean cosine and in their mean leakage, that alone makes or hides a "+
			"correlation "+
			"over all bystanders. Whether similarity predicts to which personas one source leaks is in the rows of "+
			"single sources; every figure over all sources, "+
			"its intervals, partial correlations, left-out groups and fitted line included, has both in it.")
}
