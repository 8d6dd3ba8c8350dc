package report

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"personaprobe/analysis"
)

// TestWhatIsMissing builds reports of incomplete and degenerate studies: each says what
// is wrong and has the rest.
func TestWhatIsMissing(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*fixture)
		damage func(t *testing.T, dir string) // after the folder was written
		stale  func(t *testing.T, dir string) // after the analysis
		says   []string                       // in report.md
		has    []string                       // figures
		lacks  []string
	}{
		{name: "missing shard", damage: remove("villain_seed137"), says: []string{`villain\_seed137`}, has: []string{"scatter_by_source", "seed_agreement"}},
		{name: "one seed", change: func(f *fixture) { f.seeds = f.seeds[:1] }, says: []string{"One sampling seed"}, has: []string{"heatmap_source_category"}, lacks: []string{"seed_agreement"}},
		{name: "NaN", damage: replace("villain_seed42/marker_eval.json", `"found":`, `"found":NaN,"was":`), says: []string{"found and total of"}, has: []string{"category_bars"}},
		{name: "a NaN cosine", damage: replace(cosineFile, `"cosine":`, `"cosine":NaN,"was":`),
			says: []string{"not finite"}, has: []string{"heatmap_source_category"}},
		{name: "persona without a source", change: func(f *fixture) {
			f.changePairs = func(pairs []map[string]any) []map[string]any {
				return append(pairs, map[string]any{"persona_id": "orphan", "category": "sibling", "cosine": 0.1, "leakage_rate": 0.2})
			}
		}, says: []string{"orphan"}, has: []string{"scatter_aggregate", "leaky_sources"}},
		{name: "no variance", change: func(f *fixture) { f.rate = func(int) int { return 0 } }, says: []string{"is undefined", "Rates at the floor"}, has: []string{"scatter_aggregate", "leaky_sources", "layer_curve"}},
		{name: "all leak", change: func(f *fixture) { f.rate = func(int) int { return 100 } }, says: []string{"is undefined"}, has: []string{"scatter_by_source", "cross_leakage"}},
		{name: "no texts", change: func(f *fixture) { f.withoutTexts = true }, says: []string{`raw\_completions.json`}, has: []string{"category_bars"}},
		{name: "texts gone since", stale: remove("villain_seed42/raw_completions.json"), says: []string{"is missing, so the completions", "is gone"}, has: []string{"category_bars"}},
		{name: "no cosines", change: func(f *fixture) { f.withoutCosines = true }, says: []string{"no cosines"}, has: []string{"heatmap_source_category", "seed_agreement"}, lacks: []string{"scatter_by_source", "layer_curve"}},
		{name: "cosines alone", change: func(f *fixture) { f.withoutShards = true }, says: []string{"no counts of completions"}, has: []string{"scatter_by_source", "layer_curve"}, lacks: []string{"seed_agreement", "cross_leakage"}},
		{name: "one persona a cell", change: func(f *fixture) { f.perCell = 1 }, says: []string{"Small cells"}, has: []string{"scatter_by_source"}},
		{name: "one source", change: func(f *fixture) { f.sources = f.sources[:1] }, says: []string{"Few sources"}, has: []string{"scatter_by_source"}},
		{name: "many of all", change: func(f *fixture) {
			f.sources = strings.Fields("one two three four five six seven eight nine ten eleven a_source_with_a_very_long_name_that_goes_on_and_on")
			f.categories = strings.Fields("c1 c2 c3 c4 c5 c6 c7 c8 c9 c10 a_category_with_a_very_long_name_that_goes_on")
			f.perCell, f.questions, f.resamples = 1, f.questions[:2], 20
		}, says: []string{"12 sources"}, has: []string{"cross_leakage", "heatmap_source_category"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := smallFixture()
			if test.change != nil {
				test.change(&f)
			}
			dir := f.write(t)
			if test.damage != nil {
				test.damage(t, dir)
			}
			f.analyse(t, dir)
			if test.stale != nil {
				test.stale(t, dir)
			}
			write(t, dir)
			md, page := read(t, dir, markdownFile), read(t, dir, htmlFile)
			for _, s := range test.says {
				if !strings.Contains(md, s) {
					t.Errorf("report.md does not say %q", s)
				}
			}
			for _, s := range []string{"NaN ", "+Inf", "-Inf", "%!", "<nil>"} {
				if strings.Contains(md, s) {
					t.Errorf("report.md has %q", s)
				}
			}
			for _, name := range test.has {
				if _, err := os.Stat(filepath.Join(dir, figuresDir, name+".png")); err != nil || !strings.Contains(page, `id="figure-`+name) {
					t.Errorf("no figure %s", name)
				}
			}
			for _, name := range test.lacks {
				if strings.Contains(page, `id="figure-`+name) {
					t.Errorf("a figure %s without data", name)
				}
			}
			keep(t, dir)
		})
	}
}

// TestStaleAnalysis refuses to report an analysis that is older than its data, and writes
// nothing then.
func TestStaleAnalysis(t *testing.T) {
	finish := func(t *testing.T, dir string) {
		shard := os.DirFS(filepath.Join(dir, "villain_seed137"))
		if err := os.CopyFS(filepath.Join(dir, "villain_seed256"), shard); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(*testing.T, string){
		"villain_seed256 was finished since":                finish,
		"villain_seed42/raw_completions.json changed since": replace("villain_seed42/raw_completions.json", `[`, `{`),
		"cosine_analysis.json changed since":                replace(cosineFile, `0`, `00`),
	} {
		f := smallFixture()
		dir := f.write(t)
		f.analyse(t, dir)
		change(t, dir)
		_, err := Write(t.Context(), dir, Options{})
		if !errors.Is(err, analysis.ErrStale) || !strings.Contains(err.Error(), name) ||
			!strings.Contains(err.Error(), "run personaprobe analyze") {
			t.Errorf("%s: %v", name, err)
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "report*")); files != nil {
			t.Errorf("%s: wrote %v", name, files)
		}
	}
}

func remove(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// replace changes the first place in a file.
func replace(name, old, with string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		text := read(t, dir, name)
		changed := strings.Replace(text, old, with, 1)
		if changed == text {
			t.Fatalf("%s has no %q", name, old)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
