package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"personaprobe/analysis"
)

// ref is where a number comes from: an artefact and the place in it.
type ref struct {
	File     string // relative to the run directory; of each shard if PerShard
	Path     string // JSON pointer (RFC 6901), or the name of a tensor
	PerShard bool
}

// String is the reference as the page shows it.
func (r ref) String() string {
	file := r.File
	if r.PerShard {
		file = "<shard>/" + file
	}
	return strings.TrimSpace(file + " " + r.Path)
}

// pointer joins tokens to a JSON pointer, as check-claims takes them.
func pointer(tokens ...string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(t))
	}
	return b.String()
}

// number is a value set in text, with the definition and the artefact that it has its
// meaning and its digits from.
type number struct {
	Text   string
	Def    string // id of a definition
	At     ref
	Value  *float64 // to sort by; nil if undefined
	Reason string   // why it is undefined
}

const dash = "–"

// in makes a number of full_analysis.json; set formats a defined one.
func in(v *float64, set func(float64) string, def, reason string, path ...string) number {
	n := number{Text: dash, Def: def, At: ref{File: fullFile, Path: pointer(path...)}, Reason: reason}
	if v != nil && !math.IsNaN(*v) && !math.IsInf(*v, 0) {
		n.Text, n.Value, n.Reason = set(*v), v, ""
	}
	return n
}

// span is an interval of full_analysis.json, sorted by its lower end.
func span(i analysis.Interval, set func(float64) string, def string, path ...string) number {
	n := in(i.Lower, set, def, i.Reason, path...)
	if n.Value != nil && i.Upper != nil {
		n.Text += " to " + set(*i.Upper)
	}
	return n
}

func whole(n int, def string, path ...string) number {
	v := float64(n)
	return in(&v, grouped, def, "", path...)
}

func one(v float64) string   { return decimals(v, 1) }
func two(v float64) string   { return decimals(v, 2) }
func three(v float64) string { return decimals(v, 3) }

// percent has one decimal. What is not 0 or 1 does not look like it.
func percent(v float64) string { return oneDecimal(100*v) + "\u00a0%" }

func oneDecimal(v float64) string {
	switch {
	case v > 0 && v < 0.05:
		return "<0.1"
	case v < 100 && v >= 99.95:
		return ">99.9"
	}
	return decimals(v, 1)
}

// atLeast sets a positive number below the least one that shows as such.
func atLeast(least float64, set func(float64) string) func(float64) string {
	return func(v float64) string {
		if v > 0 && v < least {
			return "<" + set(least)
		}
		return set(v)
	}
}

// duration sets minutes.
func duration(minutes float64) string {
	if minutes < 1 {
		return atLeast(0.1, one)(60*minutes) + " seconds"
	}
	return one(minutes) + " minutes"
}

// grouped is an integer with a comma every three digits.
func grouped(v float64) string {
	s := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		s = "−" + s
	}
	return s
}

// pValue has two digits, as a power of ten where it is small.
func pValue(v float64) string {
	switch {
	case v >= 0.0995:
		return decimals(v, 2)
	case v >= 0.00095:
		return decimals(v, 3)
	case v < 1e-300: // 0 at a correlation of 1 or -1, or below the smallest number
		return "<10⁻³⁰⁰"
	}
	digits, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', 1, 64), "e")
	power, err := strconv.Atoi(exponent)
	if err != nil {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return digits + " × 10" + superscript(power)
}

func superscript(n int) string {
	return strings.NewReplacer("-", "⁻", "0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴",
		"5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹").Replace(strconv.Itoa(n))
}

// part is a piece of a sentence: text, or a number.
type part struct {
	Text   string
	Number *number
}

type phrase []part

// say builds a sentence from strings, ints and numbers.
func say(parts ...any) phrase {
	var out phrase
	for _, p := range parts {
		switch v := p.(type) {
		case string:
			out = append(out, part{Text: v})
		case number:
			out = append(out, part{Number: &v})
		case phrase:
			out = append(out, v...)
		default:
			out = append(out, part{Text: fmt.Sprint(v)})
		}
	}
	return out
}

// String is the sentence without its links.
func (p phrase) String() string {
	var b strings.Builder
	for _, x := range p {
		if x.Number != nil {
			b.WriteString(x.Number.Text)
		} else {
			b.WriteString(x.Text)
		}
	}
	return b.String()
}
