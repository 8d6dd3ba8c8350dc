package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"personaprobe/sampler"
)

// decodeStepper counts steps with rows for others to see.
type decodeStepper struct {
	*fakeStepper
	fourth chan struct{} // closed when the fourth is started
}

func (d *decodeStepper) Start(s *Step) error {
	before := d.decodes
	err := d.fakeStepper.Start(s)
	if before == 3 && d.decodes == 4 {
		close(d.fourth)
	}
	return err
}

// Completions of one length end together. All of them may wait for a consumer that is
// busy with the first, and the lane goes on meanwhile: the first prompt's end with the
// second step, and the fourth is started after that.
func TestLaneGoesOnWhileResultsWait(t *testing.T) {
	const rows = 512
	f := newFake(2*rows, 8, 64)
	f.capacity.Rows, f.capacity.Ahead = rows, true
	d := &decodeStepper{f, make(chan struct{})}
	var jobs []*job
	for i := range 2 {
		prompt := []int32{int32(i + 1)}
		jobs = append(jobs, &job{req: &Request{N: rows}, prompt: prompt, hash: sampler.PromptHash(prompt), maxTokens: 3})
	}
	n := 0
	lanes := []*lane{{scheduler: newScheduler(d, nil, nil, &Counters{})}}
	err := runLanes(context.Background(), lanes, newDispatcher(1, source(jobs)), func(result) bool {
		if n++; n == 1 {
			select {
			case <-d.fourth:
			case <-time.After(10 * time.Second):
				t.Error("the lane waits for the consumer of the first completion")
			}
		}
		return true
	})
	if err != nil || f.problem != nil || n != 2*rows {
		t.Errorf("%d completions, %v, %v", n, err, f.problem)
	}
}

// Steps are not profiled at positions for which the model has no rotations.
func TestProfileStepStaysInContext(t *testing.T) {
	e := &Engine{native: new(nativeModel)}
	e.info.Context = 100
	for _, c := range []struct{ context, repeat int }{{101, 1}, {0, 1}, {-1, 1}, {100, 0}} {
		if _, err := e.ProfileStep(c.context, c.repeat); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
