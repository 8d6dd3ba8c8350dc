package analysis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"personaprobe/experiment"
)

// asRun makes the folder of a design a run directory.
func (d design) asRun(t *testing.T, dir string) {
	t.Helper()
	taxonomy := tree{"categories": d.categories}
	var sources, bystanders []tree
	for _, source := range d.sources {
		sources = append(sources, tree{"id": source, "prompt": "You are anchor_" + source + " of anchor."})
		for _, category := range d.categories {
			for p := range d.perCell {
				id := fmt.Sprintf("%s_%s_%d", source, category, p)
				bystanders = append(bystanders, tree{"id": id, "source": source, "category": category, "prompt": "You are " + id + " of " + category + "."})
			}
		}
	}
	taxonomy["sources"], taxonomy["bystanders"] = sources, bystanders
	var questions []string
	for q := range d.questions {
		questions = append(questions, fmt.Sprintf("question %d", q))
	}
	id := experiment.Identity{
		Model: strings.Repeat("a", 64), Adapters: map[string]string{}, Sources: d.sources, NumQuestions: d.questions, NumCompletions: d.texts,
		Layers: []int{15}, Temperature: 1, TopP: 1, MaxTokens: 10, Marker: "[ZLT]", Build: "b", Device: "cpu",
	}
	id.Taxonomy, id.Questions = put(t, dir, taxonomyFile, taxonomy), put(t, dir, questionsFile, questions)
	for _, source := range d.sources {
		id.Adapters[source] = strings.Repeat("b", 64)
	}
	for _, seed := range d.seeds {
		id.Seeds = append(id.Seeds, uint64(seed))
	}
	put(t, dir, manifestFile, experiment.Manifest{Format: 1, Base: "m", Paths: map[string]string{"model": "m.gguf"}, Identity: id})
	if _, err := experiment.LoadResults(dir); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, dir, name string, v any) (sha256sum string) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, name), string(data))
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// unfinish takes a shard's folder away, and returns what puts it back.
func unfinish(t *testing.T, dir, shard string) (finish func()) {
	t.Helper()
	away := filepath.Join(t.TempDir(), shard)
	if err := os.Rename(filepath.Join(dir, shard), away); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Rename(away, filepath.Join(dir, shard)); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever a new analysis would read otherwise is a change, in a run and in a folder of
// artefacts; and right after an analysis nothing is.
func TestChanges(t *testing.T) {
	file := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, path, string(data)+" ")
		}
	}
	gone := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { remove(t, filepath.Join(dir, name)) }
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string)
		want   []string
		inRun  string // instead, in a run directory; "-": no change
	}{
		{"nothing", func(*testing.T, string) {}, nil, ""},
		{"another file", func(t *testing.T, dir string) { writeFile(t, filepath.Join(dir, "notes.txt"), "x") }, nil, ""},
		{"counts", file("a_seed1/" + evalFile), []string{"a_seed1/marker_eval.json changed since"}, ""},
		{"completions", file("b_seed3/" + rawFile), []string{"b_seed3/raw_completions.json changed since"}, ""},
		{"summary", file("b_seed3/" + summaryFile), []string{"b_seed3/summary.json changed since"}, ""},
		{"cosines", file(cosineFile), []string{"cosine_analysis.json changed since"}, ""},
		{"completions gone", gone("b_seed3/" + rawFile), []string{"b_seed3/raw_completions.json is gone"}, ""},
		{"shard of no plan", func(t *testing.T, dir string) { writeFile(t, filepath.Join(dir, "b_seed9", evalFile), "{}") }, []string{"b_seed9 was finished since"}, "-"},
	} {
		for _, isRun := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, run %v", c.name, isRun), func(t *testing.T) {
				d := smallDesign()
				dir := d.write(t)
				if isRun {
					d.asRun(t, dir)
				}
				f := analyse(t, dir, quick)
				c.change(t, dir)
				got, err := Changes(context.Background(), dir, f)
				if err != nil {
					t.Fatal(err)
				}
				want := c.want
				if isRun && c.inRun == "-" {
					want = nil
				}
				if !slices.Equal(texts(got), want) {
					t.Errorf("changes %v, want %v", texts(got), want)
				}
			})
		}
	}
}

func texts(changes []Change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, c.String())
	}
	return out
}

// A shard that was finished after the analysis makes it stale, as do the run's own
// files; what is gone does not.
func TestStale(t *testing.T) {
	for _, isRun := range []bool{false, true} {
		d := smallDesign()
		dir := d.write(t)
		if isRun {
			d.asRun(t, dir)
		}
		finish := unfinish(t, dir, "a_seed2")
		f := analyse(t, dir, quick)
		if gone, err := CheckFresh(context.Background(), dir, f); err != nil || gone != nil {
			t.Fatalf("fresh: %v, gone %v", err, gone)
		}
		finish()
		_, err := CheckFresh(context.Background(), dir, f)
		if !errors.Is(err, ErrStale) || !strings.Contains(err.Error(), "older than the run: a_seed2 was finished since; run personaprobe analyze "+dir+" again") {
			t.Errorf("a shard finished: %v", err)
		}
		f = analyse(t, dir, quick)
		unfinish(t, dir, "b_seed1")
		gone, err := CheckFresh(context.Background(), dir, f)
		if err != nil || len(gone) != 3 {
			t.Errorf("a shard gone: %v, %v", gone, err)
		}
	}
}

// A shard that could not be read when the folder was analysed is not new because of its
// other files, and is when it was repaired.
func TestStaleOfABrokenShard(t *testing.T) {
	dir := smallDesign().write(t)
	path := filepath.Join(dir, "b_seed2", evalFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut(t, path)
	f := analyse(t, dir, quick)
	if _, err := CheckFresh(context.Background(), dir, f); err != nil {
		t.Error(err)
	}
	writeFile(t, path, string(whole))
	if _, err := CheckFresh(context.Background(), dir, f); !errors.Is(err, ErrStale) {
		t.Errorf("repaired: %v", err)
	}
}
