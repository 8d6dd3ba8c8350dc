package report

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/image/font/sfnt"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
)

// The figures' font, Liberation, has Latin, Greek and Cyrillic. In SVG text stays text, so
// that a viewer's own fonts show every other script. Pixels have that one font alone: what
// it lacks is drawn there as [1], [2] and so on, and the caption says what these stand for.

// covers reports whether the font draws a character as it should be. Scripts from right
// to left would come out backwards.
func covers(f font.Font, r rune) bool {
	if unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko) {
		return false
	}
	face := font.DefaultCache.Lookup(f, f.Size)
	var buffer sfnt.Buffer
	i, err := face.Face.GlyphIndex(&buffer, r)
	return err == nil && i != 0
}

// invisible characters join or modify others and draw nothing of their own.
func invisible(r rune) bool { return unicode.In(r, unicode.Cf, unicode.Variation_Selector) }

// substitute replaces every run of characters that the font lacks by name(run).
func substitute(f font.Font, s string, name func(run string) string) string {
	var out, run strings.Builder
	flush := func() {
		if run.Len() > 0 {
			out.WriteString(name(run.String()))
			run.Reset()
		}
	}
	for _, r := range s {
		switch {
		case invisible(r):
			if run.Len() > 0 {
				run.WriteRune(r)
			}
		case covers(f, r):
			flush()
			out.WriteRune(r)
		default:
			run.WriteRune(r)
		}
	}
	flush()
	return out.String()
}

// plain draws text and knows about how wide other fonts draw what ours lacks: an em each.
type plain struct{ text.Plain }

var textHandler = plain{text.Plain{Fonts: font.DefaultCache}}

func (h plain) Box(txt string, f font.Font) (width, height, depth vg.Length) {
	return h.Plain.Box(substitute(f, txt, ems), f)
}

// Draw aligns by the width of Box.
func (h plain) Draw(c vg.Canvas, txt string, style text.Style, at vg.Point) {
	if width, _, _ := h.Plain.Box(txt, style.Font); width > 0 {
		own, _, _ := h.Box(txt, style.Font)
		style.XAlign *= text.XAlignment(own / width)
	}
	h.Plain.Draw(c, txt, style, at)
}

// ems is a dash of an em for every visible character.
func ems(run string) string {
	n := 0
	for _, r := range run {
		if !invisible(r) && !unicode.Is(unicode.Mn, r) {
			n++
		}
	}
	return strings.Repeat("—", n)
}

// pixels is a canvas of pixels that numbers what its font lacks.
type pixels struct {
	*vgimg.Canvas
	lacking *[]string // by number, from 1
}

func (p pixels) FillString(face font.Face, at vg.Point, s string) {
	p.Canvas.FillString(face, at, substitute(face.Font, s, func(run string) string {
		for i, known := range *p.lacking {
			if known == run {
				return fmt.Sprintf("[%d]", i+1)
			}
		}
		*p.lacking = append(*p.lacking, run)
		return fmt.Sprintf("[%d]", len(*p.lacking))
	}))
}

// legend says what the numbers of pixels stand for, or is empty.
func legend(lacking []string) string {
	if len(lacking) == 0 {
		return ""
	}
	parts := make([]string, len(lacking))
	for i, run := range lacking {
		parts[i] = fmt.Sprintf("[%d] %s", i+1, drawable(run))
	}
	return "The PNG's font lacks some characters; the SVG has them. In the PNG stand " + strings.Join(parts, ", ") + "."
}
