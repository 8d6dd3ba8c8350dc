package experiment

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"personaprobe/engine"
)

// Renderer turns chats into what the model sees; *[engine.Tokenizer] is one.
type Renderer interface {
	Prompt(messages []engine.Message) (engine.Prompt, error)
	// Added is the text that the chat template puts in by itself; "" is nothing.
	Added(messages []engine.Message) (string, error)
}

// StoredPrompt is a line of prompts.jsonl: one persona asked one question, exactly as the
// model sees it.
type StoredPrompt struct {
	Persona  string  `json:"persona"`  // id; an anchor's is anchor_<source>
	Source   string  `json:"source"`   // of the persona; "all" for an anchor
	Question int     `json:"question"` // number in the question file, from 0
	Text     string  `json:"text"`
	IDs      []int32 `json:"ids"`
}

// Prompts are all prompts of a study, rendered. They lie in a temporary file without a
// name, since a study may have more than the memory holds; Run copies it.
type Prompts struct {
	SHA256   string       // of prompts.jsonl
	First    StoredPrompt // the first line
	Clock    bool         // the chat template read the clock, so the prompts depend on the date
	Longest  int          // tokens of the longest prompt that is sampled from
	Warnings []string     // what the chat template puts in that nobody wrote

	file *os.File
}

// RenderPrompts renders every persona that the study asks, or whose states it reads, with
// every question. The caller closes the result.
func RenderPrompts(ctx context.Context, s *Study, r Renderer) (_ *Prompts, err error) {
	f, err := os.CreateTemp("", "personaprobe-prompts-")
	if err != nil {
		return nil, fmt.Errorf("render prompts: %w", err)
	}
	_ = os.Remove(f.Name()) // open, it lives on; a killed process leaves nothing
	p := &Prompts{file: f}
	defer func() {
		if err != nil {
			_ = p.Close()
		}
	}()
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<16)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	asked, others := s.prompted()
	for i, persona := range slices.Concat(asked, others) {
		for q, question := range s.Questions {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			prompt, err := r.Prompt(chat(persona.Prompt, question))
			if err != nil {
				return nil, fmt.Errorf("persona %s, question %d: %w", persona.ID, q, err)
			}
			line := StoredPrompt{persona.ID, persona.Source, q, prompt.Text, prompt.IDs}
			if i == 0 && q == 0 {
				p.First = line
			}
			if i < len(asked) {
				p.Longest = max(p.Longest, len(prompt.IDs))
			}
			p.Clock = p.Clock || prompt.Clock
			if err := lines.Encode(line); err != nil {
				return nil, fmt.Errorf("keep prompts in %s: %w", os.TempDir(), err)
			}
		}
	}
	if err := out.Flush(); err != nil {
		return nil, fmt.Errorf("keep prompts in %s: %w", os.TempDir(), err)
	}
	p.SHA256 = hex.EncodeToString(sum.Sum(nil))
	p.Warnings, err = promptWarnings(r, slices.Concat(asked, others), s.Questions[0])
	return p, err
}

// prompted are the personas that the run's adapters are asked as, and the others whose
// states alone are read.
func (s *Study) prompted() (asked, others []Persona) {
	asked = s.Taxonomy.Anchors()
	for _, b := range s.Taxonomy.Bystanders {
		switch {
		case slices.Contains(s.sources, b.Source):
			asked = append(asked, b)
		case len(s.Plan.Layers) > 0:
			others = append(others, b)
		}
	}
	return asked, others
}

// promptWarnings says what the chat template adds to prompts with a system prompt, and to
// those without.
func promptWarnings(r Renderer, personas []Persona, question string) ([]string, error) {
	var out []string
	for _, kind := range []struct {
		empty   bool
		problem string
	}{
		{true, "%s no system prompt, and the chat template writes one of its own: %s"},
		{false, "beside the system prompt of %s the chat template writes text of its own: %s"},
	} {
		var ids []string
		text := ""
		for _, p := range personas {
			if (p.Prompt == "") != kind.empty {
				continue
			}
			if ids = append(ids, p.ID); len(ids) > 1 {
				continue
			}
			var err error
			if text, err = r.Added(chat(p.Prompt, question)); err != nil {
				return nil, fmt.Errorf("persona %s: %w", p.ID, err)
			}
		}
		if text != "" {
			out = append(out, fmt.Sprintf(kind.problem, who(ids, kind.empty), Excerpt(text)))
		}
	}
	return out, nil
}

// who names personas with the verb that they need.
func who(ids []string, verb bool) string {
	name, has := ids[0], " has"
	if n := len(ids) - 1; n > 0 {
		name, has = fmt.Sprintf("%s and %d more", name, n), " have"
	}
	if verb {
		return name + has
	}
	return name
}

// maxExcerpt bounds a prompt in a message, in characters.
const maxExcerpt = 400

// Excerpt is a text on one line, quoted, its middle left out where it is long.
func Excerpt(text string) string {
	if runes := []rune(text); len(runes) > maxExcerpt {
		text = string(runes[:maxExcerpt/2]) + " ... " + string(runes[len(runes)-maxExcerpt/2:])
	}
	return fmt.Sprintf("%q", text)
}

// reader is the lines from the first on.
func (p *Prompts) reader() io.Reader { return io.NewSectionReader(p.file, 0, 1<<62) }

// Close frees the temporary file.
func (p *Prompts) Close() error {
	if err := p.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
