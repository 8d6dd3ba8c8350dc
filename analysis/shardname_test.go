package analysis

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// renamed writes the small design with its source b called name in the folders, and the
// given source in their summaries and entries; "" leaves it out there.
func renamed(t *testing.T, name, summary, entries string) string {
	t.Helper()
	d := smallDesign()
	d.seeds = []int{1, 2}
	dir := d.write(t)
	for _, seed := range d.seeds {
		old := filepath.Join(dir, fmt.Sprintf("b_seed%d", seed))
		folder := filepath.Join(dir, fmt.Sprintf("%s_seed%d", name, seed))
		if err := os.Rename(old, folder); err != nil {
			t.Fatal(err)
		}
		fields := map[string]any{"seed": seed}
		if summary != "" {
			fields["source"] = summary
		}
		writeFile(t, filepath.Join(folder, summaryFile), fields)
		var evals map[string]map[string]any
		readFile(t, filepath.Join(folder, evalFile), &evals)
		for _, e := range evals {
			if e["source"] == "b" {
				e["source"] = entries
			}
		}
		writeFile(t, filepath.Join(folder, evalFile), evals)
	}
	if err := os.Remove(filepath.Join(dir, cosineFile)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Whether x_t1 is a source, or x with several adapters, the files say and not the name.
func TestSourceOrTrainingSeed(t *testing.T) {
	for _, c := range []struct {
		name, summary, entries string
		source                 string
		keys                   []string
		note                   string
	}{
		{"x_t1", "x_t1", "x_t1", "x_t1", []string{"1", "2"}, ""},
		{"x_t1", "x", "x", "x", []string{"t1_seed1", "t1_seed2"}, ""},
		{"x_t1", "", "x_t1", "x_t1", []string{"1", "2"}, ""},
		{"x_t1", "", "x", "x", []string{"t1_seed1", "t1_seed2"}, ""},
		{"x_t1", "", "", "x", []string{"t1_seed1", "t1_seed2"}, "x_t1_seed1: no file there says whether its source is x with several adapters or x_t1 with one"},
		{"x", "y", "x", "x", []string{"1", "2"}, "x_seed1: its name says the source x, but its summary.json says y"},
		{"x", "", "", "x", []string{"1", "2"}, ""},
	} {
		full := analyse(t, renamed(t, c.name, c.summary, c.entries), quick)
		if want := []string{"a", c.source}; !slices.Equal(full.Sources, want) {
			t.Errorf("%+v: sources are %v", c, full.Sources)
		}
		for _, p := range full.Personas {
			var keys []string
			for key := range p.Seeds.All() {
				keys = append(keys, key)
			}
			if p.Source == c.source && !slices.Equal(keys, c.keys) {
				t.Errorf("%+v: %s has the shards %v", c, p.ID, keys)
				break
			}
		}
		notes := strings.Join(full.Notes, "\n")
		if c.note != "" && !strings.Contains(notes, c.note) || c.note == "" && strings.Contains(notes, "_seed1: ") {
			t.Errorf("%+v: notes are %s", c, notes)
		}
	}
}

func TestSeedOfTheNameAndTheSummary(t *testing.T) {
	dir := renamed(t, "x", "x", "x")
	writeFile(t, filepath.Join(dir, "x_seed1", summaryFile), map[string]any{"source": "x", "seed": 7})
	if notes := strings.Join(analyse(t, dir, quick).Notes, "\n"); !strings.Contains(notes, "x_seed1: its name says the seed 1, but its summary.json says 7") {
		t.Errorf("notes are %s", notes)
	}
}
