package analysis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever is missing or odd is named, and everything else is still computed: the
// files are written, have no NaN, and hold the numbers that do not need what is gone.
func TestFaults(t *testing.T) {
	constant := smallDesign()
	constant.rate = func(int, int, int, int) float64 { return 0 }
	oneSeed := smallDesign()
	oneSeed.seeds = []int{1}
	onePersona := smallDesign()
	onePersona.perCell, onePersona.categories, onePersona.sources = 1, []string{"x"}, []string{"a"}
	for _, c := range []struct {
		name    string
		design  design
		break_  func(t *testing.T, dir string)
		missing string // in what is missing
		note    string // in the notes
		check   func(t *testing.T, f *Full)
	}{
		{
			name: "nothing", design: smallDesign(), missing: "reference rates of the anchors",
			check: func(t *testing.T, f *Full) {
				mustHave(t, f, "W", f.KendallW.W)
				mustHave(t, f, "rho", aggregate(f).Spearman.Coefficient)
				mustHave(t, f, "crossed", aggregate(f).Spearman.Crossed.Lower)
			},
		},
		{
			name: "shard", design: smallDesign(), missing: "b_seed2",
			break_: func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "b_seed2")) },
			check: func(t *testing.T, f *Full) {
				icc, _ := f.ICC.Get("b")
				mustHave(t, f, "icc of b", icc.ICC)
				if icc.NumSeeds != 2 {
					t.Errorf("ICC of %d seeds", icc.NumSeeds)
				}
			},
		},
		{
			name: "marker_eval", design: smallDesign(), missing: "b_seed2/marker_eval.json",
			break_: func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "b_seed2", evalFile)) },
		},
		{
			name: "end of a shard's file", design: smallDesign(), missing: "b_seed2/marker_eval.json the shard is left out, because",
			break_: func(t *testing.T, dir string) { cut(t, filepath.Join(dir, "b_seed2", evalFile)) },
			check: func(t *testing.T, f *Full) {
				icc, _ := f.ICC.Get("b")
				mustHave(t, f, "icc of b", icc.ICC)
			},
		},
		{
			name: "end of the completions", design: smallDesign(), missing: "b_seed2/raw_completions.json",
			break_: func(t *testing.T, dir string) { cut(t, filepath.Join(dir, "b_seed2", rawFile)) },
		},
		{
			name: "all shards of a source", design: smallDesign(), missing: "completions of b_x_0",
			break_: func(t *testing.T, dir string) {
				for k := 1; k <= 3; k++ {
					remove(t, filepath.Join(dir, fmt.Sprintf("b_seed%d", k)))
				}
			},
			check: func(t *testing.T, f *Full) { mustHave(t, f, "rho", aggregate(f).Spearman.Coefficient) },
		},
		{
			name: "completions", design: smallDesign(), missing: "a_seed1/raw_completions.json",
			break_: func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "a_seed1", rawFile)) },
			check: func(t *testing.T, f *Full) {
				a, _ := f.BySource.Get("a")
				b, _ := f.BySource.Get("b")
				if a.CrossedCI.Lower != nil || a.CrossedCI.Reason == "" {
					t.Errorf("crossed interval of a: %+v", a.CrossedCI)
				}
				mustHave(t, f, "personas of a", a.PersonaCI.Lower)
				mustHave(t, f, "crossed of b", b.CrossedCI.Lower)
			},
		},
		{
			name: "completions of another run", design: smallDesign(), note: "completions of a_x_0 do not give",
			break_: func(t *testing.T, dir string) {
				replaceIn(t, filepath.Join(dir, "a_seed1", rawFile), `"no"`, `"[ZLT]"`)
			},
		},
		{
			name: "cosines", design: smallDesign(), missing: cosineFile,
			break_: func(t *testing.T, dir string) { remove(t, filepath.Join(dir, cosineFile)) },
			check: func(t *testing.T, f *Full) {
				if len(f.Layers) != 0 || f.BestLayer != nil {
					t.Error("layers without cosines")
				}
				mustHave(t, f, "W", f.KendallW.W)
			},
		},
		{
			name: "NaN cosine", design: smallDesign(), missing: "cosine of a_x_0", note: "1 value that is not finite",
			break_: func(t *testing.T, dir string) { replaceField(t, dir, "cosine", "NaN") },
			check: func(t *testing.T, f *Full) {
				if n := aggregate(f).Spearman.N; n != 23 {
					t.Errorf("n %d, want 23", n)
				}
			},
		},
		{
			name: "infinite rate", design: smallDesign(), note: "1 value that is not finite",
			break_: func(t *testing.T, dir string) { replaceField(t, dir, "leakage_rate", "-Infinity") },
			check: func(t *testing.T, f *Full) {
				if n := aggregate(f).Spearman.N; n != 24 {
					t.Errorf("n %d, want 24: the counts are known", n)
				}
			},
		},
		{
			name: "source of a persona", design: smallDesign(), missing: "source of a_x_0",
			break_: func(t *testing.T, dir string) { replaceField(t, dir, "source", `""`) },
		},
		{
			name: "category of a persona", design: smallDesign(), missing: "category of a_x_0",
			break_: func(t *testing.T, dir string) {
				replaceIn(t, filepath.Join(dir, "a_seed1", evalFile), `"a_x_0":{"category":"x"`, `"a_x_0":{"category":""`)
			},
		},
		{
			name: "persona in one shard", design: smallDesign(), missing: "a_x_0 in 1 of the 3 shards",
			break_: func(t *testing.T, dir string) {
				replaceIn(t, filepath.Join(dir, "a_seed2", evalFile), `"a_x_0"`, `"other"`)
			},
		},
		{
			name: "counts of a persona", design: smallDesign(), missing: "found and total of a_x_0",
			break_: func(t *testing.T, dir string) {
				replaceIn(t, filepath.Join(dir, "a_seed1", evalFile), `"a_x_0":{"category":"x","found"`, `"a_x_0":{"category":"x","lost"`)
			},
		},
		{
			name: "variance", design: constant,
			check: func(t *testing.T, f *Full) {
				s := aggregate(f).Spearman
				k, _ := f.KruskalWallis.Get("a")
				icc, _ := f.ICC.Get("a")
				for what, reason := range map[string]string{"rho": s.Reason, "H": k.Reason, "icc": icc.Reason, "W": f.KendallW.Reason, "slope": "", "interval": s.BonettWright.Reason} {
					if what != "slope" && reason == "" {
						t.Errorf("%s has no reason", what)
					}
				}
				if s.Coefficient != nil || k.H != nil || icc.ICC != nil || f.KendallW.W != nil {
					t.Error("a statistic of constant rates")
				}
				a, _ := f.BySource.Get("a")
				mustHave(t, f, "mean", a.Mean)
				mustHave(t, f, "wilson", f.Personas[0].Wilson.Upper)
			},
		},
		{
			name: "seeds", design: oneSeed, note: "one sampling seed",
			check: func(t *testing.T, f *Full) {
				icc, _ := f.ICC.Get("a")
				if icc.ICC != nil || icc.Reason == "" {
					t.Errorf("ICC of one seed: %+v", icc)
				}
				mustHave(t, f, "rho", aggregate(f).Spearman.Coefficient)
			},
		},
		{
			name: "personas", design: onePersona,
			check: func(t *testing.T, f *Full) {
				if s := aggregate(f).Spearman; s.Coefficient != nil || s.Reason == "" {
					t.Errorf("rho of one persona: %+v", s)
				}
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := c.design.write(t)
			if c.break_ != nil {
				c.break_(t, dir)
			}
			f := analyse(t, dir, quick)
			mustMention(t, "missing", c.missing, fmt.Sprint(f.Missing))
			mustMention(t, "note", c.note, fmt.Sprint(f.Notes))
			if c.check != nil {
				c.check(t, f)
			}
			mustBeClean(t, f)
		})
	}
}

func aggregate(f *Full) Association {
	layer, _ := f.Layers.Get("layer_15")
	return layer.Aggregate
}

func mustHave(t *testing.T, f *Full, what string, v *float64) {
	t.Helper()
	if v == nil {
		t.Errorf("%s is null; missing %v", what, f.Missing)
	}
}

func mustMention(t *testing.T, where, text, in string) {
	t.Helper()
	if !strings.Contains(in, text) {
		t.Errorf("no %s mentions %q: %s", where, text, in)
	}
}

// mustBeClean writes the analysis and looks for what no file may have.
func mustBeClean(t *testing.T, f *Full) {
	t.Helper()
	out := t.TempDir()
	names, err := f.Write(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) != ".parquet" && (strings.Contains(string(data), "NaN") || strings.Contains(string(data), "Inf")) {
			t.Errorf("%s has a NaN or an infinity", name)
		}
	}
	for _, rows := range []map[string][]float64{parquetReals(t, filepath.Join(out, "personas.parquet")), parquetReals(t, filepath.Join(out, "seeds.parquet"))} {
		for column, values := range rows {
			for _, v := range values {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Errorf("column %s has %v", column, v)
				}
			}
		}
	}
	var b strings.Builder
	if err := f.WriteText(&b); err != nil || strings.Contains(b.String(), "NaN") {
		t.Errorf("text %v:\n%s", err, b.String())
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// cut leaves the first half of a file.
func cut(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, string(data[:len(data)/2]))
}

// replaceIn replaces every occurrence.
func replaceIn(t *testing.T, path, old, text string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s has no %s", path, old)
	}
	writeFile(t, path, strings.ReplaceAll(string(data), old, text))
}

// replaceField sets a field of the first pair of cosine_analysis.json.
func replaceField(t *testing.T, dir, field, value string) {
	t.Helper()
	path := filepath.Join(dir, cosineFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	at := strings.Index(text, `"`+field+`":`) + len(field) + 3
	end := at + strings.IndexAny(text[at:], ",}")
	writeFile(t, path, text[:at]+value+text[end:])
}

// Files that cannot be read as what they are end the analysis, and are named.
func TestUnreadableInput(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"syntax", cosineFile, "{\n\"per_layer\": oops}", "cosine_analysis.json:2"},
		{"type", cosineFile, `{"per_layer": {"layer_15": {"pairs": [{"persona_id": "p", "cosine": "high"}]}}}`, "cosine"},
		{"layer", cosineFile, `{"per_layer": {"best": {"pairs": []}}}`, "best"},
		{"no layers", cosineFile, `{}`, "per_layer"},
		{"range", cosineFile, `{"per_layer": {"15": {"pairs": [{"persona_id": "p", "cosine": 1.5}]}}}`, "-1 to 1"},
		{"percentage", cosineFile, `{"per_layer": {"15": {"pairs": [{"persona_id": "p", "cosine": 0.5, "leakage_rate": 50}]}}}`, "percentage"},
		{"twice", cosineFile, `{"per_layer": {"15": {"pairs": [{"persona_id": "p"}, {"persona_id": "p"}]}}}`, "already"},
		{"counts", "a_seed1/" + evalFile, `{"p": {"found": 5, "total": 4, "category": "x"}}`, "5 of 4"},
		{"text", "a_seed1/" + evalFile, "\xff\xfe", "UTF-8"},
		{"empty folder", "readme", "", "nothing to analyse"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, c.file), c.text)
			_, err := Analyze(context.Background(), dir, quick)
			if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an ErrInput with %q", err, c.want)
			}
		})
	}
}

func TestOptionsOutOfRange(t *testing.T) {
	for _, o := range []Options{
		{Level: 95}, {Resamples: -1}, {Permutations: -1}, {Folds: 1},
		{Semantic: map[string]float64{"p": math.NaN()}}, {Judges: []string{"nobody"}}, {Judges: []string{"a", "a"}},
	} {
		if _, err := Analyze(context.Background(), smallDesign().write(t), o); !errors.Is(err, ErrInput) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// A run directory that was damaged is read as far as it goes.
func TestDamagedRun(t *testing.T) {
	dir := smallDesign().write(t)
	writeFile(t, filepath.Join(dir, manifestFile), "{}")
	f := analyse(t, dir, quick)
	mustMention(t, "note", "as a folder of artefacts", fmt.Sprint(f.Notes))
	mustHave(t, f, "rho", aggregate(f).Spearman.Coefficient)
	if strings.Contains(fmt.Sprint(f.Notes), dir) {
		t.Errorf("a note has the path of this machine: %v", f.Notes)
	}
	mustBeClean(t, f)
}
