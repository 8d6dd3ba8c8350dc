package engine

import (
	"fmt"
	"strconv"
	"time"

	llama "personaprobe/cgo"
)

// Prompt is a rendered chat: what the model sees.
type Prompt struct {
	Text  string  // the template's text and the messages'
	IDs   []int32 // its tokens
	Clock bool    // the template read the clock, so the prompt depends on Options.Date
}

// Prompt renders messages with the model's chat template, generation prompt added. Only
// the template's own text can give special tokens; what the messages say is always plain
// text. A template that refuses the messages, or leaves one out, is an error.
func (t *Tokenizer) Prompt(messages []Message) (Prompt, error) {
	turns, err := t.turns(messages)
	if err != nil {
		return Prompt{}, err
	}
	pieces, clock, err := t.template.Pieces(turns, true)
	if err != nil {
		return Prompt{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if clock {
		t.clock.Store(true)
	}
	p := Prompt{Clock: clock}
	for _, piece := range pieces {
		p.Text += piece.Text
	}
	p.IDs, err = t.encode(pieces)
	return p, err
}

// EncodeChat gives the token ids of [Tokenizer.Prompt].
func (t *Tokenizer) EncodeChat(messages []Message) ([]int32, error) {
	p, err := t.Prompt(messages)
	return p.IDs, err
}

// ReadClock reports whether any prompt so far depends on Options.Date.
func (t *Tokenizer) ReadClock() bool { return t.clock.Load() }

// Added is the text that the chat template puts into the prompt of these messages by
// itself, such as a system message where there is none; "" is nothing.
func (t *Tokenizer) Added(messages []Message) (string, error) {
	turns, err := t.turns(messages)
	if err != nil {
		return "", err
	}
	special := make([]string, len(t.specials))
	for i, s := range t.specials {
		special[i] = s.Text
	}
	text, err := t.template.Added(turns, special)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return text, nil
}

// named are the special tokens that templates know by name.
func (t *Tokenizer) named(m *llama.Model) map[string]string {
	out := map[string]string{}
	for name, key := range map[string]string{"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"} {
		text, _ := m.Meta("tokenizer.ggml." + key + "_token_id")
		id, err := strconv.Atoi(text)
		if err != nil {
			continue
		}
		for _, s := range t.specials {
			if int(s.ID) == id {
				out[name+"_token"] = s.Text
			}
		}
	}
	return out
}

// OpenTokenizer opens the tokenizer of a GGUF file alone: no weights, no GPU. The caller
// closes it.
func OpenTokenizer(path string, date time.Time) (t *Tokenizer, closeFile func() error, err error) {
	m, err := llama.OpenModel(path, llama.ModelOptions{VocabOnly: true})
	if err != nil {
		return nil, nil, err
	}
	if t, err = newTokenizer(m, date.UTC().Truncate(time.Second)); err != nil {
		_ = m.Close()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, m.Close, nil
}
