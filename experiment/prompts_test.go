package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"personaprobe/engine"
	"personaprobe/internal/sums"
)

// storedPrompts reads a run's prompts.jsonl.
func storedPrompts(t testing.TB, dir string) []StoredPrompt {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, promptsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []StoredPrompt
	for d := json.NewDecoder(f); d.More(); {
		var p StoredPrompt
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// Every request of a run is in prompts.jsonl, as the model sees it; a damaged file is
// written again.
func TestPromptsAreStored(t *testing.T) {
	in := makeInputs(t, smallPlan())
	dir, model := t.TempDir(), &fakeModel{}
	if _, err := Run(context.Background(), dir, model, in, Options{}); err != nil {
		t.Fatal(err)
	}
	stored := map[string]StoredPrompt{}
	for _, p := range storedPrompts(t, dir) {
		key := p.Text
		if _, twice := stored[key]; twice {
			t.Errorf("%q is there twice", key)
		}
		stored[key] = p
	}
	if want := (2 + 8) * 2; len(stored) != want {
		t.Errorf("%d prompts, want %d", len(stored), want)
	}
	for _, r := range model.asked {
		want, err := model.Prompt(r.Messages)
		if got, ok := stored[want.Text]; err != nil || !ok || !slices.Equal(got.IDs, want.IDs) || in.Study.Questions[got.Question] != r.Messages[1].Content {
			t.Errorf("%v is stored as %+v", r.Messages, got)
		}
	}
	first, warnings, err := ReadPrompts(dir)
	if err != nil || len(warnings) > 0 || first.Persona != "anchor_source_0" || first.Source != AnchorSource ||
		first.Text != "<system>You are source number 0.<user>What is <3> & why?" {
		t.Errorf("first prompt %+v, warnings %v, %v", first, warnings, err)
	}
	path := filepath.Join(dir, promptsFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); !errors.Is(err, sums.ErrDamaged) {
		t.Errorf("a run went on beside damaged prompts: %v", err)
	}
	if _, _, err := ReadPrompts(dir); !errors.Is(err, sums.ErrDamaged) {
		t.Errorf("damaged prompts were read: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(whole) {
		t.Errorf("the prompts that were removed were not written again: %v", err)
	}
}

// A template that renders other prompts makes another run, and the first difference is
// named. Where it does not read the clock, the date changes nothing.
func TestOtherPromptsAreRefusedByName(t *testing.T) {
	in := makeInputs(t, smallPlan())
	dir := t.TempDir()
	if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
		t.Fatal(err)
	}
	later := in
	later.Date = in.Date.Add(24 * time.Hour)
	if _, err := Run(context.Background(), dir, &fakeModel{}, later, Options{}); err != nil {
		t.Errorf("a date that no template reads: %v", err)
	}
	if date, err := DateOf(dir); err != nil || !date.Equal(in.Date) {
		t.Errorf("the run's date is %v, %v; want %v", date, err, in.Date)
	}
	dated := renderedBy(in.Study, &fakeModel{date: "1 Dec"})
	if _, err := Run(context.Background(), dir, &fakeModel{}, dated, Options{}); !errors.Is(err, ErrManifest) ||
		!strings.Contains(err.Error(), `persona anchor_source_0, question 0, was "<system>You are sour`) ||
		!strings.Contains(err.Error(), `now "Today is 1 Dec. <syst`) || !strings.Contains(err.Error(), "date: was none, now 2026-12-01T09:30:00Z") {
		t.Errorf("other prompts: %v", err)
	}
	dir = t.TempDir()
	if _, err := Run(context.Background(), dir, &fakeModel{}, dated, Options{}); err != nil {
		t.Fatal(err)
	}
	after := renderedBy(in.Study, &fakeModel{date: "2 Dec"})
	after.Date = later.Date
	if _, err := Run(context.Background(), dir, &fakeModel{}, after, Options{}); !errors.Is(err, ErrManifest) ||
		!strings.Contains(err.Error(), "date: was 2026-12-01T09:30:00Z, now 2026-12-02T09:30:00Z") ||
		!strings.Contains(err.Error(), `was "Today is 1 Dec.`) {
		t.Errorf("another date: %v", err)
	}
}

// A persona with an empty prompt is asked without a system message, and what the template
// writes in its place is said.
func TestNoSystemPrompt(t *testing.T) {
	taxonomy := makeTaxonomy(t, 2, 2, 2)
	data := strings.Replace(string(taxonomy.Document.Data), `You are bystander 0 of kind 0 near \u003c0\u003e.`, "", 1)
	taxonomy, err := ParseTaxonomy("taxonomy.json", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	study, err := NewStudy(smallPlan(), taxonomy, makeQuestions(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	dir, model := t.TempDir(), &fakeModel{}
	if _, err := Run(context.Background(), dir, model, inputsOf(study), Options{}); err != nil {
		t.Fatal(err)
	}
	without := 0
	for _, r := range model.asked {
		if slices.ContainsFunc(r.Messages, func(m engine.Message) bool { return m.Content == "" }) {
			t.Errorf("an empty message is sent: %v", r.Messages)
		}
		if len(r.Messages) == 1 && r.Messages[0].Role == "user" {
			without++
		}
	}
	if without != 2 { // questions of one persona
		t.Errorf("%d requests without a system message, want 2", without)
	}
	_, warnings, err := ReadPrompts(dir)
	if want := `s0_c0_0 has no system prompt, and the chat template writes one of its own: "You are fake."`; err != nil || !slices.Equal(warnings, []string{want}) {
		t.Errorf("warnings %q, %v; want %q", warnings, err, want)
	}
	results, err := LoadResults(dir)
	if err != nil {
		t.Fatal(err)
	}
	lengths := results.Shards[0].Summary.TokenLengths
	if n, ok := lengths.Get("s0_c0_0"); !ok || n != 0 {
		t.Errorf("its length is %v, %v", n, ok)
	}
	findings, err := CheckPersonas(&fakeModel{}, taxonomy, CheckOptions{MinTokens: 1, MaxTokens: 100})
	if err != nil || len(findings) != 1 || findings[0].Rule != RuleEmpty || findings[0].Persona != "s0_c0_0" {
		t.Errorf("findings %v, %v", findings, err)
	}
}

func TestParseDate(t *testing.T) {
	for text, want := range map[string]string{
		"2026-12-01": "2026-12-01T00:00:00Z", "2026-12-01T09:30:00Z": "2026-12-01T09:30:00Z",
		"2026-12-01T23:30:00-05:00": "2026-12-02T04:30:00Z", "2026-12-01T09:30:00.9Z": "2026-12-01T09:30:00Z",
	} {
		if got, err := ParseDate(text); err != nil || got.Format(time.RFC3339) != want || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "today", "2026-13-01", "2026-12-01 09:30", "2026-12-01T09:30:00"} {
		if _, err := ParseDate(text); err == nil || !strings.Contains(err.Error(), "2026-12-01T09:30:00Z") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if date, err := DateOf(t.TempDir()); err != nil || !date.IsZero() {
		t.Errorf("no run: %v, %v", date, err)
	}
	if _, _, err := ReadPrompts(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no run: %v", err)
	}
}
