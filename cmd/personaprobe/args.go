package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// interspersed moves flags before the arguments of their command, so that
// `model convert DIR OUT --type f16` works: the flag package stops at the first
// argument that is no flag.
func interspersed(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return args
	}
	out, rest := []string{args[0]}, args[1:]
	flags, commands := app.Flags, app.Commands
	for {
		var taken, positional []string
		var next *cli.Command
		for len(rest) > 0 && next == nil {
			arg := rest[0]
			switch {
			case arg == "--":
				positional = append(positional, rest...)
				rest = nil
			case strings.HasPrefix(arg, "-") && arg != "-":
				n := 1
				if takesValue(flags, arg) && len(rest) > 1 {
					n = 2
				}
				taken = append(taken, rest[:n]...)
				rest = rest[n:]
			default:
				rest = rest[1:]
				if len(positional) == 0 {
					next = findCommand(commands, arg)
				}
				if next == nil {
					positional = append(positional, arg)
				}
			}
		}
		out = append(out, taken...)
		if next == nil {
			return append(out, positional...)
		}
		out = append(out, next.Name)
		flags, commands = next.Flags, next.Subcommands
	}
}

func findCommand(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// takesValue reports whether the flag arg needs the next argument as its value.
func takesValue(flags []cli.Flag, arg string) bool {
	name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	if hasValue {
		return false
	}
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			_, isBool := f.(*cli.BoolFlag)
			return !isBool
		}
	}
	return false
}

// reportUsage makes flag errors of all commands errors of usage.
func reportUsage(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return usageError(err) }
		reportUsage(c.Subcommands)
	}
}

// arguments returns the positional arguments, exactly those named.
func arguments(c *cli.Context, names ...string) ([]string, error) {
	if c.NArg() < len(names) {
		return nil, usageError(missingArgumentError(names[c.NArg()]))
	}
	if c.NArg() > len(names) {
		return nil, usageError(unexpectedArgumentError(c.Args().Get(len(names))))
	}
	return c.Args().Slice(), nil
}
