package chat

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

// Piece is a part of a rendered prompt.
type Piece struct {
	Text string
	// Literal text is the template's: special tokens in it are meant as such.
	// Other text came from a message and must be read as plain text.
	Literal bool
}

// Pieces renders a prompt and splits it into the template's text and the
// messages' contents. The texts joined are what Render returns; clock says whether
// the template read the clock for it.
//
// To get the token ids that transformers gives for harmless contents, find
// special tokens in the literal pieces only, and encode the plain text between
// two special tokens as one string, across the borders of pieces.
//
// It renders with an unguessable mark in place of each content and puts the
// contents back. If that differs from Render, because the template tests or
// changes contents, it tries marks that keep the white space around a content,
// which templates like to trim; failing that, the error is ErrContent. A message that
// the template leaves out without a word is an error as well.
func (t *Template) Pieces(messages []Message, addGenerationPrompt bool) (pieces []Piece, clock bool, err error) {
	want, clock, err := t.render(messages, addGenerationPrompt)
	if err != nil {
		return nil, clock, err
	}
	for _, trimmed := range []bool{false, true} {
		pieces, err := t.marked(messages, addGenerationPrompt, trimmed)
		if joined(pieces) == want {
			return pieces, clock, err
		}
	}
	return nil, clock, fmt.Errorf("%w: its text cannot be told from theirs", ErrContent)
}

// marked renders with marks for the contents, with trimmed only for what lies
// between their surrounding white space. White space alone, which templates test
// for, holds no special token and needs no mark. With an error for a message that the
// template leaves out, the pieces are those of the others.
func (t *Template) marked(messages []Message, addGenerationPrompt, trimmed bool) ([]Piece, error) {
	copies := make([]Message, len(messages))
	contents := map[string]string{}
	marks := make([]string, len(messages))
	for i, m := range messages {
		core := strings.TrimSpace(m.Content)
		if copies[i] = m; core == "" {
			continue
		}
		mark := newMark()
		marks[i] = mark
		if trimmed {
			before, after, _ := strings.Cut(m.Content, core)
			copies[i].Content = before + mark + after
			contents[mark] = core
		} else {
			copies[i].Content = mark
			contents[mark] = m.Content
		}
	}
	text, err := t.Render(copies, addGenerationPrompt)
	if err != nil {
		return nil, err
	}
	for i, mark := range marks {
		if mark != "" && !strings.Contains(text, mark) {
			err = fmt.Errorf("%w: it leaves out message %d, of the role %q", ErrContent, i+1, messages[i].Role)
			break
		}
	}
	return split(text, contents), err
}

// split cuts a text at its marks.
func split(text string, contents map[string]string) []Piece {
	var pieces []Piece
	add := func(text string, literal bool) {
		if text != "" {
			pieces = append(pieces, Piece{text, literal})
		}
	}
	for {
		before, rest, ok := strings.Cut(text, markStart)
		if !ok || len(rest) < markDigits {
			break
		}
		content, ok := contents[markStart+rest[:markDigits]]
		if !ok {
			break // a content that looks like a mark: nobody can guess one, so it is text
		}
		add(before, true)
		add(content, false)
		text = rest[markDigits:]
	}
	add(text, true)
	return pieces
}

// A mark is a word of letters and digits, which templates pass on unchanged.
const (
	markStart  = "personaprobe0content0"
	markDigits = 32
)

func newMark() string {
	var random [markDigits / 2]byte
	rand.Read(random[:]) // never fails since Go 1.24
	return markStart + hex.EncodeToString(random[:])
}

func joined(pieces []Piece) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.Text)
	}
	return b.String()
}
