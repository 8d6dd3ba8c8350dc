package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// everyCommand calls f with the words of every command and subcommand; the
// program itself has none.
func everyCommand(f func(words []string, c *cli.Command)) {
	var walk func(words []string, commands []*cli.Command)
	walk = func(words []string, commands []*cli.Command) {
		for _, c := range commands {
			own := slices.Concat(words, []string{c.Name})
			f(own, c)
			walk(own, c.Subcommands)
		}
	}
	walk(nil, newApp(nil, io.Discard, io.Discard).Commands)
}

func TestHelpFitsATerminal(t *testing.T) {
	check := func(words []string, flags []cli.Flag) {
		var out strings.Builder
		args := append(append([]string{"personaprobe"}, words...), "--help")
		if code := run(args, nil, &out, io.Discard); code != exitOK {
			t.Fatalf("%v: exit code %d", args, code)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > helpWidth {
				t.Errorf("%v: %d columns: %s", args, n, line)
			}
		}
		for _, f := range flags {
			if name := f.Names()[0]; len(name) > 1 && !strings.Contains(out.String(), "--"+name) {
				t.Errorf("%v: says nothing of --%s", args, name)
			}
		}
	}
	check(nil, newApp(nil, io.Discard, io.Discard).Flags)
	verbs := 0
	everyCommand(func(words []string, c *cli.Command) {
		verbs++
		check(words, c.Flags)
	})
	if verbs < 25 {
		t.Errorf("%d verbs were looked at", verbs)
	}
}
