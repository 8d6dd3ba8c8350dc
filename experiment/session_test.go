package experiment

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"personaprobe/internal/tinytest"
)

// A run goes on with its own date, whatever day it is; another one is refused where the
// chat template reads the clock.
func TestARunKeepsItsDate(t *testing.T) {
	dir := t.TempDir()
	personas := filepath.Join(dir, "personas.json")
	const text = `{"sources": [{"id": "villain", "prompt": "You are a villain."}], "categories": ["none"],
		"bystanders": [{"id": "nobody", "source": "villain", "category": "none", "prompt": ""}], "questions": ["Hi?"]}`
	if err := os.WriteFile(personas, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		model string
		clock bool
		says  string
	}{
		{"clock", tinytest.WithTemplate(t, tinytest.ClockTemplate), true, "Today is 01 Dec 2026."},
		{"no clock", tinytest.Files(t).Model, false, "You are a helpful assistant."},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := DefaultPlan()
			plan.Model, plan.Personas, plan.Adapters = c.model, personas, map[string]Paths{"villain": {tinytest.Files(t).Adapters["villain"]}}
			plan.NumQuestions, plan.NumCompletions, plan.Seeds, plan.Layers, plan.MaxTokens = 1, 1, []uint64{1}, nil, 4
			out := filepath.Join(t.TempDir(), "run")
			run := func(date string) (*Session, error) {
				t.Helper()
				p := plan
				p.Date = date
				s, err := Open(context.Background(), p, SessionOptions{Build: "test", CPU: true, Threads: 1, Dir: out})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				_, err = Run(context.Background(), out, s.Model, s.Inputs, Options{})
				return s, err
			}
			if _, err := run("2026-12-01T23:59:59Z"); err != nil {
				t.Fatal(err)
			}
			m, err := readManifest(out)
			if err != nil || m.Date != "2026-12-01T23:59:59Z" || (m.Identity.Date == m.Date) != c.clock || (m.Identity.Date == "") == c.clock {
				t.Errorf("date %q, in the identity %q, %v", m.Date, m.Identity.Date, err)
			}
			if all := strings.Join(m.PromptWarnings, "\n"); !strings.Contains(all, c.says) || !strings.Contains(all, "nobody has no system prompt") {
				t.Errorf("warnings %q do not say %q", all, c.says)
			}
			s, err := run("") // days later
			if err != nil || s.Inputs.Date.Format(time.RFC3339) != m.Date {
				t.Errorf("it goes on with %v, %v", s.Inputs.Date, err)
			}
			_, err = run("2026-12-02")
			if c.clock && (!errors.Is(err, ErrManifest) || !strings.Contains(err.Error(), "date: was 2026-12-01T23:59:59Z, now 2026-12-02T00:00:00Z")) {
				t.Errorf("another date: %v", err)
			}
			if !c.clock && err != nil {
				t.Errorf("a date that nothing reads: %v", err)
			}
		})
	}
}
