package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLabelsOfAnyScript gives names that the figures' font lacks: SVG has them as text,
// pictures have a number that caption and log explain. None is dropped.
func TestLabelsOfAnyScript(t *testing.T) {
	f := smallFixture()
	f.sources = []string{"反派", "\U0001F9D9\u200D\U0001F680"}
	f.categories = []string{"שלום", "contrôle"}
	f.prompt = func(id string) string { return "你好 " + id }
	dir := f.write(t)
	f.analyse(t, dir)
	var log bytes.Buffer
	if _, err := Write(t.Context(), dir, Options{Log: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
		t.Fatal(err)
	}
	keep(t, dir)
	md, page := read(t, dir, markdownFile), read(t, dir, htmlFile)
	for _, test := range []struct {
		figure string
		labels []string
	}{
		{"scatter_by_source", []string{"反派", f.sources[1], "שלום", "contrôle", "你好"}},
		{"heatmap_source_category", []string{"反派", f.sources[1], "שלום", "contrôle"}},
		{"leaky_sources", []string{"反派", f.sources[1], "שלום", "你好"}},
	} {
		if !strings.Contains(md, "("+figuresDir+"/"+test.figure+".svg)") {
			t.Errorf("report.md does not show %s.svg", test.figure)
		}
		text := svgText(t, read(t, dir, figuresDir, test.figure+".svg"))
		caption := captionOf(md, test.figure)
		for _, label := range test.labels {
			if !strings.Contains(text, label) {
				t.Errorf("%s.svg has no %q", test.figure, label)
			}
			explained := strings.Contains(caption, "] "+label)
			if want := label != "contrôle"; explained != want {
				t.Errorf("the caption of %s explains %q: %v, want %v: %s", test.figure, label, explained, want, caption)
			}
		}
		if !strings.Contains(log.String(), test.figure+".png") || !strings.Contains(log.String(), "反派") {
			t.Errorf("the log does not name %s.png and 反派: %s", test.figure, log.String())
		}
		if !strings.Contains(page, legendStart) {
			t.Error("the page does not say what its pictures lack")
		}
	}
	// What stands in the picture: every label drawn comes out as characters of the font.
	var lacking []string
	for _, label := range []string{"反派 (ρ = 0.5)", "a\uFE0Fb", "שלום", "反派", "x—y ↓ → −"} {
		got := substitute(sans(9, ink).Font, label, func(run string) string {
			lacking = append(lacking, run)
			return "[n]"
		})
		if want := map[string]string{"反派 (ρ = 0.5)": "[n] (ρ = 0.5)", "a\uFE0Fb": "ab", "שלום": "[n]", "反派": "[n]",
			"x—y ↓ → −": "x—y ↓ → −"}[label]; got != want {
			t.Errorf("%q is drawn as %q, want %q", label, got, want)
		}
	}
	if !slices.Equal(lacking, []string{"反派", "שלום", "反派"}) {
		t.Errorf("lacking: %q", lacking)
	}
}

const legendStart = "font lacks some characters"

// The report's own words need no other font.
func TestOwnLabelsAreCovered(t *testing.T) {
	if md := read(t, smallFixture().report(t), markdownFile); strings.Contains(md, "font lacks") {
		t.Error("a figure of plain names lacks characters")
	}
}

// Characters of other fonts take an em, so that a label beside an axis ends there.
func TestWidthOfOtherScripts(t *testing.T) {
	style := sans(10, ink)
	for s, ems := range map[string]float64{"你好": 2, "\U0001F9D9\u200D\U0001F680\uFE0F": 2, "": 0} {
		n := float64(style.Width(s) / style.Font.Size)
		if n < 0.99*ems || n > 1.01*ems {
			t.Errorf("%q is %.2f em wide, want %.0f", s, n, ems)
		}
	}
}

func svgText(t *testing.T, svg string) string {
	t.Helper()
	var out strings.Builder
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			out.Write(text)
		}
	}
}

// captionOf is what report.md says below a figure.
func captionOf(md, name string) string {
	_, after, _ := strings.Cut(md, "("+filepath.Join(figuresDir, name)+".")
	caption, _, _ := strings.Cut(after, "\n#")
	return strings.NewReplacer(`\[`, "[", `\]`, "]", `\_`, "_").Replace(caption)
}
