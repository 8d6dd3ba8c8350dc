package hidden

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseLayers(t *testing.T) {
	for text, want := range map[string][]int{
		"all": {0, 1, 2, 3}, "3": {3}, "2,0": {0, 2}, "1-3,2": {1, 2, 3}, "0 , 1 - 2": {0, 1, 2},
	} {
		if got, err := ParseLayers(text, 4); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "4", "-1", "2-1", "0-4", "a", "1,,2", "1.5", "0-99999999999", "1-2-3"} {
		if got, err := ParseLayers(text, 4); !errors.Is(err, ErrInput) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) { // never a panic, and only layers of the model
		layers, err := ParseLayers(rapid.StringMatching(`[0-9,\- a-l]{0,12}`).Draw(t, "text"), 28)
		if err == nil && (len(layers) == 0 || layers[0] < 0 || layers[len(layers)-1] > 27 || !slices.IsSorted(layers)) {
			t.Fatal(layers)
		}
	})
}

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
