package experiment

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	llama "personaprobe/cgo"
	"personaprobe/engine"
)

// A device that runs out of memory ends the run with that error. What was finished is
// kept, in groups of one persona, question and seed, and the next run ends with the bytes
// of an undisturbed one.
func TestOutOfMemoryLosesNothing(t *testing.T) {
	in := makeInputs(t, smallPlan())
	whole := t.TempDir()
	if _, err := Run(context.Background(), whole, &fakeModel{}, in, Options{}); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{1, 2, 30, 57, 66} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			n := in.Study.Plan.NumCompletions
			complete, got := 0, map[string]int{}
			dir := t.TempDir()
			_, err := Run(context.Background(), dir, &spoiledModel{at: at, spoil: func(*engine.Completion) error {
				return &llama.Error{Op: "decode", Kind: llama.ErrMemory, Detail: "CUDA error: out of memory"}
			}, seen: func(c engine.Completion) {
				key := fmt.Sprint(c.ID, c.Seed)
				if got[key]++; got[key] == n {
					complete += n
				}
			}}, in, Options{})
			if !errors.Is(err, llama.ErrMemory) {
				t.Fatalf("got %v, want ErrMemory", err)
			}
			if k := kept(t, dir, in); k != complete {
				t.Errorf("%d completions are kept, those of whole groups were %d", k, complete)
			}
			if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(artefacts(t, whole), artefacts(t, dir)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
