package hidden

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// parseOf are the layers that a text means in a model of n.
func parseOf(text string, n int) ([]int, error) {
	l, err := ParseLayers(text)
	if err != nil {
		return nil, err
	}
	return l.Of(n)
}

func TestParseLayers(t *testing.T) {
	for text, want := range map[string][]int{
		"all": {0, 1, 2, 3}, "3": {3}, "2,0": {0, 2}, "1-3,2": {1, 2, 3}, "0 , 1 - 2": {0, 1, 2}, "0-1,3,all": {0, 1, 2, 3},
	} {
		if got, err := parseOf(text, 4); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"": "expected numbers, a range such as 0-27 or all, got \"\"", "a": "got \"a\"", "-1": "got \"-1\"", "1,,2": "got \"\"", "1.5": "got \"1.5\"",
		"1-2-3": "got \"1-2-3\"", "0-99999999999": "got \"0-99999999999\"", "0-99999": "no model has so many", "2-1": "the range 2-1 runs backwards",
		"4": "layer 4: the model has decoder layers 0 to 3; transformers' hidden_states[4] is layer 3 here", "0-5": "layer 4: ",
	} {
		if got, err := parseOf(text, 4); !errors.Is(err, ErrInput) || !strings.HasPrefix(err.Error(), "layers: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) { // never a panic, and only layers of the model
		text := rapid.StringMatching(`([0-9,\- a-l]{0,12}|all,)`).Draw(t, "text")
		layers, err := parseOf(text, 28)
		if err == nil && (len(layers) == 0 || layers[0] < 0 || layers[len(layers)-1] > 27 || !slices.IsSorted(layers)) {
			t.Fatal(layers)
		}
		if l, err := ParseLayers(text); err == nil {
			if again, err := ParseLayers(l.String()); err != nil || !slices.Equal(l, again) {
				t.Fatalf("%q reads as %v, %v", l.String(), again, err)
			}
		}
	})
}

// The default layers lie at the same parts of every model's depth.
func TestDefaultLayers(t *testing.T) {
	for n, want := range map[int][]int{
		28: {10, 15, 20, 25}, 24: {9, 13, 17, 21}, 36: {13, 19, 26, 32}, 80: {29, 43, 57, 71}, 12: {4, 6, 9, 11},
		4: {1, 2, 3}, 2: {1}, 1: {0},
	} {
		if got, err := DefaultLayers().Of(n); err != nil || !slices.Equal(got, want) {
			t.Errorf("of %d layers: %v, %v, want %v", n, got, err, want)
		}
	}
}
