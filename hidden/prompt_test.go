package hidden

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadPrompts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.jsonl")
	read := func(text string, prompts Prompts) (out []Prompt, err error) {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		for p, err := range prompts {
			if err != nil {
				return out, err
			}
			out = append(out, p)
		}
		return out, nil
	}
	got, err := read("{\"prompt\": \"a\", \"group\": \"g\"}\n\n{\"id\": \"x\", \"tokens\": [1, 2]}", ReadPrompts(path))
	if err != nil || len(got) != 2 || got[0].ID != "1" || got[0].Group != "g" || got[1].ID != "x" || len(got[1].Tokens) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"{\"prompt\": \"a\"}\n{}":                         "line 2: it is empty",
		`{"prompt": "a", "tokens": [1]}`:                  "exclude each other",
		`{"prompt": "a", "colour": 1}`:                    "line 1",
		`{"prompt": "a"} {"prompt": "b"}`:                 "more than one value",
		`nonsense`:                                        "line 1",
		`{"messages": [{"role": "user"}], "prompt": "a"}`: "exclude each other",
	} {
		if _, err := read(text, ReadPrompts(path)); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", text, err)
		}
	}
	got, err = read("Hello\r\n \nthere\n", ReadLines(path, true))
	if err != nil || len(got) != 2 || got[0].Messages[0].Content != "Hello" || got[1].ID != "3" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := read("", ReadPrompts(path+"x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}
