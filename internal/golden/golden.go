// Package golden loads the reference values in testdata/golden, which
// transformers and PEFT computed in float32 for the tiny model: token ids, chat
// texts, logits, hidden states, greedy completions and cosines.
//
// Use [Load] for the sets of cases, [LoadLeakage] and [LoadCentroids] for the
// study's results, and [SharedDir] for data that lies outside the repository.
package golden

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"personaprobe/models/safetensors"
)

// Set is one golden_<name>.json with its golden_<name>.safetensors.
type Set struct {
	Name      string          `json:"-"`         // "dev" for golden_dev.json
	Split     string          `json:"split"`     // the same
	Reference string          `json:"reference"` // which program computed it
	Layers    []int           `json:"layers"`    // 0-based; the output of that decoder layer
	Models    []string        `json:"models"`    // "base" and the sources
	Tokenizer []TokenizerCase `json:"tokenizer"`
	Chat      []ChatCase      `json:"chat"`
	Prompts   []Prompt        `json:"prompts"`
	Greedy    []GreedyCase    `json:"greedy"`
	Cosines   []CosineCase    `json:"cosines"`

	arrays map[string]Array
}

// TokenizerCase is a text and its token ids.
type TokenizerCase struct {
	Text       string `json:"text"`
	IDsSpecial []int  `json:"ids_special"` // special tokens parsed
	IDsPlain   []int  `json:"ids_plain"`   // special tokens read as text
	NFCChanges bool   `json:"nfc_changes"` // the ids assume NFC, which llama.cpp does not apply
}

// ChatCase is a conversation rendered with the generation prompt.
type ChatCase struct {
	System string `json:"system"`
	User   string `json:"user"`
	Text   string `json:"text"`
	IDs    []int  `json:"ids"`
}

// Prompt is a prompt of the logits and hidden states.
type Prompt struct {
	Index    int    `json:"index"` // the number by which GreedyCase.Prompt refers to it
	Row      int    `json:"row"`   // its row in this set's arrays
	Persona  string `json:"persona"`
	Question string `json:"question"`
	IDs      []int  `json:"ids"`
}

// GreedyCase is a completion by the most probable token, up to 24 tokens.
type GreedyCase struct {
	Prompt    int     `json:"prompt"`
	Persona   string  `json:"persona"`
	Model     string  `json:"model"` // "base" or a source's adapter
	IDs       []int   `json:"ids"`   // <|im_end|> included when reached
	Text      string  `json:"text"`
	MinMargin float64 `json:"min_margin"` // smallest top-1 minus top-2 logit on the way
}

// CosineCase is a bystander's result.
type CosineCase struct {
	ID      string             `json:"id"`
	Source  string             `json:"source"`
	Cos     map[string]float64 `json:"cos"` // by layer
	Leakage float64            `json:"leakage"`
}

// Array is a matrix [Rows x Cols], row by row.
type Array struct {
	Rows, Cols int
	Values     []float32
}

// Row returns row i without copying.
func (a Array) Row(i int) []float32 { return a.Values[i*a.Cols:][:a.Cols] }

// Logits returns the last position's logits, [prompts x vocabulary].
func (s *Set) Logits(model string) (Array, bool) {
	a, ok := s.arrays["logits/"+model]
	return a, ok
}

// Hidden returns the last prompt token's hidden states at the output of a
// 0-based decoder layer, [prompts x width]. Models are "base" and "villain".
func (s *Set) Hidden(model string, layer int) (Array, bool) {
	a, ok := s.arrays[fmt.Sprintf("hidden/%s/L%d", model, layer)]
	return a, ok
}

// Prompt returns the prompt with an index, or nil.
func (s *Set) Prompt(index int) *Prompt {
	i := slices.IndexFunc(s.Prompts, func(p Prompt) bool { return p.Index == index })
	if i < 0 {
		return nil
	}
	return &s.Prompts[i]
}

// Load returns every set that lies in testdata/golden, at least one.
func Load() ([]*Set, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "golden_*.json"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no golden_*.json in %s", dir)
	}
	var sets []*Set
	for _, path := range paths {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "golden_"), ".json")
		s := &Set{Name: name}
		if err := readJSON(path, s); err != nil {
			return nil, err
		}
		if s.arrays, _, err = readArrays(strings.TrimSuffix(path, ".json") + ".safetensors"); err != nil {
			return nil, err
		}
		sets = append(sets, s)
	}
	return sets, nil
}

// Leakage is leakage.json: the marker rates and cosines of the whole study.
type Leakage struct {
	Layers   []int                         `json:"layers"`
	Spearman map[string]map[string]float64 `json:"spearman"` // layer -> "all" or source -> rho
	Cross    map[string]map[string]float64 `json:"cross"`    // adapter -> source persona -> rate
	// SourceCos is layer -> source -> source -> cosine of centred centroids.
	SourceCos map[string]map[string]map[string]float64 `json:"source_cos"`
	Rows      []LeakageRow                             `json:"rows"`
	// Samples are completions: adapter -> persona -> texts.
	Samples map[string]map[string][]string `json:"samples"`
}

// LeakageRow is a bystander's marker rate under its source's adapter.
type LeakageRow struct {
	ID       string             `json:"id"`
	Source   string             `json:"source"`
	Category string             `json:"category"`
	Leakage  float64            `json:"leakage"`
	N        int                `json:"n"`   // completions
	Cos      map[string]float64 `json:"cos"` // by layer
}

// LoadLeakage reads leakage.json.
func LoadLeakage() (*Leakage, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	l := &Leakage{}
	return l, readJSON(filepath.Join(dir, "leakage.json"), l)
}

// Centroids are the centred persona centroids, one row per name.
type Centroids struct {
	Names  []string      // row names: sources, then bystanders
	Layers map[int]Array // layer -> [205 x width]
}

// LoadCentroids reads centroids.safetensors.
func LoadCentroids() (*Centroids, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	arrays, metadata, err := readArrays(filepath.Join(dir, "centroids.safetensors"))
	if err != nil {
		return nil, err
	}
	c := &Centroids{Layers: map[int]Array{}}
	if err := json.Unmarshal([]byte(metadata["rows"]), &c.Names); err != nil {
		return nil, fmt.Errorf("centroids.safetensors: rows: %w", err)
	}
	for name, a := range arrays {
		var layer int
		if _, err := fmt.Sscanf(name, "centered/L%d", &layer); err != nil {
			return nil, fmt.Errorf("centroids.safetensors: tensor %s: %w", name, err)
		}
		c.Layers[layer] = a
	}
	return c, nil
}

// Dir returns the directory of the reference values.
func Dir() (string, error) {
	root, err := root()
	return filepath.Join(root, "testdata", "golden"), err
}

// SharedDir returns a directory of reference data that is not part of the
// repository: $PERSONAPROBE_SHARED/name, else ../shared/name beside the
// repository's root. It skips the test if there is none.
func SharedDir(t testing.TB, name string) string {
	t.Helper()
	shared := os.Getenv("PERSONAPROBE_SHARED")
	if shared == "" {
		root, err := root()
		if err != nil {
			t.Fatal(err)
		}
		shared = filepath.Join(root, "..", "shared")
	}
	dir := filepath.Join(shared, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("this test needs ../shared: %v", err)
	}
	return dir
}

// root returns the repository's root: the nearest directory above with a go.mod.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = parent
	}
}

func readJSON(path string, v any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func readArrays(path string) (map[string]Array, map[string]string, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	arrays := make(map[string]Array, len(f.Tensors))
	for _, t := range f.Tensors {
		values, err := t.Floats()
		if err != nil {
			return nil, nil, err
		}
		if len(t.Shape) != 2 {
			return nil, nil, fmt.Errorf("%s: tensor %s has shape %v, not two dimensions", path, t.Name, t.Shape)
		}
		arrays[t.Name] = Array{Rows: int(t.Shape[0]), Cols: int(t.Shape[1]), Values: values}
	}
	return arrays, f.Metadata, nil
}

// Relative is |got - want| / |want| in the Euclidean norm.
func Relative[T float32 | float64](got []float32, want []T) float64 {
	var d, n float64
	for i := range want {
		e := float64(got[i]) - float64(want[i])
		d += e * e
		n += float64(want[i]) * float64(want[i])
	}
	return math.Sqrt(d / n)
}
