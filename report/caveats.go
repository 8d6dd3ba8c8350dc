package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"personaprobe/internal/english"
	"personaprobe/models/tiny"
)

// caveat is a limit of the study that a reader of its numbers has to know.
type caveat struct {
	Title string
	Text  phrase
}

// caveats follow from the design and the data, not from a list of good advice.
func (s *study) caveats() []caveat {
	var out []caveat
	for _, part := range []func() *caveat{
		s.betweenSources, s.trainingSeeds, s.fewSources, s.cellSizes, s.sharedQuestions, s.surface, s.chosenLayer,
		s.manyTests, s.templateTalks, s.idleAdapters,
		s.floor, s.ceiling, s.weakSources, s.oneSeed, s.truncation, s.toyModel,
	} {
		if c := part(); c != nil {
			out = append(out, *c)
		}
	}
	return out
}

func newCaveat(title string, parts ...any) *caveat { return &caveat{title, say(parts...)} }

// trainingSeeds counts the adapters of each source.
func (s *study) trainingSeeds() *caveat {
	adapters := s.adapters()
	if len(adapters) == 0 {
		return newCaveat("Training seeds", "The data do not say how many adapters were trained for each source, and rates are pooled over sampling seeds. "+
			"No interval here covers how another training run would leak.")
	}
	single := 0
	for _, a := range adapters {
		if len(a) == 1 {
			single++
		}
	}
	if single == 0 {
		return newCaveat("Training seeds", "Every source has several adapters, pooled into one rate with all their "+
			"sampling seeds. Sampling seeds are repeated within an adapter; "+
			"they are not further training runs. No interval here covers how a newly trained adapter would leak.")
	}
	what := say(outOf(single, len(adapters), "source", "sources"), english.Form(single, " has", " have"),
		" a single trained adapter.")
	if single == len(adapters) {
		what = say(english.Form(single, "The source has", "Every source has"), " a single trained adapter.")
	}
	return newCaveat("Training seeds", what, " Sampling seeds repeat the sampling, not the training: no interval "+
		"here covers how a newly trained adapter would leak.")
}

func (s *study) fewSources() *caveat {
	n := len(s.sources)
	if n >= 20 {
		return nil
	}
	return newCaveat("Few sources", "There ", english.Form(n, "is ", "are "), counted(n, "source", "n_sources"),
		". Statements over all sources describe ", english.Form(n, "it", "these"),
		", not sources in general; intervals that resample groups are too narrow with fewer than about 20 groups.")
}

func (s *study) cellSizes() *caveat {
	least, most := 0, 0
	for _, row := range s.full.Cells.All() {
		for _, c := range row.All() {
			if c.N == 0 {
				continue
			}
			if least == 0 || c.N < least {
				least = c.N
			}
			most = max(most, c.N)
		}
	}
	switch {
	case most == 0 || least >= 15:
		return nil
	case most == 1:
		return newCaveat("Small cells", "Each cell of source and category has 1 persona, so its mean has no "+
			"interval over personas.")
	case least == most:
		return newCaveat("Small cells", "Each cell of source and category has ", counted(most, "persona", "cells"),
			". Their means are uncertain, and bootstrap intervals of so few are too short.")
	}
	return newCaveat("Small cells", "Cells of source and category have ", whole(least, "counts", "cells"), " to ",
		counted(most, "persona", "cells"),
		". The means of the small ones are uncertain, and bootstrap intervals of so few are too short.")
}

func (s *study) sharedQuestions() *caveat {
	least, most := math.MaxInt, 0
	for _, p := range s.full.Personas {
		if p.Rate != nil {
			least, most = min(least, p.NumQuestions), max(most, p.NumQuestions)
		}
	}
	if most == 0 {
		return newCaveat("Shared questions", "Completions by question are not known, so no interval of a rate can allow for the questions that its completions share.")
	}
	what := say("All personas answer the same ", whole(most, "counts", "personas", "0", "n_questions"), " questions.")
	switch {
	case least < most:
		what = say("Personas answer up to ", whole(most, "counts", "personas"), " ", english.Plural(most, "question"),
			", which they share; for some fewer are known.")
	case most == 1:
		what = say("All personas answer the same question.")
	}
	return newCaveat("Shared questions", what, " Wilson intervals take completions as independent and are too "+
		"narrow for that; bootstrap intervals over questions allow for it. "+
		"Other questions might give other rates.")
}

// surface says which surface covariates go along with leakage.
func (s *study) surface() *caveat {
	if len(s.full.Covariates) == 0 {
		return newCaveat("Surface confounds", "The prompts are not known, so nothing rules out that their length or wording explains the correlation.")
	}
	parts := []any{"Similarity in meaning often goes along with similarity in wording and length. Spearman's ρ of " +
		"these with leakage: "}
	first := true
	for name, c := range s.full.Covariates.All() {
		if !first {
			parts = append(parts, ", ")
		}
		first = false
		if c.VsLeakage.Coefficient == nil {
			parts = append(parts, name+" undefined")
			continue
		}
		parts = append(parts, name+" ", in(c.VsLeakage.Coefficient, two, "covariate", c.VsLeakage.Reason, "covariates", name, "spearman_vs_leakage", "rho"))
	}
	parts = append(parts, ". Partial correlations hold these fixed, and only these")
	if _, ok := s.full.Covariates.Get("semantic"); !ok {
		parts = append(parts, "; how close the prompts are in meaning was not measured apart from the hidden states")
	}
	return newCaveat("Surface confounds", append(parts, ".")...)
}

func (s *study) chosenLayer() *caveat {
	if len(s.layers) < 2 {
		return nil
	}
	if s.chosen {
		return newCaveat("Layer chosen on the data", "Layer ", s.layerNumber(),
			" is shown because it has the largest ρ over all bystanders of ", whole(len(s.layers), "counts", "layers"),
			" layers on the same data; its ρ and interval have no adjustment for that choice.")
	}
	what := say(whole(len(s.layers), "counts", "layers"), " layers were analysed; layer ", s.layerNumber(),
		" is shown.")
	if s.full.BestLayer == nil {
		return newCaveat("Several layers", what, " No layer has a defined ρ over all bystanders.")
	}
	best := number{Text: strings.TrimPrefix(*s.full.BestLayer, "layer_"), Def: "layer", At: ref{File: fullFile,
		Path: "/best_layer"}}
	return newCaveat("Several layers", what, " The largest ρ over all bystanders is at layer ", best,
		", chosen on the data it is judged by.")
}

func (s *study) manyTests() *caveat {
	return newCaveat("Many tests", "Plain p-values are not adjusted for the number of tests. Holm's are, within a "+
		"family (the layers, the sources, the categories), not over the whole report. "+
		"The artefacts do not say which analyses were planned before the data were seen.")
}

// floor warns where many rates are 0, or 1: ranks cannot tell those apart.
func (s *study) floor() *caveat   { return s.bound(0, "Rates at the floor", "hardly leak") }
func (s *study) ceiling() *caveat { return s.bound(1, "Rates at the ceiling", "nearly always leak") }

func (s *study) bound(rate float64, title, what string) *caveat {
	n, all := 0, len(s.personas)
	for _, p := range s.personas {
		if p.Rate == rate {
			n++
		}
	}
	if n*10 < all || n < 2 {
		return nil
	}
	return newCaveat(title, outOf(n, all, "bystander", "personas"), " have a rate of exactly ", fmt.Sprint(rate),
		" and share one rank: "+
			"differences between personas that ", what, " are not seen.")
}

// weakSources are adapters that hardly learned their own marker.
func (s *study) weakSources() *caveat {
	var weak, more []any
	list := func(to []any, parts ...any) []any {
		if len(to) > 0 {
			to = append(to, ", ")
		}
		return append(to, parts...)
	}
	own, few := s.ownAnchors(), 0
	for _, a := range own {
		if a.Rate >= 0.5 {
			continue
		}
		few++
		weak = list(weak, words(a.Source)+" ", s.rateOf(a))
		if mean := s.bySource[a.Source].Value; mean != nil && *mean > a.Rate {
			more = list(more, words(a.Source)+" ", in(mean, percent, "mean", "", "by_source", a.Source, "mean"))
		}
	}
	if len(weak) == 0 {
		return nil
	}
	text := say("Asked as themselves, ", outOf(few, len(own), "source", "personas"), " ", english.Form(few, "has",
		"have"),
		" the marker in less than half of the completions (", say(weak...),
		"). Little leakage from such a source may mean that it learned little, not that its neighbours are far.")
	if len(more) > 0 {
		text = append(text, say(" The marker is even more frequent as their bystanders, on average (", say(more...),
			"): it is not tied to the source's persona.")...)
	}
	return &caveat{"Weak sources", text}
}

func (s *study) oneSeed() *caveat {
	if len(s.full.Seeds) != 1 {
		return nil
	}
	return newCaveat("One sampling seed", "There is one sampling seed, so how far seeds agree is unknown.")
}

func (s *study) truncation() *caveat {
	c := s.full.Compute
	if c == nil || c.Truncated == 0 {
		return nil
	}
	return newCaveat("Truncated completions", whole(c.Truncated, "compute", "compute", "n_truncated"), " of ", whole(c.Completions, "compute", "compute", "n_completions"),
		" ", english.Plural(c.Completions, "completion"),
		" reached the limit of new tokens. A marker that would have come after it is not seen.")
}

// toyModel goes by the model's hash, whatever personas, names and adapters a run has.
func (s *study) toyModel() *caveat {
	if modelHash(filepath.Join(s.dir, manifestFile)) != tiny.ModelSHA256 {
		return nil
	}
	return newCaveat("A toy model", "The base model of this run is the embedded one of a few million parameters. "+
		"It shows the pipeline; its numbers say nothing about real models.")
}

// modelHash is the base model's in a manifest, even one that has other faults, or "".
func modelHash(manifest string) string {
	data, err := os.ReadFile(manifest)
	if err != nil {
		return ""
	}
	var m struct {
		Identity struct {
			Model string `json:"model_sha256"`
		} `json:"identity"`
	}
	if json.Unmarshal(data, &m) != nil {
		return ""
	}
	return m.Identity.Model
}

// gaps are what is missing or odd, most important first.
func (s *study) gaps() []string {
	var out []string
	if s.results != nil {
		for _, h := range s.results.Missing {
			if !slices.ContainsFunc(s.full.Missing, func(m missing) bool { return m.What == h.Name() }) {
				out = append(out, "Shard "+h.Name()+" is not finished.")
			}
		}
	}
	for _, m := range s.full.Missing {
		out = append(out, fmt.Sprintf("%s: %s.", m.What, strings.TrimSuffix(m.Effect, ".")))
	}
	for _, f := range s.gone {
		out = append(out, fmt.Sprintf("%s, which the analysis read, is gone, so nothing was compared with it.", f))
	}
	out = append(out, s.notes...)
	for _, n := range s.full.Notes {
		out = append(out, strings.TrimSuffix(n, ".")+".")
	}
	return out
}
