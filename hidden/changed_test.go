package hidden

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"personaprobe/engine"
	"personaprobe/internal/pin"
	"personaprobe/internal/pin/pintest"
	"personaprobe/internal/tinytest"
)

// No row is kept that was computed while the model's file changed: with the file put
// right, the job ends with the right bytes.
func TestModelChangesMeanwhile(t *testing.T) {
	raw, err := os.ReadFile(tinytest.Files(t).Model)
	if err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(t.TempDir(), filepath.Base(tinytest.Files(t).Model))
	if err := os.WriteFile(model, raw, 0o666); err != nil {
		t.Fatal(err)
	}
	own := func(o *engine.Options) { o.Model, o.Adapters = model, nil }
	personas, questions := grid(t, 3, 2)
	prompts := Grid(personas, questions)
	opts := ExtractOptions{Layers: []int{1}, block: block{2, 1 << 30}}
	want := files(t, mustExtract(t, open(t, nil), prompts, opts).dir)

	dir := filepath.Join(t.TempDir(), "out")
	blocks := 0
	opts.afterBlock = func() {
		if blocks++; blocks == 1 {
			for at := int64(len(raw) / 2); at < int64(len(raw)); at += 1024 {
				pintest.Flip(t, model, at)
			}
		}
	}
	if _, err := Extract(context.Background(), open(t, own), prompts, dir, opts); !errors.Is(err, pin.ErrChanged) {
		t.Fatalf("error %v", err)
	}
	if blocks != 1 {
		t.Errorf("%d blocks were kept", blocks)
	}
	// Another model by its hash.
	if _, err := Extract(context.Background(), open(t, own), prompts, dir, opts); !errors.Is(err, ErrChanged) {
		t.Errorf("error %v", err)
	}
	pintest.Replace(t, model, raw)
	if _, err := Extract(context.Background(), open(t, own), prompts, dir, opts); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, "put right", want, files(t, dir))
}

// Prompts that change between the passes over them end the job before a row of theirs is
// kept: with the right ones it goes on and ends with the right bytes.
func TestPromptsChangeMeanwhile(t *testing.T) {
	e := open(t, nil)
	personas, questions := grid(t, 3, 2)
	others := slices.Clone(personas)
	others[1].Text += " You sing."
	opts := ExtractOptions{Layers: []int{1}, block: block{1, 1 << 30}}
	want := files(t, mustExtract(t, e, Grid(personas, questions), opts).dir)

	dir := filepath.Join(t.TempDir(), "out")
	passes := 0
	changing := func(yield func(Prompt, error) bool) {
		if passes++; passes == 1 {
			Grid(personas, questions)(yield)
			return
		}
		Grid(others, questions)(yield)
	}
	kept := 0
	opts.afterBlock = func() { kept++ }
	if _, err := Extract(context.Background(), e, changing, dir, opts); !errors.Is(err, ErrInput) {
		t.Fatalf("error %v", err)
	}
	if kept == 0 || kept > len(questions) {
		t.Errorf("%d blocks were kept", kept)
	}
	if _, err := Extract(context.Background(), e, Grid(personas, questions), dir, opts); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, "with the right prompts", want, files(t, dir))
}
