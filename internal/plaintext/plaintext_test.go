package plaintext

import (
	"bytes"
	"testing"
)

func TestCell(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "villain": "villain", "a=b": "a=b", "0.5": "0.5",
		`=HYPERLINK("x")`: `'=HYPERLINK("x")`, "+1": "'+1", "-1": "'-1", "@SUM(1)": "'@SUM(1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1",
	} {
		if got := Cell(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

var escapes = map[string]string{
	"": "",
	"plain\ttext\nGrüße 世界 🙂 \uFFFD": "plain\ttext\nGrüße 世界 🙂 \uFFFD",
	"\x1b]0;title\x07":               `\x1b]0;title\x07`,
	"\x1b[2J":                        `\x1b[2J`,
	"a\rb\x00\x7f":                   `a\x0db\x00\x7f`,
	"\u009b2J":                       `\x9b2J`,
	"\x9b2J":                         `\x9b2J`,
	"cut \xe4\xb8":                   `cut \xe4\xb8`,
	"\xef\xbf":                       `\xef\xbf`,
	"\u202eexe.txt":                  `\u202eexe.txt`,
}

func TestEscape(t *testing.T) {
	for text, want := range escapes {
		if got := Escape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Texts in pieces of any length come out as in one.
func TestTerminal(t *testing.T) {
	for text, want := range escapes {
		for n := 1; n < 8; n++ {
			var out bytes.Buffer
			w := &Terminal{W: &out}
			rest := []byte(text + ".") // so that nothing is cut at the end
			for len(rest) > 0 {
				piece := rest[:min(n, len(rest))]
				if k, err := w.Write(piece); k != len(piece) || err != nil {
					t.Fatalf("%d, %v", k, err)
				}
				rest = rest[len(piece):]
			}
			if out.String() != want+"." {
				t.Errorf("%q in pieces of %d: %q, want %q", text, n, out.String(), want)
			}
		}
	}
}
