package engine_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"personaprobe/engine"
	"personaprobe/internal/enginetest"
	"personaprobe/internal/tinytest"
)

// An engine renders with the date it was opened with, and says where that mattered; the
// tokenizer alone gives the same prompts.
func TestPromptsHaveTheEnginesDate(t *testing.T) {
	chats := [][]engine.Message{
		{{Role: "system", Content: "You are a poet."}, {Role: "user", Content: "Hi"}},
		{{Role: "user", Content: "Hi"}},
	}
	day := time.Date(2026, 12, 1, 23, 59, 59, 7, time.FixedZone("", -3600)) // the second of December in UTC
	for _, c := range []struct {
		model string
		clock bool
		added []string // to each of the chats
	}{
		{tinytest.Files(t).Model, false, []string{"", "You are a helpful assistant."}},
		{tinytest.WithTemplate(t, tinytest.ClockTemplate), true, []string{"Today is 02 Dec 2026.", "Today is 02 Dec 2026."}},
	} {
		e := enginetest.Open(t, engine.Options{Model: c.model, CPU: true, Date: day})
		if got := e.Options().Date; !got.Equal(day.Truncate(time.Second)) || got.Location() != time.UTC {
			t.Errorf("the engine's date is %v", got)
		}
		alone, shut, err := engine.OpenTokenizer(c.model, day)
		if err != nil {
			t.Fatal(err)
		}
		for i, chat := range chats {
			p, err := e.Tokenizer().Prompt(chat)
			if err != nil || p.Clock != c.clock || strings.Contains(p.Text, "Today is 02 Dec 2026.") != c.clock {
				t.Errorf("%q, clock %v, %v", p.Text, p.Clock, err)
			}
			ids, err := e.Tokenizer().EncodeSpecial(p.Text) // harmless contents
			if err != nil || !slices.Equal(ids, p.IDs) {
				t.Errorf("the ids are %v, those of the text %v, %v", p.IDs, ids, err)
			}
			other, err := alone.Prompt(chat)
			if err != nil || other.Text != p.Text || !slices.Equal(other.IDs, p.IDs) {
				t.Errorf("the tokenizer alone gives %q, %v", other.Text, err)
			}
			if added, err := alone.Added(chat); err != nil || added != c.added[i] {
				t.Errorf("the template adds %q, %v; want %q", added, err, c.added[i])
			}
		}
		if e.Tokenizer().ReadClock() != c.clock {
			t.Errorf("the clock was read: %v", !c.clock)
		}
		if err := shut(); err != nil {
			t.Error(err)
		}
	}
}

// The tokens that a template names are the model's.
func TestTemplatesKnowSpecialTokens(t *testing.T) {
	model := tinytest.WithTemplate(t, "{{ eos_token }}{% for m in messages %}{{ m.content }}{% endfor %}")
	tok, shut, err := engine.OpenTokenizer(model, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = shut() }()
	p, err := tok.Prompt([]engine.Message{{Role: "user", Content: "Hi"}})
	if err != nil || p.Text != "<|im_end|>Hi" && p.Text != "<|endoftext|>Hi" {
		t.Errorf("%q, %v", p.Text, err)
	}
	if err == nil && len(p.IDs) == 0 {
		t.Error("no tokens")
	}
}

// What computes is in the settings: the program itself, and variables that change it.
func TestSettingsNameWhatComputes(t *testing.T) {
	e := open(t, nil)
	was, err := e.Settings()
	if err != nil || !strings.HasPrefix(was["program"], "sha256:") || len(was["program"]) != len("sha256:")+64 || was["chunk"] != "512" {
		t.Fatalf("%v, %v", was, err)
	}
	t.Setenv("NVIDIA_TF32_OVERRIDE", "0")
	now, err := e.Settings()
	if err != nil || now["env NVIDIA_TF32_OVERRIDE"] != "0" || len(now) != len(was)+1 {
		t.Errorf("%v, %v", now, err)
	}
}
