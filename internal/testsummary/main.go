// Testsummary reads `go test -json` from standard input and prints a line per
// package, the output of failed tests, why tests were skipped, and the counts.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
		os.Exit(1)
	}
}

func run() error {
	output := map[string]*strings.Builder{} // by package/test
	var passed, failed, skipped int
	var skips []string
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<26)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text()) // the compiler's words are not JSON
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if output[key] == nil {
				output[key] = &strings.Builder{}
			}
			output[key].WriteString(e.Output)
			continue
		case "build-fail":
			fmt.Print(text(output[key]))
			continue
		}
		if e.Test == "" {
			summarize(e, text(output[key]))
			continue
		}
		switch e.Action {
		case "pass":
			passed++
		case "fail":
			failed++
			fmt.Printf("--- FAIL %s\n%s", key, text(output[key]))
		case "skip":
			skipped++
			skips = append(skips, "skip  "+key+": "+reason(text(output[key])))
		default:
			continue
		}
		delete(output, key)
	}
	sort.Strings(skips)
	for _, s := range skips {
		fmt.Println(s)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	return in.Err()
}

func summarize(e event, out string) {
	switch e.Action {
	case "pass":
		fmt.Printf("ok    %s (%.1fs)\n", e.Package, e.Elapsed)
	case "fail":
		fmt.Printf("FAIL  %s (%.1fs)\n%s", e.Package, e.Elapsed, out)
	}
}

// reason is the text of t.Skip, without the file name and the test runner's words.
func reason(out string) string {
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if _, why, ok := strings.Cut(line, ".go:"); ok {
			if _, why, ok = strings.Cut(why, ": "); ok {
				return why
			}
		}
	}
	return "no reason given"
}

func text(b *strings.Builder) string {
	if b == nil {
		return ""
	}
	return b.String()
}
