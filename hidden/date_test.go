package hidden

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"personaprobe/engine"
	"personaprobe/internal/enginetest"
	"personaprobe/internal/tinytest"
)

// A job goes on at another date where its chat template does not read the clock, and is
// refused by name where it does.
func TestJobsDate(t *testing.T) {
	prompts := Grid([]Text{{Name: "poet", Text: "You are a poet."}, {Name: "nobody"}}, []Text{{Name: "q0", Text: "Hi?"}})
	for p, err := range prompts {
		if err != nil || (p.Persona == "nobody") != (len(p.Messages) == 1) || p.Messages[len(p.Messages)-1].Role != "user" {
			t.Errorf("%s is asked as %v, %v", p.ID, p.Messages, err)
		}
	}
	for _, c := range []struct {
		model string
		clock bool
	}{{tinytest.WithTemplate(t, tinytest.ClockTemplate), true}, {tinytest.Files(t).Model, false}} {
		dir := filepath.Join(t.TempDir(), "job")
		extract := func(dir, date string) error {
			day, err := time.Parse(time.DateOnly, date)
			if err != nil {
				t.Fatal(err)
			}
			e := enginetest.Open(t, engine.Options{Model: c.model, CPU: true, Threads: 1, Context: 128, Date: day})
			_, err = Extract(context.Background(), e, prompts, dir, ExtractOptions{Layers: []int{3}})
			return err
		}
		if err := extract(dir, "2026-12-01"); err != nil {
			t.Fatal(err)
		}
		if date, err := DateOf(dir); err != nil || date.Format(time.DateOnly) != "2026-12-01" {
			t.Errorf("the job's date is %v, %v", date, err)
		}
		err := extract(dir, "2026-12-02")
		if c.clock != errors.Is(err, ErrChanged) || c.clock && !strings.Contains(err.Error(), `clock_date is "2026-12-02T00:00:00Z", was "2026-12-01T00:00:00Z"`) {
			t.Errorf("another date, clock %v: %v", c.clock, err)
		}
		other := filepath.Join(t.TempDir(), "other")
		if err := extract(other, "2026-12-02"); err != nil {
			t.Fatal(err)
		}
		a, errA := os.ReadFile(filepath.Join(dir, statesName))
		b, errB := os.ReadFile(filepath.Join(other, statesName))
		if errA != nil || errB != nil || (string(a) == string(b)) == c.clock {
			t.Errorf("states of two dates are equal: %v, clock %v, %v, %v", string(a) == string(b), c.clock, errA, errB)
		}
	}
	if date, err := DateOf(t.TempDir()); err != nil || !date.IsZero() {
		t.Errorf("no job: %v, %v", date, err)
	}
}
