// Package plaintext makes text from models and files harmless where it is shown: in a
// spreadsheet's cell and on a terminal.
package plaintext

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Cell puts an apostrophe before text that a spreadsheet would run as a formula (OWASP,
// CSV injection).
func Cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}

// Escape writes control characters, which drive a terminal, as Go does in strings; line
// feeds and tabs stay. So do the marks that turn the direction of text around.
func Escape(text string) string {
	if !strings.ContainsFunc(text, drives) && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for n := 0; text != ""; text = text[n:] {
		var r rune
		r, n = utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && n == 1: // no character
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case r > unicode.MaxLatin1 && drives(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		case drives(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// drives tells the characters that Escape replaces.
func drives(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
}

// Terminal escapes what is written to a terminal. A character may come in pieces.
type Terminal struct {
	W    io.Writer
	rest []byte // the beginning of a character
}

// Write writes p escaped.
func (t *Terminal) Write(p []byte) (int, error) {
	all := slices.Concat(t.rest, p)
	whole := len(all)
	for i := max(0, len(all)-utf8.UTFMax); i < len(all); i++ {
		if utf8.RuneStart(all[i]) && !utf8.FullRune(all[i:]) {
			whole = i
			break
		}
	}
	t.rest = bytes.Clone(all[whole:])
	if _, err := io.WriteString(t.W, Escape(string(all[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}
