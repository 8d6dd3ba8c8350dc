package models

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// maxValueText bounds how much of a metadata value is printed.
const maxValueText = 100

// WriteText prints the description as aligned lines. With all it lists every
// tensor, otherwise only the types.
func (i *Info) WriteText(w io.Writer, all bool) error {
	b := bufio.NewWriter(w)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(b, "%-13s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("path", "%s", i.Path)
	line("kind", "%s", i.Kind)
	if i.Name != "" {
		line("name", "%s", oneLine(i.Name))
	}
	if i.Architecture != "" {
		line("architecture", "%s", oneLine(i.Architecture))
	}
	line("size", "%s in %d file(s)", formatBytes(i.Size), len(i.Files))
	line("parameters", "%s in %d tensors", formatCount(i.Parameters), len(i.Tensors))
	for _, t := range i.Types {
		line("  "+t.Type, "%s, %s in %d tensors", formatBytes(t.Bytes), formatCount(t.Parameters), t.Tensors)
	}
	if s := i.Shape; s != nil {
		line("shape", "%d layers, hidden %d, intermediate %d, %d heads, %d KV heads of %d, vocabulary %d, context %d, tied %v",
			s.Layers, s.Hidden, s.Intermediate, s.Heads, s.KVHeads, s.HeadDim(), s.Vocab, s.Context, s.Tied)
	}
	fmt.Fprintln(b, "metadata")
	for _, m := range i.Metadata {
		value := oneLine(fmt.Sprint(m.Value))
		if m.Count > 0 {
			value = fmt.Sprintf("%d elements: %s", m.Count, value)
		}
		fmt.Fprintf(b, "  %-44s %-9s %s\n", oneLine(m.Key), m.Type, value)
	}
	if all {
		fmt.Fprintln(b, "tensors")
		for _, t := range i.Tensors {
			fmt.Fprintf(b, "  %-44s %-6s %-18s %s\n", oneLine(t.Name), t.Type, strings.ReplaceAll(fmt.Sprint(t.Shape), " ", " x "), formatBytes(t.Bytes))
		}
	}
	return b.Flush()
}

// oneLine makes a text from a file safe to print on one line of a terminal.
func oneLine(s string) string {
	if len(s) > maxValueText {
		s = strings.ToValidUTF8(s[:maxValueText], "") + "..."
	}
	quoted := fmt.Sprintf("%q", s)
	if quoted != `"`+s+`"` {
		return quoted
	}
	return s
}

// formatBytes writes a size with three digits, such as "15.2 GB" (10^9 bytes).
func formatBytes(n int64) string {
	value, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if value < 1000 {
			break
		}
		value, unit = value/1000, next
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.3g %s", value, unit)
}

// formatCount writes a number of weights, such as "7.62 billion".
func formatCount(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f billion", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2f million", float64(n)/1e6)
	}
	return fmt.Sprint(n)
}

// WriteText prints the report as lines: what was read, then what was found.
func (r *Report) WriteText(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s: %s, %s in %d tensors\n", r.Path, r.Kind, formatCount(r.Parameters), r.Tensors)
	for _, f := range r.Files {
		fmt.Fprintf(b, "sha256 %s  %s  %s\n", f.SHA256, formatBytes(f.Size), f.Path)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(b, "problem: %s\n", p)
	}
	for _, p := range r.Warnings {
		fmt.Fprintf(b, "warning: %s\n", p)
	}
	if r.OK() {
		fmt.Fprintln(b, "ok")
	}
	return b.Flush()
}
