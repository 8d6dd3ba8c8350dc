package main

import "github.com/urfave/cli/v2"

// choice is a flag with a few possible values, which completion offers.
type choice struct {
	cli.DocGenerationFlag
	values []string
}

func oneOf(f cli.DocGenerationFlag, values ...string) cli.Flag { return choice{f, values} }

// IsVisible is asked of the flag that help shows.
func (choice) IsVisible() bool { return true }

// valuesOf are the values that a flag may have, where they are few.
func valuesOf(f cli.Flag) []string {
	c, _ := f.(choice)
	return c.values
}

// documented is a flag for the library's manual page, which would add a default to a text
// that has one.
type documented struct{ cli.DocGenerationFlag }

// IsVisible keeps the flag on the page.
func (documented) IsVisible() bool { return true }

// GetUsage is the text with the default, as in the help.
func (d documented) GetUsage() string { return usageOf(d.DocGenerationFlag) }

// GetDefaultText is in the text.
func (documented) GetDefaultText() string { return "" }

// GetValue stands in for a default text where there is none.
func (documented) GetValue() string { return "" }

// documentOnce makes the flags of all commands fit for the manual page.
func documentOnce(commands []*cli.Command) {
	for _, c := range commands {
		c.Flags = documentedFlags(c.Flags)
		documentOnce(c.Subcommands)
	}
}

func documentedFlags(flags []cli.Flag) []cli.Flag {
	out := make([]cli.Flag, len(flags))
	for i, f := range flags {
		out[i] = f
		if doc, ok := f.(cli.DocGenerationFlag); ok && doc.TakesValue() {
			out[i] = documented{doc}
		}
	}
	return out
}
