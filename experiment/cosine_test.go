package experiment

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"personaprobe/hidden"
	"personaprobe/internal/golden"
)

// bystander is a persona with the counts that a test gives it.
type bystander struct {
	Persona
	found int
}

// makeResults are results with one shard per source and counts out of total, which must
// be a multiple of 20.
func makeResults(t *testing.T, sources, categories []string, bystanders []bystander, total int) *Results {
	t.Helper()
	tax := &Taxonomy{Categories: categories}
	for _, s := range sources {
		tax.Sources = append(tax.Sources, Source{ID: s, Prompt: "Source " + s})
	}
	found := make(map[string]int)
	for _, b := range bystanders {
		b.Prompt = "Bystander " + b.ID
		tax.Bystanders = append(tax.Bystanders, b.Persona)
		found[b.ID] = b.found
	}
	plan := smallPlan()
	plan.NumQuestions, plan.NumCompletions, plan.Seeds, plan.Layers = 20, total/20, []uint64{42}, []int{10, 15, 20, 25}
	study, err := NewStudy(plan, tax, makeQuestions(t, 20))
	if err != nil {
		t.Fatal(err)
	}
	r := &Results{Dir: "run", Manifest: inputsOf(study).manifest(time.Now()), Study: study}
	for _, shard := range study.Shards() {
		result := ShardResult{Shard: shard}
		for _, p := range tax.Personas(shard.Adapter.Source) {
			rate := Rate{found[p.ID], total}
			result.Evals.Set(p.ID, PersonaEval{rate.Value(), rate.Found, total, p.Category, p.Source, p.Prompt})
		}
		r.Shards = append(r.Shards, result)
	}
	return r
}

func near(v *float64, want, tolerance float64) bool {
	return v != nil && math.Abs(*v-want) <= tolerance
}

// The tiny model's reference study: correlations from centroids and counts.
func TestAnalysisOfTheGoldenStudy(t *testing.T) {
	leakage, err := golden.LoadLeakage()
	if err != nil {
		t.Fatal(err)
	}
	centroids, err := golden.LoadCentroids()
	if err != nil {
		t.Fatal(err)
	}
	var categories []string
	var bystanders []bystander
	for _, r := range leakage.Rows {
		if !slices.Contains(categories, r.Category) {
			categories = append(categories, r.Category)
		}
		found := int(math.Round(r.Leakage * float64(r.N)))
		bystanders = append(bystanders, bystander{Persona{ID: r.ID, Source: r.Source, Category: r.Category}, found})
	}
	results := makeResults(t, centroids.Names[:5], categories, bystanders, leakage.Rows[0].N)
	rep := &Representation{Layers: results.Study.Plan.Layers}
	for _, l := range rep.Layers {
		array := centroids.Layers[l]
		data := make([]float64, len(array.Values))
		for i, x := range array.Values {
			data[i] = float64(x)
		}
		c, err := hidden.NewCentroids(centroids.Names, data)
		if err != nil {
			t.Fatal(err)
		}
		rep.Centred = append(rep.Centred, c)
	}
	got, err := AnalyseCosines(results, rep, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for layer, want := range leakage.Spearman {
		result, ok := got.PerLayer.Get("layer_" + layer)
		if !ok {
			t.Fatalf("layer %s is missing", layer)
		}
		for name, rho := range want {
			have := result.Aggregate
			if name != "all" {
				have, _ = result.PerSource.Get(name)
			}
			if !near(have.Rho, rho, 1e-9) {
				t.Errorf("layer %s, %s: rho %v, want %v", layer, name, deref(have.Rho), rho)
			}
		}
		if len(result.Pairs) != 200 || result.Aggregate.N != 200 || len(result.PerSource) != 5 || len(result.PerCategory) != 8 {
			t.Errorf("layer %s: %d pairs, n %d", layer, len(result.Pairs), result.Aggregate.N)
		}
	}
	best, bestRho := 0, -2.0
	for _, l := range leakage.Layers {
		if rho := leakage.Spearman[fmt.Sprint(l)]["all"]; rho > bestRho {
			best, bestRho = l, rho
		}
	}
	if got.BestLayer == nil || *got.BestLayer != best || !near(got.BestRho, bestRho, 1e-9) {
		t.Errorf("best layer %v, want %d", got.BestLayer, best)
	}
}

func deref(v *float64) any {
	if v == nil {
		return nil
	}
	return *v
}

// The published data of the original study at layer 15, against scipy's figures for
// it. A persona with cosine c to its source is placed at (c, sqrt(1-c^2)) beside it.
func TestAnalysisOfThePublishedPairs(t *testing.T) {
	dir := golden.SharedDir(t, "reference")
	var file struct {
		Pairs []struct {
			ID       string  `json:"persona_id"`
			Source   string  `json:"source"`
			Category string  `json:"category"`
			Cosine   float64 `json:"cosine"`
			Leakage  float64 `json:"leakage_rate"`
		} `json:"pairs"`
	}
	readTestJSON(t, filepath.Join(dir, "pairs_layer15.json"), &file)
	type figures struct {
		N           int     `json:"n"`
		Rho         float64 `json:"spearman_rho"`
		P           float64 `json:"spearman_p"`
		MeanCosine  float64 `json:"mean_cosine"`
		MeanLeakage float64 `json:"mean_leakage"`
	}
	var expected struct {
		Aggregate   figures            `json:"aggregate"`
		PerSource   map[string]figures `json:"per_source"`
		PerCategory map[string]figures `json:"per_category"`
	}
	readTestJSON(t, filepath.Join(dir, "expected_layer15.json"), &expected)

	var sources, categories, names []string
	var bystanders []bystander
	for _, p := range file.Pairs {
		if !slices.Contains(sources, p.Source) {
			sources = append(sources, p.Source)
		}
		if !slices.Contains(categories, p.Category) {
			categories = append(categories, p.Category)
		}
		found := int(math.Round(600 * p.Leakage))
		bystanders = append(bystanders, bystander{Persona{ID: p.ID, Source: p.Source, Category: p.Category}, found})
	}
	var data []float64
	for i, s := range sources {
		row := make([]float64, 2*len(sources))
		row[2*i] = 1
		names, data = append(names, s), append(data, row...)
	}
	for _, p := range file.Pairs {
		row := make([]float64, 2*len(sources))
		i := slices.Index(sources, p.Source)
		row[2*i], row[2*i+1] = p.Cosine, math.Sqrt(1-p.Cosine*p.Cosine)
		names, data = append(names, p.ID), append(data, row...)
	}
	centred, err := hidden.NewCentroids(names, data)
	if err != nil {
		t.Fatal(err)
	}
	results := makeResults(t, sources, categories, bystanders, 600)
	got, err := AnalyseCosines(results, &Representation{Layers: []int{15}, Centred: []*hidden.Centroids{centred}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	layer, _ := got.PerLayer.Get("layer_15")
	check := func(name string, have SpearmanResult, want figures) {
		t.Helper()
		if have.N != want.N || !near(have.Rho, want.Rho, 1e-9) || !near(have.P, want.P, 1e-6*want.P) {
			t.Errorf("%s: n %d, rho %v, p %v, want %+v", name, have.N, deref(have.Rho), deref(have.P), want)
		}
	}
	check("aggregate", layer.Aggregate, expected.Aggregate)
	for name, have := range layer.PerSource.All() {
		check(name, have, expected.PerSource[name])
	}
	for name, have := range layer.PerCategory.All() {
		want := expected.PerCategory[name]
		check(name, have.SpearmanResult, want)
		// The reference's means are of rates rounded to four decimals.
		if !near(have.MeanCosine, want.MeanCosine, 1e-9) || !near(have.MeanLeakage, want.MeanLeakage, 1e-4) {
			t.Errorf("%s: means %v and %v, want %v and %v", name, deref(have.MeanCosine), deref(have.MeanLeakage), want.MeanCosine, want.MeanLeakage)
		}
	}
	for _, p := range layer.Pairs {
		i := slices.IndexFunc(file.Pairs, func(q struct {
			ID       string  `json:"persona_id"`
			Source   string  `json:"source"`
			Category string  `json:"category"`
			Cosine   float64 `json:"cosine"`
			Leakage  float64 `json:"leakage_rate"`
		}) bool {
			return q.ID == p.PersonaID
		})
		if !near(p.Cosine, file.Pairs[i].Cosine, 1e-12) || math.Abs(p.LeakageRate-file.Pairs[i].Leakage) > 5.1e-5 || p.NumSeeds != 1 {
			t.Errorf("pair %+v, want %+v", p, file.Pairs[i])
		}
	}
}

// Three shards of 200 completions each: the float means of the three rates of x and y
// differ in the last bit although the counts are equal. They must tie.
func TestEqualCountsTie(t *testing.T) {
	parts := [][3]int{{1, 1, 9}, {9, 1, 1}}
	means := make([]float64, 2)
	for i, p := range parts {
		for _, k := range p {
			means[i] += float64(k) / 200
		}
		means[i] /= 3
	}
	if means[0] == means[1] {
		t.Fatal("the example shows nothing: the means are equal")
	}
	rates := make([]Rate, 2)
	for i, p := range parts {
		for _, k := range p {
			rates[i] = rates[i].plus(Rate{k, 200})
		}
	}
	if rates[0].Value() != rates[1].Value() {
		t.Errorf("%v and %v differ", rates[0].Value(), rates[1].Value())
	}
	// And where totals differ, equal fractions tie and others do not.
	if (Rate{2, 6}).Value() != (Rate{200, 600}).Value() || (Rate{199, 600}).Value() >= (Rate{67, 200}).Value() {
		t.Error("fractions are not compared as fractions")
	}
}

func TestUndefinedIsNullWithAReason(t *testing.T) {
	var bystanders []bystander
	for i := range 4 {
		bystanders = append(bystanders, bystander{Persona{ID: fmt.Sprint("a", i), Source: "a", Category: "one"}, 0})
	}
	bystanders = append(bystanders, bystander{Persona{ID: "b0", Source: "b", Category: "two"}, 3})
	results := makeResults(t, []string{"a", "b"}, []string{"one", "two"}, bystanders, 20)
	// a0 is at the mean, so it has no direction.
	c, err := hidden.NewCentroids([]string{"a", "b", "a0", "a1", "a2", "a3", "b0"},
		[]float64{1, 0, 0, 1, 0, 0, 1, 1, 1, 2, 1, 3, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	got, err := AnalyseCosines(results, &Representation{Layers: []int{15}, Centred: []*hidden.Centroids{c}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	layer, _ := got.PerLayer.Get("layer_15")
	a, _ := layer.PerSource.Get("a")
	b, _ := layer.PerSource.Get("b")
	if a.Rho != nil || a.N != 3 || !strings.Contains(a.Reason, "constant") {
		t.Errorf("all rates equal: %+v", a)
	}
	if b.Rho != nil || b.N != 1 || b.Reason == "" {
		t.Errorf("one pair: %+v", b)
	}
	if layer.Pairs[0].Cosine != nil || !strings.Contains(layer.Pairs[0].Reason, "zero norm") || layer.Pairs[1].Cosine == nil {
		t.Errorf("zero vector: %+v", layer.Pairs[0])
	}
	if layer.Aggregate.Rho == nil || layer.Aggregate.N != 4 {
		t.Errorf("aggregate: %+v", layer.Aggregate)
	}
	for _, want := range []string{`"spearman_rho":null,"p_value":null,"n":1,"reason":"`, `"cosine":null,"reason":"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is not in %s", want, data)
		}
	}
	// A best layer needs a defined rho.
	for i := range results.Shards {
		for k := range results.Shards[i].Evals {
			results.Shards[i].Evals[k].value.Found = 0
		}
	}
	got, err = AnalyseCosines(results, &Representation{Layers: []int{15}, Centred: []*hidden.Centroids{c}}, time.Now())
	if err != nil || got.BestLayer != nil || got.BestRho != nil {
		t.Errorf("best layer %v, %v", got.BestLayer, err)
	}
}

// A run's cosines are those of the states that the model gave.
func TestRunMeasuresTheModelsStates(t *testing.T) {
	in := makeInputs(t, smallPlan())
	dir := t.TempDir()
	model := &fakeModel{}
	if _, err := Run(context.Background(), dir, model, in, Options{}); err != nil {
		t.Fatal(err)
	}
	var analysis CosineAnalysis
	readTestJSON(t, filepath.Join(dir, cosineFile), &analysis)
	personas := in.Study.Taxonomy.Distinct()
	for _, l := range in.Study.Plan.Layers {
		centroids, mean := make(map[string][]float64), make([]float64, 8)
		for _, p := range personas {
			c := make([]float64, 8)
			for _, q := range in.Study.Questions {
				for i, x := range model.state(chat(p.Prompt, q), l) {
					c[i] += float64(x) / 2
				}
			}
			for i := range c {
				mean[i] += c[i] / float64(len(personas))
			}
			centroids[p.ID] = c
		}
		layer, ok := analysis.PerLayer.Get(fmt.Sprintf("layer_%d", l))
		if !ok || len(layer.Pairs) != 8 {
			t.Fatalf("layer %d has %d pairs", l, len(layer.Pairs))
		}
		for _, p := range layer.Pairs {
			var ab, aa, bb float64
			for i := range mean {
				a, b := centroids[p.PersonaID][i]-mean[i], centroids[p.Source][i]-mean[i]
				ab, aa, bb = ab+a*b, aa+a*a, bb+b*b
			}
			if want := ab / math.Sqrt(aa*bb); !near(p.Cosine, want, 1e-6) {
				t.Errorf("layer %d, %s: cosine %v, want %v", l, p.PersonaID, deref(p.Cosine), want)
			}
		}
	}
}

func TestAnalyseWorksOnWhatIsFinished(t *testing.T) {
	in := makeInputs(t, smallPlan())
	dir := t.TempDir()
	if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
		t.Fatal(err)
	}
	whole := artefacts(t, dir)
	for _, folder := range []string{"source_0_seed42", "source_1_seed42", "source_1_seed137"} {
		if err := os.RemoveAll(filepath.Join(dir, folder)); err != nil {
			t.Fatal(err)
		}
	}
	summary, err := Analyse(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(summary.Missing) != 3 || !slices.Equal(summary.Sources, []string{"source_0"}) || summary.Shards["source_0"] != 1 {
		t.Errorf("summary has %v missing, sources %v", summary.Missing, summary.Sources)
	}
	layer := summary.Cosines.PerLayer[0].value
	if len(layer.Pairs) != 4 || layer.Pairs[0].NumSeeds != 1 {
		t.Errorf("pairs are %+v", layer.Pairs)
	}
	var compiled Compiled
	readTestJSON(t, filepath.Join(dir, compiledFile), &compiled)
	if !slices.Equal(compiled.Sources, []string{"source_0"}) || len(compiled.RawRates) != 1 || !slices.Equal(compiled.Seeds, []uint64{42, 137}) {
		t.Errorf("compiled has sources %v", compiled.Sources)
	}
	// What is missing comes back as it was, and the analyses with it.
	if _, err := Run(context.Background(), dir, &fakeModel{shuffle: 8}, in, Options{}); err != nil {
		t.Fatal(err)
	}
	sameArtefacts(t, whole, artefacts(t, dir))
	// A changed count is noticed.
	path := filepath.Join(dir, "source_0_seed42", evalFile)
	if err := os.WriteFile(path, []byte(strings.Replace(whole["source_0_seed42/"+evalFile], `"total": 6`, `"total": 7`, 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Analyse(dir); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}
