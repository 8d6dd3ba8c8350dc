package stats

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree is a nested JSON object, of expected or of computed values.
type tree = map[string]any

// persona is one row of the reference data, with its surface covariates.
type persona struct {
	source, category string
	cosine, rate     float64
	count            float64 // completions with the marker, of 600
	covariates       map[string]float64
}

// TestReferenceStudy recomputes every value of expected_layer15.json from the
// published data. A key that it does not know fails it.
func TestReferenceStudy(t *testing.T) {
	dir := referenceDir(t)
	var expected tree
	readJSON(t, filepath.Join(dir, "expected_layer15.json"), &expected)
	s := study{t: t, personas: readPersonas(t, dir), expected: expected}
	computed := s.compute()
	want, got := map[string]any{}, map[string]any{}
	flatten("", expected, want)
	flatten("", computed, got)
	for path, w := range want {
		g, known := got[path]
		if !known {
			t.Errorf("%s is not computed", path)
			continue
		}
		compareLeaf(t, path, g, w)
	}
	t.Logf("%d values", len(want))
}

// TestReferenceAnchors checks the drift of the anchors against the published table.
func TestReferenceAnchors(t *testing.T) {
	var anchors struct {
		MaxDrift struct{ Value float64 } `json:"max_drift_of_means"`
		Rows     []struct {
			Mean      float64 `json:"mean_rate_published"`
			Reference float64 `json:"reference_rate"`
			Drift     float64 `json:"abs_drift_of_means"`
		}
	}
	readJSON(t, filepath.Join(referenceDir(t), "anchors.json"), &anchors)
	var drifts []float64
	for _, r := range anchors.Rows {
		drifts = append(drifts, math.Abs(r.Mean-r.Reference))
		coefficient(t, "drift", drifts[len(drifts)-1], r.Drift)
	}
	coefficient(t, "largest drift", ok[Summary](t)(Describe(drifts)).Max, anchors.MaxDrift.Value)
}

func referenceDir(t *testing.T) string {
	t.Helper()
	shared := os.Getenv("PERSONAPROBE_SHARED")
	if shared == "" {
		dir, err := filepath.Abs(".")
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			if dir == filepath.Dir(dir) {
				t.Fatal("no go.mod above the test")
			}
			dir = filepath.Dir(dir)
		}
		shared = filepath.Join(filepath.Dir(dir), "shared")
	}
	dir := filepath.Join(shared, "reference")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("needs ../shared: reference data of the original study are not there")
	}
	return dir
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func readPersonas(t *testing.T, dir string) []persona {
	t.Helper()
	type prompt struct {
		ID, Prompt string
		Tokens     float64 `json:"qwen_tokens"`
	}
	var taxonomy struct{ Sources, Personas []prompt }
	var data struct {
		Pairs []struct {
			ID               string `json:"persona_id"`
			Source, Category string
			Cosine           float64
			Rate             float64 `json:"leakage_rate"`
		}
	}
	readJSON(t, filepath.Join(dir, "personas_original.json"), &taxonomy)
	readJSON(t, filepath.Join(dir, "pairs_layer15.json"), &data)
	prompts := map[string]prompt{}
	for _, p := range slices.Concat(taxonomy.Sources, taxonomy.Personas) {
		prompts[p.ID] = p
	}
	var personas []persona
	for _, p := range data.Pairs {
		own, source := prompts[p.ID], prompts[p.Source]
		personas = append(personas, persona{
			source: p.Source, category: p.Category, cosine: p.Cosine, rate: p.Rate, count: math.Round(600 * p.Rate),
			covariates: map[string]float64{
				"chars":   float64(len([]rune(own.Prompt))),
				"words":   float64(len(strings.Fields(own.Prompt))),
				"tokens":  own.Tokens,
				"jaccard": jaccard(own.Prompt, source.Prompt),
			},
		})
	}
	return personas
}

// jaccard is |A and B| / |A or B| of the sets of lower-cased words.
func jaccard(a, b string) float64 {
	words := map[string]int{}
	for i, text := range []string{a, b} {
		for _, w := range strings.Fields(strings.ToLower(text)) {
			words[w] |= 1 << i
		}
	}
	var both float64
	for _, in := range words {
		if in == 3 {
			both++
		}
	}
	return both / float64(len(words))
}

func flatten(path string, v any, into map[string]any) {
	switch v := v.(type) {
	case tree:
		for key, child := range v {
			flatten(path+"/"+key, child, into)
		}
	case []any:
		for i, child := range v {
			flatten(path+"/"+string(rune('0'+i/10))+string(rune('0'+i%10)), child, into)
		}
	default:
		into[path] = v
	}
}

// published is a figure of the write-up, matched within a stated tolerance only.
type published struct{ value, tolerance float64 }

func compareLeaf(t *testing.T, path string, got, want any) {
	t.Helper()
	key := path[strings.LastIndex(path, "/")+1:]
	switch want := want.(type) {
	case float64:
		switch got := got.(type) {
		case float64:
			if key == "p" || strings.HasSuffix(key, "_p") || strings.Contains(key, "_p_") {
				probability(t, path, got, want)
			} else {
				coefficient(t, path, got, want)
			}
		case int:
			if float64(got) != want {
				t.Errorf("%s = %d, want %v", path, got, want)
			}
		case published:
			if !(math.Abs(got.value-want) <= got.tolerance) {
				t.Errorf("%s = %v, published as %v", path, got.value, want)
			}
		default:
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	case string:
		if e, isError := got.(error); isError {
			if !strings.HasPrefix(want, "undefined") || !errors.Is(e, ErrUndefined) {
				t.Errorf("%s: %v, want %s", path, e, want)
			}
		} else if got != want {
			t.Errorf("%s = %v, want %q", path, got, want)
		}
	default:
		t.Errorf("%s is a %T", path, want)
	}
}
