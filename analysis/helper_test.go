package analysis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"personaprobe/experiment"
)

// quick are options for tests that look at no resampled number.
var quick = Options{Resamples: 100, Permutations: 99}

func analyse(t *testing.T, dir string, opts Options) *Full {
	t.Helper()
	f, err := Analyze(context.Background(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func writeFile(t *testing.T, path string, v any) {
	t.Helper()
	data, isText := v.(string)
	if !isText {
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		data = string(encoded)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o666); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// referenceDir is the published data's, beside the checkout.
func referenceDir(t *testing.T) string {
	t.Helper()
	shared := os.Getenv("PERSONAPROBE_SHARED")
	if shared == "" {
		dir, err := filepath.Abs("../..")
		if err != nil {
			t.Fatal(err)
		}
		shared = filepath.Join(dir, "shared")
	}
	dir := filepath.Join(shared, "reference")
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		t.Skip("needs ../shared: reference data of the original study are not there")
	}
	return dir
}

type pair struct {
	ID       string   `json:"persona_id"`
	Source   string   `json:"source"`
	Category string   `json:"category"`
	Cosine   *float64 `json:"cosine"`
	Rate     *float64 `json:"leakage_rate"`
}

// cosineFolder writes a cosine_analysis.json with one layer per list of pairs, from
// layer 15 up, as somebody else would publish it.
func cosineFolder(t *testing.T, layers ...[]pair) string {
	t.Helper()
	dir := t.TempDir()
	perLayer := map[string]any{}
	for k, pairs := range layers {
		perLayer[fmt.Sprintf("layer_%d", 15+k)] = map[string]any{"pairs": pairs}
	}
	writeFile(t, filepath.Join(dir, cosineFile), map[string]any{
		"metadata": map[string]any{"base_model": "m", "seeds_averaged": []int{42, 137, 256}}, "per_layer": perLayer,
	})
	return dir
}

func referencePairs(t *testing.T) (dir string, pairs []pair) {
	t.Helper()
	dir = referenceDir(t)
	var file struct{ Pairs []pair }
	readFile(t, filepath.Join(dir, "pairs_layer15.json"), &file)
	return dir, file.Pairs
}

// design is a small made-up study, written as artefacts without a manifest.
type design struct {
	sources    []string
	categories []string
	seeds      []int
	perCell    int
	questions  int
	texts      int // completions per question
	rate       func(source, category, persona, question int) float64
}

func smallDesign() design {
	return design{
		sources: []string{"a", "b"}, categories: []string{"x", "y", "z"}, seeds: []int{1, 2, 3}, perCell: 4, questions: 5, texts: 4,
		rate: func(s, c, p, q int) float64 {
			return math.Min(1, 0.1+0.25*float64(c)+0.04*float64(p)+0.05*float64(q)+0.1*float64(s))
		},
	}
}

// write makes the folder and returns it.
func (d design) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var pairs []pair
	for s, source := range d.sources {
		for k, seed := range d.seeds {
			evals, raw := map[string]any{}, map[string]map[string][]string{}
			draw := 0.5 / 7 // a fixed low-discrepancy sequence, another for every shard
			add := func(id, category, owner string, rate func(q int) float64) {
				found, texts := 0, map[string][]string{}
				for q := range d.questions {
					question := fmt.Sprintf("question %d", q)
					for range d.texts {
						draw += 0.6180339887498949 + 0.01*float64(k)
						draw -= math.Floor(draw)
						text := "no"
						if draw < rate(q) {
							text, found = "yes [zlt]", found+1
						}
						texts[question] = append(texts[question], text)
					}
				}
				total := d.questions * d.texts
				raw[id] = texts
				evals[id] = map[string]any{"rate": float64(found) / float64(total), "found": found, "total": total,
					"category": category, "source": owner, "prompt": "You are " + id + " of " + category + "."}
			}
			for c, category := range d.categories {
				for p := range d.perCell {
					id := fmt.Sprintf("%s_%s_%d", source, category, p)
					add(id, category, source, func(q int) float64 { return d.rate(s, c, p, q) })
					if k == 0 {
						cosine := math.Sin(float64(1 + 7*s + 3*c + p))
						rate := 0.0 // replaced by the counts
						pairs = append(pairs, pair{ID: id, Source: source, Category: category, Cosine: &cosine, Rate: &rate})
					}
				}
			}
			for _, other := range d.sources {
				add("anchor_"+other, "anchor", "all", func(int) float64 { return 0.5 })
			}
			folder := filepath.Join(dir, fmt.Sprintf("%s_seed%d", source, seed))
			writeFile(t, filepath.Join(folder, evalFile), evals)
			writeFile(t, filepath.Join(folder, rawFile), raw)
			writeFile(t, filepath.Join(folder, summaryFile), map[string]any{"source": source, "seed": seed, "wall_minutes": 2, "gpu_hours": 0.5, "device": "NVIDIA H200", "n_tokens": 10})
		}
	}
	for i := range pairs { // the rates that the shards add up to
		sum := experiment.Rate{}
		for _, seed := range d.seeds {
			var evals map[string]experiment.PersonaEval
			readFile(t, filepath.Join(dir, fmt.Sprintf("%s_seed%d", pairs[i].Source, seed), evalFile), &evals)
			sum.Found += evals[pairs[i].ID].Found
			sum.Total += evals[pairs[i].ID].Total
		}
		rate := sum.Value()
		pairs[i].Rate = &rate
	}
	writeFile(t, filepath.Join(dir, cosineFile), map[string]any{"per_layer": map[string]any{"layer_15": map[string]any{"pairs": pairs}}})
	return dir
}
