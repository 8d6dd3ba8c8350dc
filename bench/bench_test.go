package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"personaprobe/cgo/cudalib"
	"personaprobe/engine"
	"personaprobe/internal/tinytest"
)

// Every part is measured, the figures belong together, survive JSON, and compare with
// themselves as equal. How large they are is the machine's business.
func TestRun(t *testing.T) {
	files := tinytest.Files(t)
	r, err := Run(context.Background(), Options{
		Engine:  engine.Options{Model: files.Model, Adapters: files.Adapters, CPU: true, Contexts: 1, Threads: 1},
		Adapter: "villain", Rows: []int{4, 8}, Live: []int{4}, Context: 26, Prompt: 24, Personas: 1, Repeat: 1, Profile: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"engine", "decode alone", "engine", "decode alone", "engine, 4 live", "prompts, one each", "hidden states, prefixes shared", "hidden states"}
	for i, m := range r.Measurements {
		if i >= len(want) || m.Name != want[i] || !(m.Rate > 0) || !(m.Milliseconds > 0) || m.Occupancy > 1 {
			t.Errorf("measurement %d: %+v", i, m)
		}
		if m.Name == nameEngine {
			if bare := r.find(nameBare, m.Rows); bare == nil || m.OfBare != m.Rate/bare.Rate || m.Occupancy == 0 || !(m.PerCPU > 0) {
				t.Errorf("%+v does not belong to %+v", m, bare)
			}
		}
	}
	if len(r.Measurements) != len(want) || len(r.Profiles) != 2 {
		t.Errorf("%d measurements, want %d; %d profiles, want 2", len(r.Measurements), len(want), len(r.Profiles))
	}
	for _, p := range r.Profiles {
		sum := 0.0
		for _, k := range p.Parts {
			if !k.Within {
				sum += k.Share
			}
		}
		if math.Abs(sum-1) > 1e-9 || !(p.Parts[0].Milliseconds > 0) {
			t.Errorf("the parts make up %v of a step: %+v", sum, p)
		}
	}
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var text, table bytes.Buffer
	if err := Compare(&text, r, again); err != nil || strings.Count(text.String(), "1.000") != len(want) || strings.Contains(text.String(), "differs") {
		t.Errorf("%v:\n%s", err, text.String())
	}
	if err := r.WriteText(&table); err != nil || !strings.Contains(table.String(), "prefixes shared") || !strings.Contains(table.String(), "8 rows: a step's") {
		t.Errorf("%v:\n%s", err, table.String())
	}
}

func TestRefusals(t *testing.T) {
	files := tinytest.Files(t)
	for _, o := range []Options{{Context: 20, Prompt: 24}, {Rows: []int{4}, Live: []int{5}, Context: 26, Prompt: 24, Repeat: 1}} {
		o.Engine = engine.Options{Model: files.Model, CPU: true, Contexts: 1, Threads: 1}
		if _, err := Run(context.Background(), o); !errors.Is(err, engine.ErrOptions) {
			t.Errorf("%+v: %v, want ErrOptions", o, err)
		}
	}
}

func TestCompareDifferences(t *testing.T) {
	a := &Report{Device: "x", Measurements: []Measurement{{Name: "engine", Rows: 4, Rate: 100, Unit: "tok/s"}, {Name: "gone", Rate: 1}}}
	b := &Report{Device: "y", Measurements: []Measurement{{Name: "engine", Rows: 4, Rate: 150, Unit: "tok/s"}, {Name: "new", Rate: 1}}}
	var text bytes.Buffer
	if err := Compare(&text, a, b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"device differs: x / y", "1.500", "gone", "new"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, text.String())
		}
	}
	path := filepath.Join(t.TempDir(), "bad.json")
	for _, content := range []string{"{", "{}", `[1]`} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); !errors.Is(err, ErrFile) {
			t.Errorf("%s: %v, want ErrFile", content, err)
		}
	}
}

// The roof of the study's model on an H200: 256 rows are bound by the multipliers, one
// row by the memory, and the cache of 256 x 300 tokens comes on top.
func TestRoof(t *testing.T) {
	const params = 7_070_000_000 // without the embedding, which is looked up
	r := roof{Rates: cudalib.Rates{Copy: 4.3e12, Matrix: 7.9e14}, weights: 2 * params, operations: 2 * params, cell: 2 * 2 * 28 * 512}
	if ms := 1e3 * r.step(256, 0); math.Abs(ms-4.58) > 0.05 {
		t.Errorf("256 rows: %.2f ms", ms)
	}
	if ms := 1e3 * r.step(1, 0); math.Abs(ms-3.29) > 0.05 {
		t.Errorf("1 row: %.2f ms", ms)
	}
	if ms := 1e3 * (r.step(256, 300) - r.step(256, 0)); math.Abs(ms-1.02) > 0.05 {
		t.Errorf("cache: %.2f ms", ms)
	}
}
