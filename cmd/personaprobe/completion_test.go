package main

import (
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestCompleteWords(t *testing.T) {
	for line, want := range map[string]string{
		"ru|":                         "run",
		"hidden |":                    "centroids cosine distance extract",
		"hidden c|":                   "centroids cosine",
		"hidden cosine |":             "", // files
		"hidden cosine --le|":         "--leakage",
		"run --mo|":                   "--model",
		"run --model |":               "", // a value
		"run --backend |":             "auto llama native",
		"run --backend n|":            "native",
		"--log-format |":              "json text",
		"hidden extract --format |":   "npy safetensors",
		"model convert a --type b|":   "bf16",
		"run --model hidden --ad|":    "--adapted-centroids --adapter",
		"--log-format json hidden e|": "extract",
		"run plan.yaml --qui|":        "--quiet",
		"run -- --qui|":               "",
		"completion |":                "bash fish zsh",
	} {
		args := append([]string{"personaprobe", completeFlag}, strings.Split(strings.TrimSuffix(line, "|"), " ")...)
		var out strings.Builder
		if code := run(args, nil, &out, io.Discard); code != exitOK {
			t.Errorf("%s: exit code %d", line, code)
		}
		got := strings.Join(strings.Fields(out.String()), " ")
		if got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
}

// The scripts must be what their shells understand, and bash's must find the words.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range shells() {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skipf("no %s", shell)
			}
			if out, err := exec.Command(path, "-n", "-c", completions[shell]).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	const tab = `eval "$(personaprobe completion bash)"
COMP_WORDS=(personaprobe run --model tiny --top) COMP_CWORD=4; _personaprobe; echo "${COMPREPLY[@]}"
COMP_WORDS=(personaprobe hidden "") COMP_CWORD=2; _personaprobe; echo "${COMPREPLY[@]}"
COMP_WORDS=(personaprobe run --) COMP_CWORD=2; _personaprobe; echo "${#COMPREPLY[@]}"`
	out, err := exec.Command(bash, "-c", tab).CombinedOutput()
	lines := strings.Split(string(out), "\n")
	if err != nil || len(lines) != 4 || lines[0] != "--top-p" || lines[1] != "centroids cosine distance extract" || len(lines[2]) != 2 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestManualPage(t *testing.T) {
	var out strings.Builder
	if code := run([]string{"personaprobe", "man"}, nil, &out, io.Discard); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	page := strings.ReplaceAll(out.String(), `\-`, "-")
	for line := range strings.Lines(page) {
		if strings.Count(line, "(default:") > 1 {
			t.Errorf("two defaults: %s", line)
		}
	}
	if !strings.Contains(page, "in upper or lower case (default: [ZLT])") || !strings.Contains(page, "CPU threads (default: all cores)\n") {
		t.Error("defaults are missing")
	}
	if !strings.HasPrefix(page, ".nh\n.TH personaprobe 1") {
		t.Errorf("it begins with %.60q", page)
	}
	everyCommand(func(words []string, c *cli.Command) {
		for _, f := range c.Flags {
			if name := f.Names()[0]; len(name) > 1 && !strings.Contains(page, "--"+name) {
				t.Errorf("%v: nothing of --%s", words, name)
			}
		}
	})
}
