package experiment

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"personaprobe/engine"
)

// progress.json says how a run ended that did not come to its end, and how far it was.
func TestProgressOfStoppedRuns(t *testing.T) {
	drain := make(chan struct{})
	for phase, run := range map[string]struct {
		model Model
		opts  Options
	}{
		PhaseInterrupted: {&fakeModel{onEach: func(n int) {
			if n == 20 {
				close(drain)
			}
		}}, Options{Drain: drain}},
		PhaseFailed: {&spoiledModel{at: 30, spoil: func(*engine.Completion) error { return errors.New("out of order") }}, Options{}},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		_, err := Run(context.Background(), dir, run.model, makeInputs(t, smallPlan()), run.opts)
		if err == nil || errors.Is(err, ErrInterrupted) != (phase == PhaseInterrupted) {
			t.Fatalf("%s: %v", phase, err)
		}
		var s Status
		readTestJSON(t, filepath.Join(dir, progressFile), &s)
		if s.Phase != phase || s.Done == 0 || s.Done >= s.Total || s.Total != 144 || s.ETASeconds != 0 || s.Updated == "" {
			t.Errorf("%s: %+v", phase, s)
		}
	}
}
