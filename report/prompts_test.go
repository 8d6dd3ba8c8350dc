package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"personaprobe/experiment"
)

// The report shows the first prompt and says what the chat template adds; an older run has
// neither.
func TestReportOfPrompts(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"manifest.json": `{"format": 1, "date": "2026-12-01T09:30:00Z", "prompt_warnings": ["x has no system prompt"], "identity": {"prompts_sha256": "ab"}}`,
		"prompts.jsonl": `{"persona":"anchor_a","source":"all","question":0,"text":"<|im_start|>user\nHi","ids":[1]}` + "\n{}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := &study{results: &experiment.Results{Dir: dir}}
	s.results.Manifest.Date, s.results.Manifest.PromptWarnings = "2026-12-01T09:30:00Z", []string{"x has no system prompt"}
	fields := s.promptFields()
	if len(fields) != 3 || fields[1].Value != "2026-12-01T09:30:00Z" || fields[2] != (field{"prompt of anchor_a, question 0", `"<|im_start|>user\nHi"`}) {
		t.Errorf("fields %v", fields)
	}
	if c := s.templateTalks(); c == nil || !strings.Contains(fmt.Sprint(c.Text), "x has no system prompt.") {
		t.Errorf("caveat %v", c)
	}
	old := &study{results: &experiment.Results{Dir: t.TempDir()}}
	if old.promptFields() != nil || old.templateTalks() != nil {
		t.Error("an older run has prompts")
	}
}
