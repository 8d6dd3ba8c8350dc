package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"personaprobe/internal/modeltest"
)

// Checkpoints and adapters of families that are not supported: every verb that takes them
// gives what the files say, or refuses the family by name and leaves nothing behind.
func TestOtherFamilies(t *testing.T) {
	shape := modeltest.Shape(4, 2, 8, 48, 2, 301, false)
	t.Setenv("PERSONAPROBE_CACHE", t.TempDir())
	qwen := filepath.Join(t.TempDir(), "qwen")
	if err := (modeltest.Checkpoint{Shape: shape, Seed: 1}).Write(qwen); err != nil {
		t.Fatal(err)
	}
	for _, f := range modeltest.Families() {
		t.Run(f.ModelType, func(t *testing.T) {
			dir := t.TempDir()
			at := func(name string) string { return filepath.Join(dir, name) }
			if err := errors.Join(f.WriteCheckpoint(at("hf"), shape), f.WriteGGUF(at("model.gguf"), shape),
				f.WriteAdapter(at("peft"), shape, f.Hub), f.WriteAdapter(at("unnamed"), shape, "")); err != nil {
				t.Fatal(err)
			}
			before := names(t, dir)
			for command, want := range map[string]string{
				// the checkpoint
				"model convert hf out.gguf":                                f.Class,
				"model verify hf --quiet":                                  f.Class,
				"generate --user hi --model hf":                            f.Class,
				"hidden extract --out out --model hf":                      f.Class,
				"run --out out --model hf --adapter villain=peft " + study: f.Class,
				"bench --model hf":                                         f.Class,
				"personas check taxonomy.json --model hf":                  f.Class,
				"lora inspect peft --model hf":                             f.Class,
				"lora convert peft out.gguf --model hf":                    f.Class,
				"lora merge out.gguf --model hf --adapter peft":            f.Class,
				"lora synth out --model hf":                                f.ModelType,
				"generate --user hi --model hf --adapter a=peft":           f.Class,
				// its adapter, alone, on a Qwen2 model of the same shapes, on its own base
				"lora inspect peft":                                           f.Name,
				"lora convert peft out.gguf":                                  f.Name,
				"lora convert unnamed out.gguf":                               "family",
				"lora inspect peft --model qwen":                              f.Name,
				"lora convert peft out.gguf --model qwen":                     f.Name,
				"lora merge out.gguf --model qwen --adapter peft":             f.Name,
				"generate --user hi --model qwen --adapter a=peft":            f.Name,
				"hidden extract --out out --model qwen --adapter a=peft":      f.Name,
				"run --out out --model qwen --adapter villain=peft " + study:  f.Name,
				"lora inspect unnamed --model model.gguf":                     f.Arch,
				"lora convert unnamed out.gguf --model model.gguf":            f.Arch,
				"lora merge out.gguf --model model.gguf --adapter unnamed":    f.Arch,
				"generate --user hi --model model.gguf --adapter a=unnamed":   f.Arch,
				"hidden extract --out o --model model.gguf --adapter a=peft":  f.Arch,
				"run --out o --model model.gguf --adapter villain=p " + study: f.Arch,
			} {
				args := []string{"personaprobe"}
				for _, word := range strings.Fields(command) {
					args = append(args, inFolder(word, dir, qwen))
				}
				var out, text strings.Builder
				if code := run(args, nil, &out, &text); code != exitInput || !strings.Contains(text.String(), want) {
					t.Errorf("%s: exit code %d, want %d and %q in:\n%s", command, code, exitInput, want, text.String())
				}
			}
			if after := names(t, dir); after != before {
				t.Errorf("before: %s\nafter: %s", before, after)
			}
			// What can be said of them without computing.
			for command, want := range map[string]string{
				"model inspect hf":         `architecture +` + f.ModelType,
				"model inspect model.gguf": `architecture +` + f.Arch,
				"lora inspect unnamed":     `family +not known`,
			} {
				var out, text strings.Builder
				args := strings.Fields("personaprobe " + command)
				args[3] = at(args[3])
				if code := run(args, nil, &out, &text); code != exitOK || !regexp.MustCompile(want).MatchString(out.String()) {
					t.Errorf("%s: exit code %d, want %s in:\n%s%s", command, code, want, out.String(), text.String())
				}
			}
		})
	}
}

const study = "--sources villain --questions 1 --completions 1 --seeds 1 --personas taxonomy.json --questions-file questions.json"

// inFolder replaces the table's names by paths.
func inFolder(word, dir, qwen string) string {
	name, value, pair := strings.Cut(word, "=")
	if pair {
		return name + "=" + inFolder(value, dir, qwen)
	}
	switch word {
	case "qwen":
		return qwen
	case "p":
		word = "peft"
	case "o":
		word = "out"
	}
	switch word {
	case "hf", "peft", "unnamed", "out", "out.gguf", "model.gguf":
		return filepath.Join(dir, word)
	case "taxonomy.json", "questions.json":
		return filepath.Join("..", "..", "models", "tiny", word)
	}
	return word
}

func names(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}
