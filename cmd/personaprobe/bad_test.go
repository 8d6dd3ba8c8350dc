package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"

	"personaprobe/internal/dirlock"
)

// badCases counts the bad inputs that the scripts tried.
var badCases atomic.Int64

// cmdBad runs a command on bad input: bad CODE REGEXP COMMAND ARG... It must end with
// the exit code, one line on standard error that matches, nothing on standard output,
// and every file and folder as it was.
func cmdBad(ts *testscript.TestScript, _ bool, args []string) {
	badCases.Add(1)
	before := listing(ts, ts.Getenv("WORK"))
	cmdExit(ts, false, append([]string{args[0]}, args[2:]...))
	text := ts.ReadFile("stderr")
	if strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "personaprobe: ") || len(text) > 1000 {
		ts.Fatalf("want one line of the program's on standard error, got\n%.2000s", text)
	}
	if strings.ContainsFunc(text[:len(text)-1], func(r rune) bool { return r < ' ' || r == 0x7f }) {
		ts.Fatalf("control characters in %q", text)
	}
	if !regexp.MustCompile(args[1]).MatchString(text) {
		ts.Fatalf("%q does not match %s", text, args[1])
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("on standard output:\n%.2000s", out)
	}
	after := listing(ts, ts.Getenv("WORK"))
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if after[path] != before[path] {
			ts.Fatalf("%s was %s and is %s", path, before[path], after[path])
		}
		delete(after, path)
	}
	for path := range after {
		ts.Fatalf("%s was left behind", path)
	}
}

// cmdBroken is bad with a file damaged meanwhile: broken FILE OLD NEW CODE REGEXP COMMAND
// ARG... OLD is replaced, in Go's syntax for strings; "-" stands for the whole file, and
// as NEW for its absence.
func cmdBroken(ts *testscript.TestScript, _ bool, args []string) {
	path, old, replacement := ts.MkAbs(args[0]), unquote(ts, args[1]), unquote(ts, args[2])
	data, err := os.ReadFile(path)
	ts.Check(err)
	switch {
	case old == "-" && replacement == "-":
		ts.Check(os.Remove(path))
	case old == "-":
		ts.Check(os.WriteFile(path, []byte(replacement), 0o666))
	default:
		if !bytes.Contains(data, []byte(old)) {
			ts.Fatalf("%s has no %q", args[0], old)
		}
		ts.Check(os.WriteFile(path, bytes.Replace(data, []byte(old), []byte(replacement), 1), 0o666))
	}
	cmdBad(ts, false, args[3:])
	ts.Check(os.WriteFile(path, data, 0o666))
}

// cmdDamaged is bad with a file of a finished directory damaged meanwhile: damaged FILE
// COMMAND ARG... The exit code is 3, and the line names the file.
func cmdDamaged(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	whole, err := os.ReadFile(path)
	ts.Check(err)
	flipped := bytes.Clone(whole)
	flipped[len(whole)/2] ^= 1
	message := regexp.QuoteMeta(filepath.Base(args[0])) + " is damaged: its SHA-256 is "
	for _, data := range [][]byte{flipped, whole[:len(whole)/2], append(whole, '\n')} {
		ts.Check(os.WriteFile(path, data, 0o666))
		cmdBad(ts, false, append([]string{"3", message}, args[1:]...))
	}
	ts.Check(os.WriteFile(path, whole, 0o666))
}

func unquote(ts *testscript.TestScript, text string) string {
	s, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	ts.Check(err)
	return s
}

// cmdRepeat writes a file of a text many times over: repeat N TEXT FILE.
func cmdRepeat(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Repeat(unquote(ts, args[1]), n)), 0o666))
}

// listing says of every file under dir what a change would change.
func listing(ts *testscript.TestScript, dir string) map[string]string {
	out := map[string]string{}
	ts.Check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		out[path] = fmt.Sprintf("%v, %d bytes of %v", info.Mode(), info.Size(), info.ModTime())
		if d.IsDir() || d.Name() == dirlock.Name || d.Name() == "progress.json" {
			// A temporary file comes and goes; the others say who worked here last, and how far.
			out[path] = info.Mode().String()
		}
		return nil
	}))
	return out
}
