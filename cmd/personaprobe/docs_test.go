package main

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"personaprobe/models"
)

// The documentation marks its commands so: a block ```sh runs on the embedded model
// as it stands, in an empty directory that the blocks of a page share; a block
// ```sh host needs a GPU, a real model or a build, and is read only. Any other line
// that begins with personaprobe or make, indented as code, is read as well.
const (
	runs = "sh"
	host = "sh host"
)

type block struct {
	kind string // after ```; "" for an indented line
	line int    // of the first command, from 1
	text string
}

// blocks are a page's commands.
func blocks(page string) []block {
	var out []block
	fenced := false
	for i, line := range strings.Split(page, "\n") {
		rest, isFence := strings.CutPrefix(line, "```")
		last := len(out) - 1
		switch {
		case isFence && fenced:
			fenced = false
		case isFence:
			fenced = true
			out = append(out, block{kind: rest, line: i + 2})
		case fenced:
			out[last].text += line + "\n"
		case last >= 0 && out[last].kind == "" && strings.HasSuffix(out[last].text, "\\\n"):
			out[last].text += line + "\n"
		case strings.HasPrefix(line, "    personaprobe ") || strings.HasPrefix(line, "    make "):
			out = append(out, block{line: i + 1, text: line + "\n"})
		}
	}
	return out
}

// pages are README.md and docs/*.md.
func pages(t *testing.T) map[string][]block {
	t.Helper()
	names, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(names) == 0 {
		t.Fatalf("no docs: %v", err)
	}
	out := map[string][]block{}
	for _, name := range append(names, "../../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(name)] = blocks(string(text))
	}
	return out
}

// TestDocsRun runs every block that is not marked otherwise.
func TestDocsRun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the commands of the documentation for half a minute")
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	cache, err := models.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for name, page := range pages(t) {
		script := ""
		for _, b := range page {
			if b.kind == runs {
				script += b.text
			}
		}
		if script == "" {
			continue
		}
		ran++
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.Command(bash, "-euxo", "pipefail", "-c", script)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "HOME="+dir, "PERSONAPROBE_CACHE="+cache)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	if ran < 3 {
		t.Errorf("%d pages have commands that run", ran)
	}
}

// TestDocsCommands checks the verbs and flags of every command, and the targets of
// every make.
func TestDocsCommands(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for name, page := range pages(t) {
		for _, b := range page {
			if b.kind != runs && b.kind != host && b.kind != "" {
				continue
			}
			for _, words := range commandsIn(b.text) {
				checked++
				if problem := checkCommand(words, string(makefile)); problem != "" {
					t.Errorf("%s:%d: %s: %s", name, b.line, strings.Join(words, " "), problem)
				}
			}
		}
	}
	if checked < 60 {
		t.Errorf("%d commands were checked", checked)
	}
}

var word = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)

var continued = regexp.MustCompile(`\s*\\\n\s*`)

// commandsIn are the words of the lines of a shell script that call personaprobe or
// make, without what follows |, >, && and #, or two spaces, after which a list of
// commands explains them.
func commandsIn(script string) [][]string {
	var out [][]string
	for line := range strings.Lines(continued.ReplaceAllString(script, " ")) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "  ")
		words := word.FindAllString(line, -1)
		if end := slices.IndexFunc(words, func(w string) bool { return w[0] == '#' || strings.ContainsAny(w[:1], "|>&") }); end >= 0 {
			words = words[:end]
		}
		if len(words) > 0 && (words[0] == "personaprobe" || words[0] == "make") {
			out = append(out, words)
		}
	}
	return out
}

// checkCommand says what is wrong with a command, or nothing.
func checkCommand(words []string, makefile string) string {
	if words[0] == "make" {
		for _, target := range words[1:] {
			if !strings.Contains(target, "=") && !strings.Contains(makefile, "\n"+target+":") {
				return "no such target"
			}
		}
		return ""
	}
	app := newApp(nil, nil, nil)
	words = interspersed(app, words)[1:]
	flags, commands := app.Flags, app.Commands
	for len(words) > 0 {
		if strings.HasPrefix(words[0], "-") {
			f := findFlag(flags, words[0])
			if f == nil {
				return "no flag " + words[0]
			}
			if problem := checkValue(f, words); problem != "" {
				return problem
			}
			if takesValue(flags, words[0]) {
				words = words[1:]
			}
			words = words[1:]
			continue
		}
		c := findCommand(commands, words[0])
		if c == nil {
			break
		}
		flags, commands, words = c.Flags, c.Subcommands, words[1:]
	}
	if len(commands) > 0 && len(words) > 0 {
		return "no command " + words[0]
	}
	return ""
}

// checkValue lets a flag parse its value.
func checkValue(f cli.Flag, words []string) string {
	if !takesValue([]cli.Flag{f}, words[0]) {
		return ""
	}
	if len(words) < 2 {
		return words[0] + " has no value"
	}
	set := flag.NewFlagSet("", flag.ContinueOnError)
	set.SetOutput(&bytes.Buffer{})
	if err := f.Apply(set); err != nil {
		return err.Error()
	}
	if err := set.Parse([]string{"-" + f.Names()[0], strings.Trim(words[1], `'"`)}); err != nil {
		return err.Error()
	}
	return ""
}

// The checks above must be able to fail.
func TestCheckCommand(t *testing.T) {
	makefile := "\nrun: build\n"
	for script, good := range map[string]bool{
		"personaprobe run --model x --questions 2 # few": true,
		"personaprobe run --mdoel x":                     false,
		"personaprobe run --questions two":               false,
		"personaprobe run --questions":                   false,
		"personaprobe rnu":                               false,
		"personaprobe hidden cosin x":                    false,
		"personaprobe hidden cosine x --to a,b | sort":   true,
		"personaprobe hidden cosine x \\\n  --too a":     false,
		"make run":  true,
		"make rum":  false,
		"echo make": true,
	} {
		problem := ""
		for _, words := range commandsIn(script) {
			problem += checkCommand(words, makefile)
		}
		if (problem == "") != good {
			t.Errorf("%q: %q, want good %v", script, problem, good)
		}
	}
}

// sources is the text of all Go files, tests or others.
func sources(t *testing.T, tests bool) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") != tests {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestDocsMessages looks for the messages of the troubleshooting page in the sources,
// in pieces where the page has "..." or errors are put together.
func TestDocsMessages(t *testing.T) {
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	code := strings.NewReplacer(`\"`, `"`, `"%w by`, `"unsupported by`).Replace(sources(t, false))
	quoted := regexp.MustCompile("`([^`]+)`")
	looked := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, " | ")
		if len(cells) != 2 || !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(cells[0], -1) {
			for piece := range strings.SplitSeq(strings.ReplaceAll(m[1], ": ", "..."), "...") {
				looked++
				if piece = strings.Trim(piece, " ,"); !strings.Contains(code, piece) {
					t.Errorf("no message of the program has %q", piece)
				}
			}
		}
	}
	if looked < 40 {
		t.Errorf("%d messages were looked for", looked)
	}
}

// TestDocsNames looks for the tests and examples that the documentation names.
func TestDocsNames(t *testing.T) {
	functions := sources(t, true)
	named := regexp.MustCompile("`((?:Test|Example)[A-Za-z_]*)`")
	files, _ := filepath.Glob("../../docs/*.md")
	found := 0
	for _, file := range append(files, "../../README.md", "../../RATIONALE.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			found++
			if !strings.Contains(functions, "func "+m[1]+"(") {
				t.Errorf("%s names %s, which is not there", file, m[1])
			}
		}
	}
	if found < 10 {
		t.Errorf("%d names were looked for", found)
	}
}

var link = regexp.MustCompile(`\]\(([^)]+)\)`)

// TestDocsLinks follows the links between the project's pages.
func TestDocsLinks(t *testing.T) {
	files, _ := filepath.Glob("../../docs/*.md")
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), target)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
