package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

const (
	helpWidth  = 80 // columns of a terminal
	helpColumn = 26 // where explanations of flags begin
)

func init() {
	// The library's own help puts a flag with all its names, defaults and its
	// explanation on one line, whatever its length.
	cli.HelpPrinter = func(w io.Writer, _ string, of any) { _, _ = io.WriteString(w, helpOf(of)) }
}

// helpOf is the help of a *cli.App or *cli.Command.
func helpOf(of any) string {
	var b strings.Builder
	switch of := of.(type) {
	case *cli.App:
		writeHead(&b, of.Name, of.Usage, "[options] command", of.Description)
		writeCommands(&b, of.Commands)
		writeFlags(&b, of.VisibleFlags())
	case *cli.Command:
		args := "[options] " + of.ArgsUsage
		switch own := withoutHelp(of.Subcommands); {
		case len(own) > 0 && len(of.VisibleFlags()) > 1: // more than --help
			args = "[command] [options]"
		case len(own) > 0:
			args = "command"
		}
		writeHead(&b, of.HelpName, of.Usage, args, of.Description)
		writeCommands(&b, of.Subcommands)
		writeFlags(&b, of.VisibleFlags())
	}
	return b.String()
}

func writeHead(b *strings.Builder, name, usage, args, description string) {
	writeColumns(b, "", name+" - "+usage, 0)
	b.WriteString("\nUSAGE\n")
	writeColumns(b, "  "+name, args, len(name)+3)
	if description == "" {
		return
	}
	b.WriteString("\nDESCRIPTION\n")
	writeDescription(b, description)
}

// writeDescription fills paragraphs; lines that are indented or have columns of
// their own stay as they are.
func writeDescription(b *strings.Builder, description string) {
	var paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			writeColumns(b, "", strings.Join(paragraph, " "), 2)
		}
		paragraph = nil
	}
	for line := range strings.SplitSeq(description, "\n") {
		switch {
		case line == "":
			flush()
			b.WriteString("\n")
		case strings.Contains(line, "  "):
			flush()
			b.WriteString("  " + line + "\n")
		default:
			paragraph = append(paragraph, line)
		}
	}
	flush()
}

func writeCommands(b *strings.Builder, commands []*cli.Command) {
	commands = withoutHelp(commands)
	if len(commands) == 0 {
		return
	}
	b.WriteString("\nCOMMANDS\n")
	for _, c := range commands {
		writeColumns(b, "  "+c.Name, c.Usage, 16)
	}
}

// withoutHelp leaves out hidden commands and the one that the library adds to every
// command.
func withoutHelp(commands []*cli.Command) []*cli.Command {
	return slices.DeleteFunc(slices.Clone(commands), func(c *cli.Command) bool { return c.Name == "help" || c.Hidden })
}

func writeFlags(b *strings.Builder, flags []cli.Flag) {
	b.WriteString("\nOPTIONS\n")
	for _, f := range flags {
		label, text := flagHelp(f)
		writeColumns(b, "  "+label+" ", text, helpColumn)
	}
}

// usageOf is a flag's explanation with its default, if that is worth telling and not in the
// explanation.
func usageOf(doc cli.DocGenerationFlag) string {
	text, d := doc.GetUsage(), strings.Trim(doc.GetDefaultText(), "\"")
	if !doc.TakesValue() || d == "" || strings.Contains(text, "default:") || strings.Contains(text, "(no default)") {
		return text
	}
	return text + " (default: " + d + ")"
}

// flagHelp is a flag's names with the word for its value, and its explanation.
func flagHelp(f cli.Flag) (label, text string) {
	doc, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return f.Names()[0], ""
	}
	word, text := placeholder(usageOf(doc))
	names := slices.Clone(f.Names())
	slices.SortStableFunc(names, func(a, b string) int { return min(len(a), 2) - min(len(b), 2) }) // -o, --out
	for i, name := range names {
		names[i] = strings.Repeat("-", min(len(name), 2)) + name
	}
	label = strings.Join(names, ", ")
	if !doc.TakesValue() {
		return label, text
	}
	return label + " " + word, text
}

// placeholder takes the word in back quotes as that for the value, as package flag does.
func placeholder(usage string) (word, text string) {
	before, rest, ok := strings.Cut(usage, "`")
	word, after, closed := strings.Cut(rest, "`")
	if !ok || !closed {
		return "VALUE", usage
	}
	return word, before + word + after
}

// writeColumns writes a label and beside it, from a column on, a text whose lines
// end before helpWidth; where the label is too long, the text begins below it.
func writeColumns(b *strings.Builder, label, text string, column int) {
	line := label
	if len(label) >= max(column, 1) {
		b.WriteString(strings.TrimRight(label, " ") + "\n")
		line = ""
	}
	line = fmt.Sprintf("%-*s", column, line)
	empty := true
	for word := range strings.FieldsSeq(text) {
		if !empty && len(line)+1+len(word) > helpWidth {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, empty = strings.Repeat(" ", column), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}
