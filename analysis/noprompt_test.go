package analysis

import (
	"math"
	"path/filepath"
	"testing"
)

// A persona without a system prompt has covariates: lengths of 0, no word in common. Two
// empty prompts have no overlap to measure.
func TestCovariatesOfAnEmptyPrompt(t *testing.T) {
	pairs := []pair{{"p1", "a", "x", number(0.5), number(0.2)}, {"p2", "b", "x", number(0.4), number(0.3)}, {"p3", "a", "x", number(0.3), number(0.1)}}
	path := filepath.Join(t.TempDir(), "personas.json")
	writeFile(t, path, `{"sources": [{"id": "a", "prompt": "You are a chef."}, {"id": "b", "prompt": ""}], "categories": ["x"], "bystanders": [
		{"id": "p1", "source": "a", "category": "x", "prompt": "", "tokens": 0},
		{"id": "p3", "source": "a", "category": "x", "prompt": "You are a cook.", "tokens": 5},
		{"id": "p2", "source": "b", "category": "x", "prompt": "", "tokens": 0}]}`)
	opts := quick
	opts.Personas = path
	f := analyse(t, cosineFolder(t, pairs), opts)
	want := map[string]map[string]float64{
		"p1": {"chars": 0, "words": 0, "jaccard": 0, "tokens": 0},
		"p2": {"chars": 0, "words": 0, "tokens": 0},
		"p3": {"chars": 15, "words": 4, "jaccard": 3.0 / 5, "tokens": 5},
	}
	for _, p := range f.Personas {
		for _, name := range []string{"chars", "words", "jaccard", "tokens"} {
			got, _ := p.Covariates.Get(name)
			v, known := want[p.ID][name]
			if known != (got != nil) || known && (math.IsNaN(*got) || math.Abs(*got-v) > 1e-15) {
				t.Errorf("%s of %s is %v, want %v, known %v", name, p.ID, got, v, known)
			}
		}
	}
}
