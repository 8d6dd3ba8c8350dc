package analysis

import (
	"math"
	"slices"

	"personaprobe/stats"
)

// Traits are the Big Five, in the order of their scores.
var Traits = []string{"O", "C", "E", "A", "N"}

// ocean tests the scores of the options, or is nil without any.
func (a *analyst) ocean() *Ocean {
	if a.opts.Ocean == nil {
		return nil
	}
	scored := a.bystanders(func(r *record) bool { _, ok := a.opts.Ocean[r.id]; return ok })
	if n := len(a.bystanders(nil)); len(scored) < n {
		a.miss("Big Five scores of personas", "%d of %d bystanders are left out of the tests of traits", n-len(scored), n)
	}
	if a.opts.OceanModel != "" {
		a.note("the Big Five scores are the ratings of the model %s, asked by prompt: what it makes of the descriptions, not a measurement of persons", a.opts.OceanModel)
	}
	out := &Ocean{N: len(scored), Traits: slices.Clone(Traits), ByLayer: Ordered[OceanLayer]{}, Scores: Ordered[map[string]float64]{}}
	for _, r := range scored {
		scores := make(map[string]float64)
		for k, trait := range Traits {
			scores[trait] = a.opts.Ocean[r.id][k]
		}
		out.Scores.Set(r.id, scores)
	}
	out.Alone = a.traitTests(scored)
	for _, layer := range a.layers {
		have := slices.DeleteFunc(slices.Clone(scored), func(r *record) bool { _, ok := r.cosines[layer.name]; return !ok })
		out.ByLayer.Set(layer.name, a.oceanLayer(have, layer.name))
	}
	return out
}

func (a *analyst) traitTests(scored []*record) Ordered[TraitTest] {
	var tests []TraitTest
	for _, values := range a.traitColumns(scored) {
		c, err := stats.Spearman(values, rates(scored))
		tests = append(tests, TraitTest{Correlation: a.correlation(len(scored), c, err)})
	}
	adjust(a, tests, func(t TraitTest) *float64 { return t.P }, func(t *TraitTest, p Adjusted) { t.Adjusted = p })
	out := named(Traits, tests)
	near := a.withDistance(scored)
	c, err := stats.Spearman(a.distances(near), rates(near))
	out.Set("distance", TraitTest{Correlation: a.correlation(len(near), c, err)})
	return out
}

// traitColumns are the scores as five columns.
func (a *analyst) traitColumns(records []*record) [][]float64 {
	columns := make([][]float64, len(Traits))
	for k := range columns {
		columns[k] = make([]float64, len(records))
		for i, r := range records {
			columns[k][i] = a.opts.Ocean[r.id][k]
		}
	}
	return columns
}

// withDistance are the records whose source has scores too.
func (a *analyst) withDistance(records []*record) []*record {
	return slices.DeleteFunc(slices.Clone(records), func(r *record) bool { _, ok := a.sourceScores(r.source); return !ok })
}

// sourceScores are a source's own scores, under its id or its anchor's.
func (a *analyst) sourceScores(source string) (scores [5]float64, ok bool) {
	if scores, ok = a.opts.Ocean[source]; !ok {
		scores, ok = a.opts.Ocean[anchorPrefix+source]
	}
	return scores, ok
}

// distances are Euclidean, between the five scores of persona and source.
func (a *analyst) distances(records []*record) []float64 {
	out := make([]float64, len(records))
	for i, r := range records {
		source, _ := a.sourceScores(r.source)
		sum := 0.0
		for k, v := range a.opts.Ocean[r.id] {
			sum += (v - source[k]) * (v - source[k])
		}
		out[i] = math.Sqrt(sum)
	}
	return out
}

func (a *analyst) oceanLayer(scored []*record, layer string) OceanLayer {
	near := a.withDistance(scored)
	return OceanLayer{
		N:        len(scored),
		Traits:   a.modelTest(scored, layer, a.traitColumns(scored)),
		Distance: a.modelTest(near, layer, [][]float64{a.distances(near)}),
	}
}

// modelTest asks what predictors add to cosine in predicting the rank of leakage.
func (a *analyst) modelTest(records []*record, layer string, extra [][]float64) ModelTest {
	var out ModelTest
	y, cosines := rates(records), cosinesOf(records, layer)
	both := append([][]float64{cosines}, extra...)
	reduced, err := stats.RankRegression(y, cosines)
	if err == nil {
		out.R2Cosine = &reduced.R2
		var full stats.Regression
		if full, err = stats.RankRegression(y, both...); err == nil {
			out.R2 = &full.R2
			var test stats.NestedTest
			if test, err = stats.NestedF(reduced, full); err == nil {
				out.F, out.DF1, out.DF2, out.P = &test.F, test.DF1, test.DF2, &test.P
			}
		}
	}
	if err != nil {
		out.Reason = a.reason(err)
	}
	sources := make([]int, len(records))
	for i, r := range records {
		sources[i] = a.sourceOrder(r.source)
	}
	out.BySource = a.validate(sources, nil, y, cosines, both)
	folds, err := stats.Folds(len(records), a.opts.Folds, a.opts.Seed)
	if err != nil && len(records) < a.opts.Folds { // too few units is no mistake of the caller here
		out.ByFold = Validation{Reason: "fewer personas than folds"}
		return out
	}
	out.ByFold = a.validate(folds, err, y, cosines, both)
	return out
}

func (a *analyst) validate(folds []int, err error, y, cosines []float64, both [][]float64) Validation {
	if err != nil {
		return Validation{Reason: a.reason(err)}
	}
	one, err := stats.CrossValidateRanks(folds, y, cosines)
	if err != nil {
		return Validation{Reason: a.reason(err)}
	}
	out := Validation{Cosine: &one.R2, Folds: one.Folds}
	two, err := stats.CrossValidateRanks(folds, y, both...)
	if err != nil {
		out.Reason = a.reason(err)
		return out
	}
	out.Full = &two.R2
	return out
}
