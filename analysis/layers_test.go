package analysis

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"personaprobe/stats"
)

// Layers are compared on the same leakage: one that follows it beats one that does
// not, and two alike do not differ.
func TestLayersAreCompared(t *testing.T) {
	var layers [3][]pair
	for i := range 80 {
		noise := func(k float64) float64 { v := float64(i+1) * k; return v - math.Floor(v) }
		rate := noise(math.Sqrt2)
		for k, cosine := range []float64{0.7*rate + 0.3*noise(math.Phi), 0.7*rate + 0.3*noise(math.Pi), noise(math.E)} {
			layers[k] = append(layers[k], pair{fmt.Sprintf("p%d", i), fmt.Sprintf("s%d", i%4), fmt.Sprintf("c%d", i%5), number(cosine), &rate})
		}
	}
	f := analyse(t, cosineFolder(t, layers[:]...), Options{Resamples: 500, Permutations: 99})
	if len(f.LayerTests) != 3 {
		t.Fatalf("%d comparisons of 3 layers", len(f.LayerTests))
	}
	if best := *f.BestLayer; best == "layer_17" {
		t.Errorf("the best layer is %s", best)
	}
	for _, c := range f.LayerTests {
		differ := c.Second == "layer_17"
		if got := *c.Holm < 0.01 && *c.CI.Lower > 0 && *c.Bootstrap.Lower > 0; got != differ {
			t.Errorf("%s and %s differ: %v, %+v", c.First, c.Second, got, c)
		}
		if c.Family != 3 || c.N != 80 || math.Abs(*c.Difference-(*c.RhoFirst-*c.RhoSecond)) > 1e-15 {
			t.Errorf("%+v", c)
		}
	}
	layer, _ := f.Layers.Get("layer_15")
	if layer.Aggregate.Spearman.Family != 3 {
		t.Errorf("the family of layers is %d", layer.Aggregate.Spearman.Family)
	}
	for _, groups := range []Ordered[Correlation]{layer.WithoutCategory, layer.WithoutSource} {
		for name, c := range groups.All() {
			var x, y []float64
			for _, p := range layers[0] {
				if p.Source != name && p.Category != name {
					x, y = append(x, *p.Cosine), append(y, *p.Rate)
				}
			}
			want, err := stats.Spearman(x, y)
			if err != nil || math.Abs(*c.Coefficient-want.Coefficient) > 1e-12 || c.N != len(x) {
				t.Errorf("without %s: %+v, want %v of %d", name, c, want.Coefficient, len(x))
			}
		}
	}
}

// The rate of a persona is over all its seeds, and the seed-level variants are under
// their own names.
func TestUnitIsThePersona(t *testing.T) {
	f := analyse(t, smallDesign().write(t), quick)
	for _, p := range f.Personas {
		found := 0
		for _, s := range p.Seeds.All() {
			found += s.Found
		}
		if p.NumSeeds != 3 || *p.Total != 60 || *p.Found != found || *p.Rate != float64(found)/60 || p.NumQuestions != 5 {
			t.Errorf("%+v", p)
		}
	}
	persona, _ := f.KruskalWallis.Get("a")
	seed, _ := f.KruskalWallisBySeed.Get("a")
	if persona.N != 12 || seed.N != 36 || *seed.H <= *persona.H {
		t.Errorf("H %v of %d personas, %v of %d repeats", *persona.H, persona.N, *seed.H, seed.N)
	}
	row, _ := f.BootstrapCIs.Get("a")
	cell, _ := row.Get("x")
	rowBySeed, _ := f.BootstrapCIsBySeed.Get("a")
	bySeed, _ := rowBySeed.Get("x")
	if cell.N != 4 || bySeed.N != 12 || *bySeed.Width >= *cell.Width {
		t.Errorf("width %v of %d personas, %v of %d repeats", *cell.Width, cell.N, *bySeed.Width, bySeed.N)
	}
	withAnchors, _ := f.ICCWithAnchors.Get("a")
	without, _ := f.ICC.Get("a")
	if without.NumPersonas != 12 || withAnchors.NumPersonas != 14 || without.MeanICC == nil || without.OneWay == nil {
		t.Errorf("ICC %+v and %+v", without, withAnchors)
	}
	if c := f.Compute; c == nil || c.WallMinutes != 12 || c.GPUHours != 3 || c.Device != "NVIDIA H200" || c.Completions != 6*14*20 || c.Tokens != 60 {
		t.Errorf("cost %+v", c)
	}
}

// A file's means of seeds that differ in the last bit are tied.
func TestNearlyEqualRatesAreTied(t *testing.T) {
	a, b, c := 0.1, 0.2, 0.3 // variables: constants would be added exactly
	third, other := (a+b+c)/3, (c+b+a)/3
	if third == other {
		t.Fatal("the example has no difference to tie")
	}
	pairs := []pair{
		{"p1", "a", "x", number(0.1), &third}, {"p2", "a", "x", number(0.2), &other},
		{"p3", "a", "x", number(0.3), number(0.5)}, {"p4", "a", "x", number(0.4), number(0.1)},
	}
	f := analyse(t, cosineFolder(t, pairs), quick)
	want, err := stats.Spearman([]float64{1, 2, 3, 4}, []float64{2, 2, 3, 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := aggregate(f).Spearman.Coefficient; math.Abs(*got-want.Coefficient) > 1e-12 {
		t.Errorf("rho %v, want %v", *got, want.Coefficient)
	}
}

// Prompts of a personas file give the covariates, its own annotation the tokens.
func TestCovariates(t *testing.T) {
	dir := cosineFolder(t, []pair{{"p1", "a", "x", number(0.5), number(0.2)}, {"p2", "a", "x", number(0.4), number(0.3)}, {"p3", "a", "x", number(0.3), number(0.1)}})
	path := filepath.Join(t.TempDir(), "personas.json")
	writeFile(t, path, `{"sources": [{"id": "a", "prompt": "You are a chef."}], "categories": ["x"], "bystanders": [
		{"id": "p1", "source": "a", "category": "x", "prompt": "You are a pâtissier.", "tokens": 7},
		{"id": "p2", "source": "a", "category": "x", "prompt": "you  are a chef.", "qwen_tokens": 5}]}`)
	opts := quick
	opts.Personas = path
	f := analyse(t, dir, opts)
	for i, want := range []map[string]float64{{"chars": 20, "words": 4, "jaccard": 3.0 / 5, "tokens": 7}, {"chars": 16, "words": 4, "jaccard": 1, "tokens": 5}} {
		for name, v := range want {
			if got, _ := f.Personas[i].Covariates.Get(name); got == nil || math.Abs(*got-v) > 1e-15 {
				t.Errorf("%s of %s is %v, want %v", name, f.Personas[i].ID, got, v)
			}
		}
	}
	mustMention(t, "missing", "p3", fmt.Sprint(f.Missing))
}
