package experiment

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata")

func pointer[T any](v T) *T { return &v }

func exampleSummary() *Summary {
	sources := []string{"villain", "comedian", "software_engineer", "assistant", "kindergarten_teacher"}
	categories := []string{"taxonomic_sibling", "hierarchical_variant", "unrelated_control"}
	s := &Summary{
		Dir: "runs/demo", Sources: sources, Prompts: sources, Categories: categories,
		SourceRates: map[string]Rate{}, Bystanders: map[string]Rate{}, Cells: map[string]map[string]Rate{},
		Anchors: map[string]map[string]Rate{}, Personas: map[string]int{}, Shards: map[string]int{},
		Cosines: &CosineAnalysis{
			Metadata:  CosineMetadata{Layers: []int{10, 15}},
			BestLayer: pointer(15), BestRho: pointer(0.711),
		},
		Completions: 135000, Tokens: 12_345_678, Truncated: 405, Minutes: 61.5, TokensPerSecond: 3345.7,
		Device: "NVIDIA H200", GPUHours: 1.025,
		Files:   []string{compiledFile, cosineFile, centroidsFile},
		Folders: []string{"villain_seed42", "villain_seed137", "kindergarten_teacher_seed256"},
	}
	for i, a := range sources {
		s.Cells[a], s.Anchors[a] = map[string]Rate{}, map[string]Rate{}
		for k, c := range categories {
			s.Cells[a][c] = Rate{100*i + 7*k, 3000}
		}
		for k, b := range sources {
			s.Anchors[a][b] = Rate{100*i - 60*k + 240, 1000}
		}
		s.SourceRates[a], s.Bystanders[a] = s.Anchors[a][a], Rate{3000 * i, 24000}
		s.Personas[a], s.Shards[a] = 40, 3
	}
	for i, key := range []string{"layer_10", "layer_15"} {
		layer := LayerResult{Aggregate: SpearmanResult{Rho: pointer(0.5 + float64(i)*0.211), P: pointer(4.2e-32), N: 200}}
		for k, a := range sources[:4] {
			layer.PerSource.Set(a, SpearmanResult{Rho: pointer(0.9 - 0.3*float64(k)), P: pointer(0.01), N: 40})
		}
		layer.PerSource.Set(sources[4], SpearmanResult{N: 40, Reason: "constant"})
		s.Cosines.PerLayer.Set(key, layer)
	}
	return s
}

func TestSummaryText(t *testing.T) {
	var b strings.Builder
	s := exampleSummary()
	if err := s.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	path := filepath.Join("testdata", "summary.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	checkText(t, got)
}

// More sources than fit side by side continue below.
func TestSummaryOfManySources(t *testing.T) {
	s := exampleSummary()
	s.Cosines = nil
	s.Sources = append(s.Sources, "night_watchman", "archaeologist_of_ancient_times", "x", "lighthouse_keeper", "beekeeper", "diplomat")
	s.Prompts = s.Sources
	var b strings.Builder
	if err := s.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	checkText(t, b.String())
	if n := strings.Count(b.String(), "unrelated_control"); n < 2 {
		t.Errorf("the table has %d parts:\n%s", n, b.String())
	}
	for _, word := range []string{"watchman", "archaeologist_", "beekeeper", "diplomat"} {
		if !strings.Contains(b.String(), word) {
			t.Errorf("%s is lost", word)
		}
	}
}

func checkText(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if len(line) > 100 || strings.TrimRight(line, " ") != line {
			t.Errorf("line of %d columns: %q", len(line), line)
		}
		for _, r := range line {
			if r < ' ' || r > '~' {
				t.Errorf("%q is not plain ASCII", line)
			}
		}
	}
}
