package hidden

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"personaprobe/engine"
	"personaprobe/internal/enginetest"
	"personaprobe/internal/golden"
	"personaprobe/models/tiny"
)

// few limits the slots, since the tests' prompts are few.
func few(change func(*engine.Options)) func(*engine.Options) {
	return func(o *engine.Options) {
		o.Slots = 16
		if change != nil {
			change(o)
		}
	}
}

// open opens the tiny model with its adapters; change may adjust the options.
func open(t testing.TB, change func(*engine.Options)) *engine.Engine {
	t.Helper()
	return enginetest.Tiny(t, few(change))
}

// openF32 opens a float32 conversion of the tiny model and its adapters.
func openF32(t testing.TB) *engine.Engine {
	t.Helper()
	return enginetest.TinyFloat32(t, few(nil))
}

// grid is the embedded study's, cut to a number of personas (sources first, then
// bystanders) and questions.
func grid(t testing.TB, personas, questions int) (p, q []Text) {
	t.Helper()
	var taxonomy struct {
		Sources, Bystanders []struct{ ID, Prompt, Source, Category string }
	}
	var texts []string
	if err := json.Unmarshal(tiny.Taxonomy(), &taxonomy); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(tiny.Questions(), &texts); err != nil {
		t.Fatal(err)
	}
	for _, x := range slices.Concat(taxonomy.Sources, taxonomy.Bystanders)[:personas] {
		p = append(p, Text{Name: x.ID, Text: x.Prompt, Group: x.Category})
	}
	for i, x := range texts[:questions] {
		q = append(q, Text{Name: fmt.Sprint(i), Text: x})
	}
	return p, q
}

// of is a source of prompts in memory.
func of(prompts ...Prompt) Prompts {
	return func(yield func(Prompt, error) bool) {
		for _, p := range prompts {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// mustExtract extracts into a new directory.
func mustExtract(t testing.TB, e *engine.Engine, prompts Prompts, opts ExtractOptions) *States {
	t.Helper()
	s, err := Extract(context.Background(), e, prompts, filepath.Join(t.TempDir(), "out"), opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rowOf is a row with its states, by layer.
type rowOf struct {
	Row
	states [][]float32
}

func rows(t testing.TB, s *States) []rowOf {
	t.Helper()
	var out []rowOf
	err := s.Each(func(r Row, states [][]float32) error {
		one := rowOf{Row: r}
		for _, v := range states {
			one.states = append(one.states, slices.Clone(v))
		}
		out = append(out, one)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != s.Rows {
		t.Fatalf("%d rows, want %d", len(out), s.Rows)
	}
	return out
}

// files are a directory's, by relative path.
func files(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".lock" {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		out[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sameFiles(t testing.TB, what string, want, got map[string][]byte) {
	t.Helper()
	for name := range got {
		if want[name] == nil {
			t.Errorf("%s: %s should not be there", what, name)
		}
	}
	for name, data := range want {
		if !bytes.Equal(data, got[name]) {
			t.Errorf("%s: %s differs (%d and %d bytes)", what, name, len(data), len(got[name]))
		}
	}
}

func goldenSets(t testing.TB) []*golden.Set {
	t.Helper()
	sets, err := golden.Load()
	if err != nil {
		t.Fatal(err)
	}
	return sets
}
