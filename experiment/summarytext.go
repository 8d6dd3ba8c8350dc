package experiment

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// textWidth is the width in columns that a summary keeps to.
const textWidth = 100

// WriteText writes the summary as plain text for a terminal of 100 columns.
func (s *Summary) WriteText(w io.Writer) error {
	var b strings.Builder
	s.writeLeakage(&b)
	s.writeAnchors(&b)
	s.writeCorrelations(&b)
	s.writeAdapted(&b)
	s.writeRun(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeLeakage has a row per category and a column per source.
func (s *Summary) writeLeakage(b *strings.Builder) {
	t := table{title: "Marker leakage, % of completions", head: []string{"category"}, width: textWidth}
	t.head = append(t.head, s.Sources...)
	for _, c := range s.Categories {
		row := []string{c}
		for _, source := range s.Sources {
			row = append(row, percent(s.Cells[source][c]))
		}
		t.rows = append(t.rows, row)
	}
	total := func(name string, cell func(source string) string) {
		row := []string{name}
		for _, source := range s.Sources {
			row = append(row, cell(source))
		}
		t.feet = append(t.feet, row)
	}
	total("all bystanders", func(source string) string { return percent(s.Bystanders[source]) })
	total("source itself", func(source string) string { return percent(s.SourceRates[source]) })
	total("bystanders (n)", func(source string) string { return fmt.Sprint(s.Personas[source]) })
	total("shards", func(source string) string { return fmt.Sprint(s.Shards[source]) })
	t.write(b)
}

// writeAnchors has a row per adapter and a column per source prompt.
func (s *Summary) writeAnchors(b *strings.Builder) {
	if len(s.Sources) == 0 {
		return
	}
	t := table{
		title: "Anchors, % of completions: adapter (row) asked as source (column)",
		head:  append([]string{"adapter"}, s.Prompts...), width: textWidth,
	}
	for _, source := range s.Sources {
		row := []string{source}
		for _, p := range s.Prompts {
			row = append(row, percent(s.Anchors[source][p]))
		}
		t.rows = append(t.rows, row)
	}
	t.write(b)
}

// writeCorrelations has a row per layer: the aggregate and each source.
func (s *Summary) writeCorrelations(b *strings.Builder) {
	if s.Cosines == nil {
		return
	}
	t := table{
		title: "Spearman correlation of cosine and leakage (* best layer; - undefined)",
		head:  append([]string{"layer", "all", "p", "n"}, s.Sources...), width: textWidth,
	}
	for i, layer := range s.Cosines.Metadata.Layers {
		result := s.Cosines.PerLayer[i].value
		name := fmt.Sprint(layer)
		if s.Cosines.BestLayer != nil && *s.Cosines.BestLayer == layer {
			name += " *"
		}
		row := []string{name, number(result.Aggregate.Rho, "%.3f"), number(result.Aggregate.P, "%.2g"), fmt.Sprint(result.Aggregate.N)}
		for _, source := range s.Sources {
			c, _ := result.PerSource.Get(source)
			row = append(row, number(c.Rho, "%.3f"))
		}
		t.rows = append(t.rows, row)
	}
	t.write(b)
}

// writeAdapted has a row per layer: both models' correlations, over the same pairs.
func (s *Summary) writeAdapted(b *strings.Builder) {
	if s.Cosines == nil || s.Cosines.Adapted == nil {
		return
	}
	t := table{
		title: "Adapted models: Spearman correlation of cosine and leakage, cosines among each source's own personas",
		head:  []string{"layer", "adapted", "base", "adapted with base", "mean shift of cosine", "n"}, width: textWidth,
	}
	for i, layer := range s.Cosines.Metadata.Layers {
		c := s.Cosines.Adapted.PerLayer[i].value.Aggregate
		t.rows = append(t.rows, []string{
			fmt.Sprint(layer), number(c.Adapted.Rho, "%.3f"), number(c.Base.Rho, "%.3f"),
			number(c.Agreement.Rho, "%.3f"), number(c.MeanShift, "%+.3f"), fmt.Sprint(c.Adapted.N),
		})
	}
	t.write(b)
}

func (s *Summary) writeRun(b *strings.Builder) {
	fmt.Fprintf(b, "%d completions, %d tokens, %s", s.Completions, s.Tokens, duration(s.Minutes))
	if s.TokensPerSecond > 0 {
		fmt.Fprintf(b, ", %.0f tokens/s", s.TokensPerSecond)
	}
	if s.Device != "" {
		fmt.Fprintf(b, ", %s", s.Device)
	}
	if s.GPUHours > 0 {
		fmt.Fprintf(b, ", %.2f GPU-hours", s.GPUHours)
	}
	b.WriteByte('\n')
	if s.Truncated > 0 {
		fmt.Fprintf(b, "%d completions (%s%%) reached max_tokens; a marker after that is not seen\n",
			s.Truncated, percent(Rate{s.Truncated, s.Completions}))
	}
	if len(s.Missing) > 0 {
		fmt.Fprintf(b, "%d shards are not finished: run again to complete them\n", len(s.Missing))
	}
	fmt.Fprintf(b, "Artefacts in %s:\n", s.Dir)
	for _, a := range s.Files {
		fmt.Fprintf(b, "  %s\n", a)
	}
	switch n := len(s.Folders); n {
	case 0:
	case 1:
		fmt.Fprintf(b, "  %s/\n", s.Folders[0])
	default:
		fmt.Fprintf(b, "  %d shards, %s/ to %s/\n", n, s.Folders[0], s.Folders[n-1])
	}
}

// duration is a time in minutes, or in seconds where that says more.
func duration(minutes float64) string {
	if minutes < 2 {
		return fmt.Sprintf("%.1f seconds", minutes*60)
	}
	return fmt.Sprintf("%.1f minutes", minutes)
}

func percent(r Rate) string {
	if r.Total == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", 100*r.Value())
}

func number(v *float64, format string) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v)
}

// table lays out columns, the first flush left and the others flush right. Columns
// that do not fit side by side continue in a further part under the same first one.
type table struct {
	title string
	head  []string
	rows  [][]string
	feet  [][]string // rows under a rule
	width int        // columns of the terminal
}

const columnGap = 2

func (t *table) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s\n", t.title)
	widths := t.widths()
	for from := 1; from < len(t.head) || from == 1; {
		to, used := from, widths[0]
		for to < len(t.head) && (to == from || used+columnGap+widths[to] <= t.width) {
			used += columnGap + widths[to]
			to++
		}
		t.part(b, widths, from, to)
		from = max(to, from+1)
	}
	b.WriteByte('\n')
}

// part writes the first column and the columns in [from, to).
func (t *table) part(b *strings.Builder, widths []int, from, to int) {
	cells := func(row []string) []string { return append([]string{row[0]}, row[from:to]...) }
	wide := append([]int{widths[0]}, widths[from:to]...)
	heads := make([][]string, 0, to-from+1)
	height := 0
	for _, h := range cells(t.head) {
		heads = append(heads, headLines(h))
		height = max(height, len(heads[len(heads)-1]))
	}
	for line := range height {
		row := make([]string, len(heads))
		for i, h := range heads {
			if k := line - (height - len(h)); k >= 0 { // heads stand on the rule
				row[i] = h[k]
			}
		}
		writeRow(b, row, wide)
	}
	rule := columnGap * (len(wide) - 1)
	for _, w := range wide {
		rule += w
	}
	fmt.Fprintln(b, strings.Repeat("-", rule))
	for _, row := range t.rows {
		writeRow(b, cells(row), wide)
	}
	if len(t.feet) > 0 {
		fmt.Fprintln(b, strings.Repeat("-", rule))
	}
	for _, row := range t.feet {
		writeRow(b, cells(row), wide)
	}
}

func writeRow(b *strings.Builder, cells []string, widths []int) {
	var line strings.Builder
	for i, c := range cells {
		pad := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(c)))
		if i == 0 {
			line.WriteString(c + pad)
		} else {
			line.WriteString(strings.Repeat(" ", columnGap) + pad + c)
		}
	}
	fmt.Fprintln(b, strings.TrimRight(line.String(), " "))
}

// headLines breaks a long name such as kindergarten_teacher at its underscores.
func headLines(name string) []string {
	const long = 12
	if utf8.RuneCountInString(name) <= long {
		return []string{name}
	}
	return strings.Split(strings.ReplaceAll(name, "_", "_\n"), "\n")
}

func (t *table) widths() []int {
	widths := make([]int, len(t.head))
	for i, h := range t.head {
		for _, line := range headLines(h) {
			widths[i] = max(widths[i], utf8.RuneCountInString(line))
		}
	}
	for _, rows := range [][][]string{t.rows, t.feet} {
		for _, row := range rows {
			for i, c := range row {
				widths[i] = max(widths[i], utf8.RuneCountInString(c))
			}
		}
	}
	return widths
}
