package chat

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Added is the text that the template itself puts into a prompt of the messages, beside
// the marks of turns: a system message that nobody wrote, a date. "" is nothing.
// special are the texts of the special tokens.
//
// Where the messages have no system message, a rendering with one shows what stands in
// its place. Else it is the lines of the template's own text with at least two words
// that are no role.
func (t *Template) Added(messages []Message, special []string) (string, error) {
	pieces, _, err := t.Pieces(messages, true)
	if err != nil {
		return "", err
	}
	if len(messages) > 0 && messages[0].Role != "system" {
		probe := append([]Message{{Role: "system", Content: "x"}}, messages...)
		with, _, err := t.Pieces(probe, true)
		if err == nil { // a template may refuse a system message: then it adds none
			if turn := addedTurn(pieces, with, special); turn != "" {
				return turn, nil
			}
		}
	}
	return prose(pieces, special), nil
}

// addedTurn is what stands before the first message without a system message, less what
// stands before and after the system message with one.
func addedTurn(without, with []Piece, special []string) string {
	literal := func(pieces []Piece, at int) string {
		if at < len(pieces) && pieces[at].Literal {
			return pieces[at].Text
		}
		return ""
	}
	text, before := literal(without, 0), literal(with, 0)
	after := literal(with, 1) // behind the system message, which comes first
	if before != "" {
		after = literal(with, 2)
	}
	start := 0
	for start < min(len(text), len(before)) && text[start] == before[start] {
		start++
	}
	end := len(text)
	for n := len(after); end > start && n > 0 && text[end-1] == after[n-1]; n-- {
		end--
	}
	return strings.Join(lines(text[start:end], special), "\n")
}

// prose are the lines of the literal text that are more than marks of turns.
func prose(pieces []Piece, special []string) string {
	var out []string
	for _, p := range pieces {
		if !p.Literal {
			continue
		}
		for _, line := range lines(p.Text, special) {
			if countWords(line) > 1 {
				out = append(out, line)
			}
		}
	}
	return strings.Join(out, "\n")
}

// lines are the lines of a text with special tokens taken out that are not empty.
func lines(text string, special []string) []string {
	for _, s := range special {
		if s != "" {
			text = strings.ReplaceAll(text, s, "\n")
		}
	}
	var out []string
	for line := range strings.SplitSeq(strings.ToValidUTF8(text, string(utf8.RuneError)), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// turnWords are those with which templates mark turns.
var turnWords = []string{"system", "user", "assistant", "tool", "model", "human", "inst", "sys", "start", "end", "of", "turn", "header", "id", "im"}

func countWords(line string) int {
	n := 0
	for _, w := range strings.FieldsFunc(line, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if !slices.Contains(turnWords, strings.ToLower(w)) {
			n++
		}
	}
	return n
}
