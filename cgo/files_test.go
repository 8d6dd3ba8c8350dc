package llama_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	llama "personaprobe/cgo"
	"personaprobe/internal/golden"
	"personaprobe/internal/modeltest"
	"personaprobe/lora"
	"personaprobe/models"
	"personaprobe/models/tiny"
)

// logitsOf are the logits after a prompt, of a model file with an adapter applied
// at run time ("" for none).
func logitsOf(t *testing.T, model, adapter string, prompt []int32) []float32 {
	t.Helper()
	m, err := llama.OpenModel(model, llama.ModelOptions{})
	must(t, err)
	defer m.Close()
	c := newContext(t, m, llama.ContextOptions{})
	defer c.Close()
	if adapter != "" {
		a, err := m.OpenAdapter(adapter)
		must(t, err)
		defer a.Close()
		must(t, c.SetAdapter(a, 1))
	}
	var b llama.Batch
	feed(&b, 0, prompt)
	must(t, c.Decode(&b, nil))
	logits, err := c.Logits()
	must(t, err)
	n := m.Info().Vocab
	return slices.Clone(logits[n : 2*n])
}

// Random checkpoints of odd shapes, converted to every type, load in llama.cpp
// and give finite logits.
func TestConvertedShapesLoad(t *testing.T) {
	for _, heads := range [][2]int64{{2, 2}, {4, 2}, {7, 1}} {
		for _, tied := range []bool{true, false} {
			dir := t.TempDir()
			shape := modeltest.Shape(heads[0], heads[1], 32, 96, 2, 301, tied)
			must(t, modeltest.Checkpoint{Shape: shape}.Write(filepath.Join(dir, "hf")))
			for _, kind := range []models.WeightType{models.TypeKeep, models.TypeF16, models.TypeBF16, models.TypeQ8} {
				out := filepath.Join(dir, "m"+string(kind)+".gguf")
				must(t, models.Convert(context.Background(), filepath.Join(dir, "hf"), out, models.ConvertOptions{Type: kind}))
				for _, x := range logitsOf(t, out, "", []int32{5, 6, 7}) {
					if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
						t.Fatalf("heads %v, tied %v, type %q: logit %v", heads, tied, kind, x)
					}
				}
			}
		}
	}
}

// A merged model has the logits of base and adapter applied at run time, and
// both the golden ones; with use_rslora the adapter weighs sqrt(r) times as much, which
// is what scaling the plain one by that factor gives.
func TestMergedEqualsApplied(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	must(t, tiny.Unpack(dir))
	base := filepath.Join(dir, "base.gguf")
	must(t, models.Convert(ctx, filepath.Join(dir, "hf"), base, models.ConvertOptions{Type: models.TypeF32}))
	sets, err := golden.Load()
	must(t, err)
	set := sets[0]
	prompt := make([]int32, len(set.Prompts[0].IDs))
	for i, id := range set.Prompts[0].IDs {
		prompt[i] = int32(id)
	}
	for _, source := range tiny.Sources() {
		peft := filepath.Join(dir, "adapters", source)
		gguf, merged := filepath.Join(dir, source+".gguf"), filepath.Join(dir, source+"-merged.gguf")
		must(t, lora.Convert(ctx, peft, gguf, lora.ConvertOptions{Base: base}))
		must(t, lora.Merge(ctx, base, []lora.Adapter{{Path: peft}}, merged, lora.MergeOptions{}))
		applied := logitsOf(t, base, gguf, prompt)
		if want, ok := set.Logits(source); ok {
			checkRow(t, source+" merged", logitsOf(t, merged, "", prompt), want.Row(set.Prompts[0].Row))
			checkRow(t, source+" applied", applied, want.Row(set.Prompts[0].Row))
		}

		// The same adapter with use_rslora: alpha/sqrt(r) instead of alpha/r.
		config := map[string]any{}
		path := filepath.Join(peft, "adapter_config.json")
		data, err := os.ReadFile(path)
		must(t, err)
		must(t, json.Unmarshal(data, &config))
		config["use_rslora"] = true
		must(t, modeltest.WriteJSON(path, config))
		rank := config["r"].(float64)
		rs, scaled := filepath.Join(dir, source+"-rs.gguf"), filepath.Join(dir, source+"-scaled.gguf")
		must(t, lora.Convert(ctx, peft, rs, lora.ConvertOptions{Base: base}))
		must(t, lora.Merge(ctx, base, []lora.Adapter{{Path: gguf, Scale: math.Sqrt(rank)}}, scaled, lora.MergeOptions{}))
		want := logitsOf(t, scaled, "", prompt)
		checkRow(t, source+" rslora", logitsOf(t, base, rs, prompt), want)
		if slices.Equal(want, applied) {
			t.Errorf("%s: use_rslora changes nothing", source)
		}
	}
}

// The real vocabulary as llama.cpp sees our conversion of it: the marker's tokens
// and the lengths of the study's 200 prompts are the published ones.
func TestRealVocabulary(t *testing.T) {
	vocabulary, reference := golden.SharedDir(t, "qwen2-tokenizer"), golden.SharedDir(t, "reference")
	shape, err := models.NamedShape("qwen2.5-7b")
	must(t, err)
	shape.Hidden, shape.Intermediate, shape.Layers, shape.Heads, shape.KVHeads = 32, 32, 1, 1, 1
	out := filepath.Join(t.TempDir(), "vocab.gguf")
	must(t, models.Synth(context.Background(), shape, out, models.SynthOptions{TokenizerDir: vocabulary}))
	m, err := llama.OpenModel(out, llama.ModelOptions{VocabOnly: true})
	must(t, err)
	defer m.Close()
	marker, err := m.Vocab().Tokenize("[ZLT]", false)
	must(t, err)
	if fmt.Sprint(marker) != "[85113 27404 60]" {
		t.Errorf("[ZLT] is %v", marker)
	}
	var personas struct {
		Bystanders []struct {
			ID, Prompt string
			Tokens     int `json:"qwen_tokens"`
		} `json:"personas"`
	}
	data, err := os.ReadFile(filepath.Join(reference, "personas_original.json"))
	must(t, err)
	must(t, json.Unmarshal(data, &personas))
	if len(personas.Bystanders) != 200 {
		t.Fatalf("%d bystanders", len(personas.Bystanders))
	}
	for _, p := range personas.Bystanders {
		ids, err := m.Vocab().Tokenize(p.Prompt, false)
		must(t, err)
		if len(ids) != p.Tokens {
			t.Errorf("%s: %d tokens, want %d", p.ID, len(ids), p.Tokens)
		}
	}
}
