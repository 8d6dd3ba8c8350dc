package analysis

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Numbers of another model than the run's are refused, or noted where they are allowed
// or cannot be compared; the model is recorded with the inputs.
func TestBaseModelIsCompared(t *testing.T) {
	same, other := strings.Repeat("a", 64), strings.Repeat("c", 64) // asRun has the former
	for _, c := range []struct {
		name         string
		isRun, allow bool
		sum          string
		note         string // "": none
		refused      bool
	}{
		{"the run's", true, false, same, "", false},
		{"another", true, false, other, "", true},
		{"another, allowed", true, true, other, "is not the study's base model", false},
		{"no manifest", false, false, same, "is not known", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := smallDesign()
			dir := d.write(t)
			if c.isRun {
				d.asRun(t, dir)
			}
			opts := quick
			opts.Model = &ModelFile{Name: "m.gguf", SHA256: c.sum, AllowOther: c.allow}
			opts.Semantic = map[string]float64{"a_x_0": 0.5, "a_x_1": 0.6}
			f, err := Analyze(t.Context(), dir, opts)
			if c.refused {
				if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), c.sum) || !strings.Contains(err.Error(), same) {
					t.Errorf("%v, want an ErrInput with both hashes", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if notes := fmt.Sprint(f.Notes); strings.Contains(notes, "m.gguf") != (c.note != "") || !strings.Contains(notes, c.note) {
				t.Errorf("notes %s, want %q", notes, c.note)
			}
			if want := (Input{File: "m.gguf", SHA256: c.sum, Option: "model"}); !slices.Contains(f.Inputs, want) {
				t.Errorf("inputs %v lack %v", f.Inputs, want)
			}
			if changes, err := Changes(t.Context(), dir, f); err != nil || changes != nil {
				t.Errorf("a model made the analysis stale: %v, %v", changes, err)
			}
		})
	}
}

// A manifest that cannot be read names no model, which is not the same as another one.
func TestBaseModelOfADamagedRun(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, manifestFile), "{oops")
	note, err := ModelFile{Name: "m.gguf", SHA256: "x"}.Check(dir)
	if err != nil || !strings.Contains(note, "not known") {
		t.Errorf("%q, %v", note, err)
	}
}
