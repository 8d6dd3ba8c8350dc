package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/text/unicode/norm"

	llama "personaprobe/cgo"
	"personaprobe/models"
	"personaprobe/models/chat"
)

// Tokenizer turns text and chats into token ids as the checkpoint's own
// tokenizer does, and ids back into text.
type Tokenizer struct {
	vocab    *llama.Vocab
	template *chat.Template  // nil when the model has none
	specials []llama.Special // longest text first
	nfc      bool
	kept     segments
	clock    atomic.Bool // the template has read the clock
}

// nfcPreTokenizers are those whose Hugging Face tokenizers normalise text to NFC
// first. llama.cpp does not, so it is done here.
var nfcPreTokenizers = map[string]bool{"qwen2": true}

// newTokenizer is the tokenizer of a model whose chat template's clock stands at date.
func newTokenizer(m *llama.Model, date time.Time) (*Tokenizer, error) {
	t := &Tokenizer{vocab: m.Vocab(), specials: m.Vocab().Specials()}
	slices.SortStableFunc(t.specials, func(a, b llama.Special) int { return cmp.Compare(len(b.Text), len(a.Text)) })
	pre, _ := m.Meta("tokenizer.ggml.pre")
	t.nfc = nfcPreTokenizers[pre]
	if text, ok := m.Meta("tokenizer.chat_template"); ok {
		var err error
		if t.template, err = chat.Parse(text); err != nil {
			return nil, fmt.Errorf("tokenizer.chat_template: %w: %w", models.ErrUnsupported, err)
		}
		t.template.Date, t.template.Special = date, t.named(m)
	}
	return t, nil
}

// Encode returns the ids of plain text. The texts of special tokens in it are
// text like any other.
func (t *Tokenizer) Encode(text string) ([]int32, error) {
	return t.vocab.Tokenize(t.normal(text), false)
}

// EncodeSpecial is Encode, but the texts of special tokens become these tokens.
// It is meant for text that the program wrote itself.
func (t *Tokenizer) EncodeSpecial(text string) ([]int32, error) {
	return t.encode([]chat.Piece{{Text: text, Literal: true}})
}

// roles are those that chat templates know.
var roles = []string{"system", "user", "assistant", "tool"}

// turns are the messages as a template takes them.
func (t *Tokenizer) turns(messages []Message) ([]chat.Message, error) {
	if t.template == nil {
		return nil, fmt.Errorf("%w: the model has no chat template; give the prompt as text", ErrRequest)
	}
	turns := make([]chat.Message, len(messages))
	for i, m := range messages {
		if !slices.Contains(roles, m.Role) { // templates leave such a message out without a word
			return nil, fmt.Errorf("%w: message %d has the role %q; roles are %s", ErrRequest, i+1, m.Role, strings.Join(roles, ", "))
		}
		turns[i] = chat.Message{Role: m.Role, Content: m.Content}
	}
	return turns, nil
}

// encode tokenizes pieces. Text between two special tokens is encoded in one go,
// wherever it comes from, because byte-pair merges cross the pieces' borders.
func (t *Tokenizer) encode(pieces []chat.Piece) ([]int32, error) {
	var ids []int32
	var text strings.Builder
	flush := func() error {
		part, err := t.segment(text.String())
		ids = append(ids, part...)
		text.Reset()
		return err
	}
	for _, p := range pieces {
		rest := p.Text
		for p.Literal {
			at, s := t.firstSpecial(rest)
			if at < 0 {
				break
			}
			text.WriteString(rest[:at])
			if err := flush(); err != nil {
				return nil, err
			}
			ids = append(ids, s.ID)
			rest = rest[at+len(s.Text):]
		}
		text.WriteString(rest)
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return ids, nil
}

// A study asks the same few hundred personas and questions thousands of times, and
// llama.cpp takes a millisecond or two for each text: its split by regular expression
// is slow. So the ids of short texts are kept.
const (
	keptSegments = 4096 // of at most keptLength bytes each
	keptLength   = 4096
)

// segments keeps the ids of texts; it is emptied when it is full.
type segments struct {
	mu  sync.Mutex
	ids map[string][]int32
}

// segment is Encode for text between two special tokens. The ids are shared: they must
// not be changed.
func (t *Tokenizer) segment(text string) ([]int32, error) {
	if len(text) > keptLength {
		return t.Encode(text)
	}
	t.kept.mu.Lock()
	ids, ok := t.kept.ids[text]
	t.kept.mu.Unlock()
	if ok {
		return ids, nil
	}
	ids, err := t.Encode(text)
	if err != nil {
		return nil, err
	}
	t.kept.mu.Lock()
	defer t.kept.mu.Unlock()
	if t.kept.ids == nil || len(t.kept.ids) >= keptSegments {
		t.kept.ids = map[string][]int32{}
	}
	t.kept.ids[text] = ids
	return ids, nil
}

// firstSpecial finds the leftmost special token in text, the longest of those
// that start there.
func (t *Tokenizer) firstSpecial(text string) (int, llama.Special) {
	best, which := -1, llama.Special{}
	for _, s := range t.specials {
		if s.Text == "" {
			continue
		}
		if at := strings.Index(text, s.Text); at >= 0 && (best < 0 || at < best) {
			best, which = at, s
		}
	}
	return best, which
}

// normal is the text as the model's tokenizer wants it. Bytes that are not UTF-8, some
// of which llama.cpp refuses, become U+FFFD, as they do in Decode.
func (t *Tokenizer) normal(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if t.nfc {
		return norm.NFC.String(text)
	}
	return text
}

// Decode returns the text of ids without special tokens. Bytes that are not
// UTF-8, such as half a character at the end, become U+FFFD.
func (t *Tokenizer) Decode(ids []int32) (string, error) {
	s, err := t.vocab.Detokenize(ids, false)
	return strings.ToValidUTF8(s, "\uFFFD"), err
}
