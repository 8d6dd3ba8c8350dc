package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// interspersed moves flags before the arguments of their command, so that
// `model convert DIR OUT --type f16` works: the flag package stops at the first
// argument that is no flag. The program's own flags may come anywhere, too.
func interspersed(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return args
	}
	var global, out []string
	rest := args[1:]
	done := func(more ...string) []string {
		return slices.Concat(args[:1], global, out, more)
	}
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
				own, to := flags, &taken
				if !hasFlag(flags, arg) && hasFlag(app.Flags, arg) {
					own, to = app.Flags, &global
				}
				n := 1
				if takesValue(own, arg) {
					if len(rest) == 1 { // alone, or it would take an argument for its value
						return done(append(taken, arg)...)
					}
					n = 2
				}
				*to = append(*to, rest[:n]...)
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
			return done(positional...)
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

// findFlag returns the flag that arg, such as "--name=value", is about, or nil.
func findFlag(flags []cli.Flag, arg string) cli.Flag {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	i := slices.IndexFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	if i < 0 {
		return nil
	}
	return flags[i]
}

func hasFlag(flags []cli.Flag, arg string) bool { return findFlag(flags, arg) != nil }

// takesValue reports whether the flag arg needs the next argument as its value.
func takesValue(flags []cli.Flag, arg string) bool {
	f := findFlag(flags, arg)
	_, isBool := f.(*cli.BoolFlag)
	return f != nil && !isBool && !strings.Contains(arg, "=")
}

// reportUsage makes flag errors of all commands, and unknown subcommands, errors of usage.
// A command without subcommands has no command "help" either: it would take an argument
// called h, such as a directory, for it.
func reportUsage(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return usageError(err) }
		c.HideHelpCommand = len(c.Subcommands) == 0
		if len(c.Subcommands) > 0 && c.Action == nil {
			c.Action = func(ctx *cli.Context) error {
				if ctx.Args().Present() {
					return usageError(fmt.Errorf("no command \"%s %s\"; see personaprobe help %s", c.Name, ctx.Args().First(), c.Name))
				}
				return cli.ShowSubcommandHelp(ctx)
			}
		}
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
