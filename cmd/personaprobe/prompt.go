package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/urfave/cli/v2"

	"personaprobe/engine"
	"personaprobe/experiment"
)

// dateFlag freezes the clock of chat templates.
func dateFlag(destination *string) cli.Flag {
	return &cli.StringFlag{Name: "date", Destination: destination,
		Usage: "`DAY` or time in UTC at which the clock of a chat template stands, such as 2026-12-01 or 2026-12-01T09:30:00Z (default: now, or the date of the run that goes on)"}
}

// showPrompt says what the model will see of the first persona and question, and what the
// chat template adds to prompts, which also --quiet lets through.
func (p *progress) showPrompt(first experiment.StoredPrompt, warnings []string) {
	p.note(fmt.Sprintf("first of the prompts (%s, question %d, %d tokens): %s", first.Persona, first.Question, len(first.IDs), experiment.Excerpt(first.Text)),
		"persona", first.Persona, "question", first.Question, "prompt", first.Text)
	for _, w := range warnings {
		p.warn(w)
	}
}

// note writes a line, above the bars if there are any.
func (p *progress) note(text string, attrs ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.quiet:
	case p.bars != nil:
		fmt.Fprintln(p.bars.container, text)
	default:
		p.line(text, attrs...)
	}
}

// warn is note for what must be seen.
func (p *progress) warn(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case logsJSON():
		slog.Warn(text)
	case p.bars != nil:
		fmt.Fprintln(p.bars.container, "warning:", text)
	default:
		fmt.Fprintln(p.w, "warning:", text)
	}
}

// warnOfClock says that completions depend on a date that nothing keeps.
func warnOfClock(e *engine.Engine, given string) {
	if given == "" && e.Tokenizer().ReadClock() {
		slog.Warn("the chat template writes the date into prompts; for the same completions on another day give --date",
			"date", e.Options().Date.Format(time.RFC3339))
	}
}
