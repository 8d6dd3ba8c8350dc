package hidden

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"unicode/utf8"

	"personaprobe/engine"
)

// Prompt is one input with the labels by which its rows are found again.
type Prompt struct {
	ID string `json:"id"` // unique in the job

	// Exactly one of the three gives the prompt, as in [engine.Request].
	Messages []engine.Message `json:"messages,omitempty"` // rendered with the model's chat template
	Text     string           `json:"prompt,omitempty"`   // plain text, no template
	Tokens   []int32          `json:"tokens,omitempty"`   // token ids as they are

	Persona  string `json:"persona,omitempty"`
	Question string `json:"question,omitempty"`
	Group    string `json:"group,omitempty"`
}

// Prompts is a source of prompts that can be gone through more than once and gives
// the same prompts each time. An error ends it.
type Prompts = iter.Seq2[Prompt, error]

// Text is a named text: a persona's system prompt, or a question.
type Text struct {
	Name  string // label in the index
	Text  string
	Group string // of a persona: the label by which it may be grouped; may be empty
}

// Grid gives every persona every question, persona by persona, so that neighbours
// share their beginning: the system message is the persona, the user message the
// question. A persona without text has no system message. The id is "<persona>/<question>", the group the persona's.
func Grid(personas, questions []Text) Prompts {
	return func(yield func(Prompt, error) bool) {
		for _, p := range personas {
			for _, q := range questions {
				messages := []engine.Message{{Role: "system", Content: p.Text}, {Role: "user", Content: q.Text}}
				if p.Text == "" {
					messages = messages[1:]
				}
				prompt := Prompt{
					ID:       p.Name + "/" + q.Name,
					Messages: messages,
					Persona:  p.Name, Question: q.Name, Group: p.Group,
				}
				if !yield(prompt, nil) {
					return
				}
			}
		}
	}
}

// ReadPrompts reads a prompt from each line of a JSONL file, every time anew:
//
//	{"id": "a", "messages": [{"role": "user", "content": "Hi"}], "persona": "pirate", "question": "q1", "group": "dev"}
//
// "prompt" (plain text) or "tokens" (ids) may stand for "messages"; labels are free
// and may be left out; an id left out is the line number. Empty lines are skipped,
// unknown fields are errors. Errors name the file and the line and wrap ErrInput.
func ReadPrompts(path string) Prompts {
	return readLines(path, func(line []byte, n int) (Prompt, error) {
		var p Prompt
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			return p, err
		}
		if d.More() {
			return p, errors.New("more than one value")
		}
		if p.ID == "" {
			p.ID = fmt.Sprint(n)
		}
		return p, p.validate()
	})
}

// ReadLines makes a prompt of each line of a text file that is not empty: plain text,
// or with chat a user message rendered with the model's chat template. The id is the
// line number.
func ReadLines(path string, chat bool) Prompts {
	return readLines(path, func(line []byte, n int) (Prompt, error) {
		text := strings.TrimRight(string(line), "\r\n")
		p := Prompt{ID: fmt.Sprint(n), Text: text}
		if chat {
			p.Text, p.Messages = "", []engine.Message{{Role: "user", Content: text}}
		}
		return p, nil
	})
}

var errNotUTF8 = errors.New("not valid UTF-8; save the file as UTF-8")

func readLines(path string, parse func(line []byte, n int) (Prompt, error)) Prompts {
	return func(yield func(Prompt, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Prompt{}, fmt.Errorf("read prompts: %w", err))
			return
		}
		defer f.Close()
		lines := bufio.NewReader(f)
		for n := 1; ; n++ {
			line, readErr := lines.ReadBytes('\n')
			if readErr != nil && !errors.Is(readErr, io.EOF) {
				yield(Prompt{}, fmt.Errorf("%s: line %d: %w", path, n, readErr))
				return
			}
			if len(bytes.TrimSpace(line)) > 0 {
				var p Prompt
				err := errNotUTF8
				if utf8.Valid(line) {
					p, err = parse(line, n)
				}
				if err != nil {
					yield(Prompt{}, fmt.Errorf("%w: %s: line %d: %w", ErrInput, path, n, err))
					return
				}
				if !yield(p, nil) {
					return
				}
			}
			if readErr != nil {
				return
			}
		}
	}
}

func (p *Prompt) validate() error {
	given := 0
	for _, has := range []bool{len(p.Messages) > 0, p.Text != "", len(p.Tokens) > 0} {
		if has {
			given++
		}
	}
	switch {
	case p.ID == "":
		return errors.New("it has no id")
	case given == 0:
		return errors.New("it is empty: give messages, prompt or tokens")
	case given > 1:
		return errors.New("messages, prompt and tokens exclude each other")
	}
	return nil
}

// encode gives the prompt's token ids.
func (p *Prompt) encode(t *engine.Tokenizer) ([]int32, error) {
	ids, _, err := p.render(t)
	return ids, err
}

// render is encode, and says whether the chat template read the clock.
func (p *Prompt) render(t *engine.Tokenizer) (ids []int32, clock bool, err error) {
	switch {
	case len(p.Messages) > 0:
		rendered, err := t.Prompt(p.Messages)
		return rendered.IDs, rendered.Clock, err
	case p.Text != "":
		ids, err = t.Encode(p.Text)
		return ids, false, err
	}
	return p.Tokens, false, nil
}
