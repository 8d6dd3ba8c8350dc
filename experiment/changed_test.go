package experiment

import (
	"context"
	"errors"
	"testing"
)

// A model whose file is written to while it is in use gives other texts from then on.
// None of them is kept: with the file put right, the run ends with the right bytes.
func TestModelChangesMeanwhile(t *testing.T) {
	in := makeInputs(t, smallPlan())
	want := reference(t, in)
	broken := errors.New("the model's file changed")
	for _, at := range []int{1, 40, 70, in.Study.Size()} {
		dir := t.TempDir()
		model := &fakeModel{}
		model.onEach = func(n int) {
			if n == at {
				model.filler, model.changed = 9, broken
			}
		}
		// A block with every group: some are written before the change.
		_, err := Run(context.Background(), dir, model, in, Options{checkpointEvery: 1})
		if !errors.Is(err, broken) {
			t.Fatalf("changed at completion %d: %v", at, err)
		}
		if n := kept(t, dir, in); n >= at || at > 40 && n == 0 {
			t.Errorf("changed at completion %d: %d are kept", at, n)
		}
		if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
			t.Fatal(err)
		}
		sameArtefacts(t, want, artefacts(t, dir))
	}
}
