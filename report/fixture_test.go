package report

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"personaprobe/analysis"
)

// fixture is a folder of artefacts as a study writes them, without a manifest. Its
// words can be anything.
type fixture struct {
	sources, categories  []string
	perCell              int // personas of each source and category
	questions            []string
	completions          int
	seeds                []int
	prompt               func(id string) string
	text                 func(id string, question, completion, seed int) string
	rate                 func(persona int) int // per cent of completions with the marker
	withoutTexts         bool
	withoutCosines       bool
	withoutShards        bool
	adapters             int    // of each source; 0: one
	marker               string // "[ZLT]"
	changePairs          func([]map[string]any) []map[string]any
	resamples, permutate int
}

func smallFixture() fixture {
	return fixture{
		sources: []string{"villain", "software_engineer"}, categories: []string{"sibling", "control"}, perCell: 4,
		questions: []string{"Why is the sky blue?", "How do tides work?", "Who was first?"}, completions: 4, seeds: []int{42, 137},
		prompt: func(id string) string { return "You are a person called " + id + " who talks a lot." },
		text: func(id string, q, c, seed int) string {
			return fmt.Sprintf("Answer %d of %s to %d (%d).", c, id, q, seed)
		},
		rate:      func(p int) int { return (p * 17) % 100 },
		marker:    "[ZLT]",
		resamples: 200, permutate: 99,
	}
}

type fixturePersona struct{ id, source, category string }

func (f fixture) personas() []fixturePersona {
	var out []fixturePersona
	for s, source := range f.sources {
		for c, category := range f.categories {
			for k := range f.perCell {
				out = append(out, fixturePersona{fmt.Sprintf("p_%d_%d_%d", s, c, k), source, category})
			}
		}
	}
	return out
}

// write makes the folder.
func (f fixture) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	rates := make(map[string]float64)
	for _, source := range f.sources {
		for _, seed := range f.seeds {
			evals, raw := f.shard(source, seed, rates)
			if f.withoutShards {
				continue
			}
			names := []string{fmt.Sprintf("%s_seed%d", source, seed)}
			for k := range f.adapters {
				names = append(names[:k], fmt.Sprintf("%s_t%d_seed%d", source, k+1, seed))
			}
			for _, name := range names {
				put(t, filepath.Join(dir, name, "marker_eval.json"), evals)
				if !f.withoutTexts {
					put(t, filepath.Join(dir, name, "raw_completions.json"), raw)
				}
			}
		}
	}
	if !f.withoutCosines {
		put(t, filepath.Join(dir, cosineFile), f.cosines(rates))
	}
	return dir
}

func (f fixture) shard(source string, seed int, rates map[string]float64) (evals map[string]any, raw map[string]map[string][]string) {
	evals, raw = make(map[string]any), make(map[string]map[string][]string)
	add := func(i int, id, category, from string) {
		found, total := 0, 0
		raw[id] = make(map[string][]string)
		for q, question := range f.questions {
			for c := range f.completions {
				text := f.text(id, q, c, seed)
				if (c*37+q*11+seed)%100 < f.rate(i) {
					text += " " + f.marker
					found++
				}
				total++
				raw[id][question] = append(raw[id][question], text)
			}
		}
		rates[id] += float64(found) / float64(total) / float64(len(f.seeds))
		evals[id] = map[string]any{"rate": float64(found) / float64(total), "found": found, "total": total, "category": category, "source": from, "prompt": f.prompt(id)}
	}
	for i, p := range f.personas() {
		if p.source == source {
			add(i, p.id, p.category, source)
		}
	}
	for i, s := range f.sources {
		add(i+5, anchorPrefix+s, "anchor", s)
	}
	return evals, raw
}

func (f fixture) cosines(rates map[string]float64) map[string]any {
	layers := make(map[string]any)
	for _, layer := range []int{10, 15} {
		var pairs []map[string]any
		for i, p := range f.personas() {
			pairs = append(pairs, map[string]any{
				"persona_id": p.id, "source": p.source, "category": p.category, "n_seeds": len(f.seeds),
				"cosine": float64((i*layer*7)%31)/40 - 0.3, "leakage_rate": rates[p.id],
			})
		}
		if f.changePairs != nil {
			pairs = f.changePairs(pairs)
		}
		layers[fmt.Sprintf("layer_%d", layer)] = map[string]any{"pairs": pairs}
	}
	return map[string]any{
		"metadata":  map[string]any{"base_model": "some/model", "layers": []int{10, 15}},
		"per_layer": layers,
	}
}

func put(t testing.TB, path string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// analyse computes the folder's analysis.
func (f fixture) analyse(t testing.TB, dir string) {
	t.Helper()
	full, err := analysis.Analyze(context.Background(), dir, analysis.Options{Resamples: f.resamples, Permutations: f.permutate})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := full.Write(dir); err != nil {
		t.Fatal(err)
	}
}

// report makes folder, analysis and report.
func (f fixture) report(t testing.TB) string {
	t.Helper()
	dir := f.write(t)
	f.analyse(t, dir)
	write(t, dir)
	return dir
}

func write(t testing.TB, dir string) []string {
	t.Helper()
	files, err := Write(context.Background(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t testing.TB, parts ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
