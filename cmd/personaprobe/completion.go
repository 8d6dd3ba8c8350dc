package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// completeFlag, as the first argument, asks for the words that may stand in the place of
// the last. It comes before everything else, so that pressing tab never runs a command.
const completeFlag = "--complete-words"

// The scripts leave file names to the shell where the program has no words.
var completions = map[string]string{
	"bash": `_personaprobe() {
    local cur=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <("${COMP_WORDS[0]}" ` + completeFlag + ` "${COMP_WORDS[@]:1:COMP_CWORD-1}" "$cur" 2>/dev/null)
}
complete -o bashdefault -o default -F _personaprobe personaprobe
`,
	"zsh": `#compdef personaprobe
_personaprobe() {
    local -a found
    found=("${(@f)$("${words[1]}" ` + completeFlag + ` "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n ${found[1]} ]]; then
        compadd -a found
    else
        _files
    fi
}
compdef _personaprobe personaprobe
`,
	"fish": `complete -c personaprobe -a '(personaprobe ` + completeFlag + ` (commandline -opc)[2..] (commandline -ct | string collect -a) 2>/dev/null)'
`,
}

func shells() []string { return slices.Sorted(maps.Keys(completions)) }

// completeWords are the words that may stand in the place of the last of args.
func completeWords(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return nil
	}
	before, current := args[:len(args)-1], args[len(args)-1]
	flags, commands := app.Flags, app.Commands
	var command *cli.Command
	for i := 0; i < len(before); i++ {
		own := slices.Concat(flags, app.Flags)
		switch c := findCommand(commands, before[i]); {
		case strings.HasPrefix(before[i], "-") && takesValue(own, before[i]):
			if i++; i == len(before) {
				return startingWith(current, valuesOf(findFlag(own, before[i-1])))
			}
		case before[i] == "--":
			return nil
		case c != nil:
			command, flags, commands = c, c.Flags, c.Subcommands
		}
	}
	var words []string
	switch {
	case strings.HasPrefix(current, "-"):
		for _, f := range slices.Concat(flags, app.Flags, []cli.Flag{cli.HelpFlag}) {
			for _, name := range f.Names() {
				words = append(words, strings.Repeat("-", min(len(name), 2))+name)
			}
		}
	case command != nil && command.Name == "completion":
		words = shells()
	default:
		for _, c := range withoutHelp(commands) {
			words = append(words, c.Name)
		}
	}
	return startingWith(current, words)
}

// startingWith are the words that begin so, sorted.
func startingWith(prefix string, words []string) []string {
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !strings.HasPrefix(w, prefix) })
	slices.Sort(words)
	return slices.Compact(words)
}

func newCompletionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a script that completes verbs and flags in bash, zsh or fish",
		ArgsUsage: "SHELL",
		Description: `In ~/.bashrc:
  eval "$(personaprobe completion bash)"
In ~/.zshrc, after compinit:
  eval "$(personaprobe completion zsh)"
For fish:
  personaprobe completion fish > ~/.config/fish/completions/personaprobe.fish`,
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "SHELL")
			if err != nil {
				return err
			}
			script, ok := completions[args[0]]
			if !ok {
				return usageError(fmt.Errorf("no completion for %q, only for %s", args[0], strings.Join(shells(), ", ")))
			}
			_, err = fmt.Fprint(c.App.Writer, script)
			return err
		},
	}
}

func newManCommand() *cli.Command {
	return &cli.Command{
		Name:  "man",
		Usage: "print the manual page: personaprobe man > personaprobe.1",
		Action: func(c *cli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			c.App.Flags = documentedFlags(c.App.Flags)
			documentOnce(c.App.Commands)
			page, err := c.App.ToManWithSection(1)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.App.Writer, page)
			return err
		},
	}
}
