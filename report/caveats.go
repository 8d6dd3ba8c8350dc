package report

import (
	"fmt"
	"slices"
	"strings"
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
		s.betweenSources, s.trainingSeeds, s.fewSources, s.cellSizes, s.sharedQuestions, s.surface, s.chosenLayer, s.manyTests,
		s.templateTalks,
		s.floor, s.weakSources, s.oneSeed, s.truncation, s.toyModel,
	} {
		if c := part(); c != nil {
			out = append(out, *c)
		}
	}
	return out
}

func newCaveat(title string, parts ...any) *caveat { return &caveat{title, say(parts...)} }

// trainingSeeds counts the adapters of each source: t<k>_seed<s> are keys of several.
func (s *study) trainingSeeds() *caveat {
	adapters := make(map[string]map[string]bool)
	for _, h := range s.shards {
		training, _, several := strings.Cut(h.Key, "_seed")
		if !several {
			training = ""
		}
		if adapters[h.Source] == nil {
			adapters[h.Source] = make(map[string]bool)
		}
		adapters[h.Source][training] = true
	}
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
		return newCaveat("Training seeds", "Every source has several adapters, pooled into one rate; the ICC treats each adapter and seed as one rater.")
	}
	return newCaveat("Training seeds", whole(single, "counts", "sources"), " of ", whole(len(adapters), "counts", "sources"), " sources have a single trained adapter. Sampling seeds repeat the sampling, not the training: "+
		"no interval here covers how a newly trained adapter would leak.")
}

func (s *study) fewSources() *caveat {
	n := len(s.sources)
	if n >= 20 {
		return nil
	}
	return newCaveat("Few sources", whole(n, "counts", "n_sources"), " sources were chosen, not drawn at random. Statements over all sources describe these; "+
		"intervals that resample groups of so few are too narrow.")
}

func (s *study) cellSizes() *caveat {
	least, most := 0, 0
	for _, row := range s.full.Cells.All() {
		for _, c := range row.All() {
			if least == 0 || c.N < least {
				least = c.N
			}
			most = max(most, c.N)
		}
	}
	switch {
	case most == 0 || least >= 15:
		return nil
	case least == most:
		return newCaveat("Small cells", "Each cell of source and category has ", whole(most, "counts", "cells"), " personas. Their means are uncertain, and bootstrap intervals of so few are too short.")
	}
	return newCaveat("Small cells", "Cells of source and category have ", whole(least, "counts", "cells"), " to ", whole(most, "counts", "cells"),
		" personas. Their means are uncertain, and bootstrap intervals of so few are too short.")
}

func (s *study) sharedQuestions() *caveat {
	n := 0
	for _, p := range s.full.Personas {
		n = max(n, p.NumQuestions)
	}
	if n == 0 {
		return newCaveat("Shared questions", "Completions by question are not known, so no interval of a rate can allow for the questions that its completions share.")
	}
	text := "Wilson intervals take completions as independent and are too narrow for that; intervals over questions are in full_analysis.json."
	if s.questions {
		text = "Intervals of rates therefore resample questions."
	}
	return newCaveat("Shared questions", "All personas answer the same ", whole(n, "counts", "personas", "0", "n_questions"), " questions. ", text,
		" Other questions might give other rates.")
}

// surface says which surface covariates go along with leakage.
func (s *study) surface() *caveat {
	if len(s.full.Covariates) == 0 {
		return newCaveat("Surface confounds", "The prompts are not known, so nothing rules out that their length or wording explains the correlation.")
	}
	parts := []any{"Similarity in meaning goes along with similarity in wording. Spearman's ρ with leakage: "}
	first := true
	for name, c := range s.full.Covariates.All() {
		if !first {
			parts = append(parts, ", ")
		}
		first = false
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
	best := say("none")
	if s.full.BestLayer != nil {
		best = say(number{Text: strings.TrimPrefix(*s.full.BestLayer, "layer_"), Def: "layer", At: ref{File: fullFile, Path: "/best_layer"}})
	}
	if s.chosen {
		return newCaveat("Layer chosen on the data", "Layer ", s.layerNumber(), " is shown because it has the largest ρ of ", whole(len(s.layers), "counts", "layers"),
			" layers on the same data; its ρ and interval have no adjustment for that choice.")
	}
	return newCaveat("Several layers", whole(len(s.layers), "counts", "layers"), " layers were analysed; layer ", s.layerNumber(), " is shown. The largest ρ is at layer ", best,
		", chosen on the data it is judged by.")
}

func (s *study) manyTests() *caveat {
	return newCaveat("Many tests", "p-values are adjusted within a family (the layers, the sources, the categories), not over the whole report. "+
		"The artefacts do not say which analyses were planned before the data were seen.")
}

// floor warns where many rates are 0: ranks cannot tell those apart.
func (s *study) floor() *caveat {
	zero := 0
	for _, p := range s.personas {
		if p.Rate == 0 {
			zero++
		}
	}
	if zero*10 < len(s.personas) || zero == 0 {
		return nil
	}
	return newCaveat("Rates at the floor", whole(zero, "counts", "personas"), " of ", whole(len(s.personas), "counts", "personas"), " bystanders have a rate of exactly 0 and share one rank: "+
		"differences between personas that hardly leak are not seen.")
}

// weakSources are adapters that hardly learned their own marker.
func (s *study) weakSources() *caveat {
	var parts []any
	for _, a := range s.anchors {
		if a.Prompted == a.Source && a.Rate < 0.5 {
			if len(parts) > 0 {
				parts = append(parts, ", ")
			}
			parts = append(parts, words(a.Source)+" ", s.rateOf(a))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return newCaveat("Weak sources", append(append([]any{"Asked as themselves, some adapters write the marker in less than half of the completions ("}, parts...),
		"): what they do not have, they cannot leak.")...)
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
		" completions reached the limit of new tokens. A marker at the end of their full text would be unseen.")
}

func (s *study) toyModel() *caveat {
	if s.results == nil || !strings.HasPrefix(s.results.Manifest.Paths["personas"], "embedded") || s.results.Manifest.Base != "tiny" {
		return nil
	}
	return newCaveat("A toy model", "This run used the embedded model of a few million parameters. It shows the pipeline; its numbers say nothing about real models.")
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
	for _, f := range s.stale {
		out = append(out, fmt.Sprintf("%s changed since the analysis: analyse the directory again.", f))
	}
	out = append(out, s.notes...)
	for _, n := range s.full.Notes {
		out = append(out, strings.TrimSuffix(n, ".")+".")
	}
	return out
}
