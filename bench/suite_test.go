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

// Every part is measured, survives JSON, and compares with itself as equal.
func TestSuite(t *testing.T) {
	files := tinytest.Files(t)
	s, err := RunSuite(context.Background(), SuiteOptions{
		Engine:  engine.Options{Model: files.Model, Adapters: files.Adapters, CPU: true, Contexts: 1, Threads: 1},
		Adapter: "villain", Rows: []int{4, 8}, Context: 26, Prompt: 24, Prompts: 6, Repeat: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"end to end", "decode alone", "sampling", "beside decode", "end to end", "decode alone", "sampling", "beside decode", "prompts", "hidden states", "hidden states, prefixes shared"}
	for i, m := range s.Measurements {
		if i >= len(want) || m.Name != want[i] || !(m.Rate > 0) || m.Milliseconds < 0 {
			t.Errorf("measurement %d: %+v", i, m)
		}
	}
	if len(s.Measurements) != len(want) {
		t.Errorf("%d measurements, want %d", len(s.Measurements), len(want))
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := ReadSuite(path)
	if err != nil {
		t.Fatal(err)
	}
	var text, table bytes.Buffer
	if err := Compare(&text, s, again); err != nil || strings.Count(text.String(), "1.000") != len(want) || strings.Contains(text.String(), "differs") {
		t.Errorf("%v:\n%s", err, text.String())
	}
	if err := s.WriteText(&table); err != nil || !strings.Contains(table.String(), "prefixes shared") {
		t.Errorf("%v:\n%s", err, table.String())
	}
}

func TestCompareDifferences(t *testing.T) {
	a := &Suite{Device: "x", Measurements: []Measurement{{Name: "end to end", Rows: 4, Rate: 100, Unit: "tok/s"}, {Name: "gone", Rate: 1}}}
	b := &Suite{Device: "y", Measurements: []Measurement{{Name: "end to end", Rows: 4, Rate: 150, Unit: "tok/s"}, {Name: "new", Rate: 1}}}
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
		if _, err := ReadSuite(path); !errors.Is(err, ErrFile) {
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
