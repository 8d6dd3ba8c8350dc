package report

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"personaprobe/internal/sums"
)

// writeMarkdown writes report.md: the summary, the figures, the short tables and the
// definitions, for a repository.
func (s *study) writeMarkdown(figures []figure) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Persona leakage: %s\n\n", escapeMarkdown(s.full.BaseModel))
	for _, w := range s.warnings() {
		fmt.Fprintf(&b, "**%s**\n\n", escapeMarkdown(w))
	}
	for _, p := range s.summary() {
		fmt.Fprintf(&b, "- %s\n", escapeMarkdown(p.String()))
	}
	b.WriteString("\nEvery number is in `full_analysis.json`; `report.html` names the place of each.\n\n## Caveats\n\n")
	for _, c := range s.caveats() {
		fmt.Fprintf(&b, "- **%s.** %s\n", escapeMarkdown(c.Title), escapeMarkdown(c.Text.String()))
	}
	if gaps := s.gaps(); len(gaps) > 0 {
		b.WriteString("\nMissing, changed or odd:\n\n")
		for _, g := range gaps {
			fmt.Fprintf(&b, "- %s\n", escapeMarkdown(g))
		}
	}
	b.WriteString("\n## Figures\n")
	for _, f := range figures {
		format := "png"
		if len(f.lacking) > 0 {
			format = "svg"
		}
		fmt.Fprintf(&b, "\n### %s\n\n![%s](%s/%s.%s)\n\n%s\n", escapeMarkdown(f.Title), escapeMarkdown(f.Alt),
			figuresDir, f.Name, format, escapeMarkdown(f.Caption))
	}
	b.WriteString("\n## Tables\n")
	for _, t := range s.tables() {
		if t.Brief {
			t.markdown(&b)
		}
	}
	s.markdownFields(&b)
	b.WriteString("\n## Definitions\n\n")
	for _, d := range definitions {
		fmt.Fprintf(&b, "- <a id=\"def-%s\"></a>**%s**: %s (%s)\n", d.ID, escapeMarkdown(d.Term), escapeMarkdown(d.Text), escapeMarkdown(d.Source))
	}
	return sums.WriteFile(filepath.Join(s.dir, markdownFile), b.Bytes())
}

func (t table) markdown(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n### %s\n\n%s From [%s](%s) `%s`.\n\n|", escapeMarkdown(t.Title), escapeMarkdown(t.Caption), t.Source.File, t.Source.File, t.Source.Path)
	for _, c := range t.Columns {
		name := escapeMarkdown(c.Name)
		if c.Def != "" {
			name = fmt.Sprintf("[%s](#def-%s)", name, c.Def)
		}
		fmt.Fprintf(b, " %s |", name)
	}
	b.WriteString("\n|")
	for _, c := range t.Columns {
		if c.Def != "" {
			b.WriteString("---:|")
		} else {
			b.WriteString("---|")
		}
	}
	for _, r := range t.Rows {
		b.WriteString("\n|")
		for _, c := range r.Cells {
			fmt.Fprintf(b, " %s |", escapeMarkdown(c.plain()))
		}
	}
	b.WriteByte('\n')
}

func (s *study) markdownFields(b *bytes.Buffer) {
	fields := append(s.manifest(), s.settings()...)
	b.WriteString("\n## Manifest\n\n| | |\n|---|---|\n")
	for _, f := range fields {
		fmt.Fprintf(b, "| %s | %s |\n", escapeMarkdown(f.Name), escapeMarkdown(f.Value))
	}
}

// escapeMarkdown makes text mean itself in Markdown and in the HTML that may be in it,
// on one line.
func escapeMarkdown(s string) string {
	s = strings.Join(strings.Fields(drawable(s)), " ")
	return markdownEscaper.Replace(s)
}

var markdownEscaper = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "#", `\#`, "~", `\~`, "!", `\!`,
)
