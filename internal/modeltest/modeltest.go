// Package modeltest writes small random Hugging Face checkpoints and PEFT
// adapters for tests.
package modeltest

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"personaprobe/internal/bpe"
	"personaprobe/models"
	"personaprobe/models/gguf"
	"personaprobe/models/safetensors"
)

// Checkpoint describes a random Qwen2 checkpoint. Only Shape is required.
type Checkpoint struct {
	Shape models.Shape
	// Tokens of the tokeniser, at most Shape.Vocab; 0 means all of them. At least
	// bpe.Minimum. The rows beyond are padding.
	Tokens int64
	// DType of the weights; the zero value means F32.
	DType safetensors.DType
	// Shards is the number of weight files; up to 1 means one without an index.
	Shards int
	// SlowTokenizer writes vocab.json, merges.txt and added_tokens.json instead
	// of tokenizer.json.
	SlowTokenizer bool
	// Extra keys of config.json, which replace those that follow from Shape.
	Config map[string]any
	// Edit may change, add or remove arrays before they are written.
	Edit func(arrays []safetensors.Array) []safetensors.Array
	Seed uint64
}

// Shape returns a small valid shape: hidden = heads x headDim, a context of 256.
func Shape(heads, kvHeads, headDim, intermediate, layers, vocab int64, tied bool) models.Shape {
	return models.Shape{Hidden: heads * headDim, Intermediate: intermediate, Layers: layers, Heads: heads, KVHeads: kvHeads,
		Vocab: vocab, Context: 256, Tied: tied, RopeTheta: 10000, RMSEps: 1e-6}
}

// Write writes the checkpoint into dir, which it makes.
func (c Checkpoint) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if err := c.writeConfig(dir); err != nil {
		return err
	}
	if err := c.writeTokenizer(dir); err != nil {
		return err
	}
	arrays := c.Arrays()
	if c.Edit != nil {
		arrays = c.Edit(arrays)
	}
	return writeWeights(dir, arrays, c.Shards)
}

// Arrays returns the weights under their Hugging Face names. Matrices have a
// standard deviation of 1/sqrt(columns), so that activations keep their size.
func (c Checkpoint) Arrays() []safetensors.Array {
	r := rand.New(rand.NewPCG(c.Seed, 1))
	var arrays []safetensors.Array
	for _, t := range c.Shape.Tensors() {
		name, _ := models.HFName(t.Name)
		shape := slices.Clone(t.Shape)
		slices.Reverse(shape)
		values := make([]float32, t.Elements())
		for i := range values {
			values[i] = float32(r.NormFloat64() / math.Sqrt(float64(t.Shape[0])))
			if strings.HasSuffix(name, "norm.weight") {
				values[i] = float32(1 + 0.1*r.NormFloat64())
			}
		}
		arrays = append(arrays, safetensors.Array{Name: name, Shape: shape, DType: c.DType, Values: values})
	}
	return arrays
}

func writeWeights(dir string, arrays []safetensors.Array, shards int) error {
	metadata := map[string]string{"format": "pt"}
	if shards <= 1 {
		return safetensors.Write(filepath.Join(dir, safetensors.SingleName), arrays, metadata)
	}
	where := map[string]string{}
	for i := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, shards)
		part := arrays[i*len(arrays)/shards : (i+1)*len(arrays)/shards]
		for _, a := range part {
			where[a.Name] = name
		}
		if err := safetensors.Write(filepath.Join(dir, name), part, metadata); err != nil {
			return err
		}
	}
	return WriteJSON(filepath.Join(dir, safetensors.IndexName), map[string]any{"metadata": map[string]any{"total_size": 0}, "weight_map": where})
}

func (c Checkpoint) writeConfig(dir string) error {
	s := c.Shape
	config := map[string]any{
		"architectures": []string{"Qwen2ForCausalLM"}, "model_type": "qwen2", "hidden_act": "silu",
		"hidden_size": s.Hidden, "intermediate_size": s.Intermediate, "num_hidden_layers": s.Layers,
		"num_attention_heads": s.Heads, "num_key_value_heads": s.KVHeads, "vocab_size": s.Vocab,
		"max_position_embeddings": s.Context, "rms_norm_eps": s.RMSEps, "rope_theta": s.RopeTheta,
		"tie_word_embeddings": s.Tied, "use_sliding_window": false, "sliding_window": nil,
		"eos_token_id": c.tokens() - 1, "bos_token_id": c.tokens() - 3,
	}
	for k, v := range c.Config {
		config[k] = v
	}
	return WriteJSON(filepath.Join(dir, "config.json"), config)
}

func (c Checkpoint) tokens() int64 {
	if c.Tokens == 0 {
		return c.Shape.Vocab
	}
	return c.Tokens
}

// qwenSplit is the pattern of Qwen2's pre-tokeniser.
const qwenSplit = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

func (c Checkpoint) writeTokenizer(dir string) error {
	tokens, merges, err := bpe.Synthetic(int(c.tokens()))
	if err != nil {
		return err
	}
	pieces := len(tokens) - len(bpe.Specials)
	vocab, added, decoder := map[string]int{}, []map[string]any{}, map[string]any{}
	plain := map[string]int{}
	for i, s := range tokens {
		if i < pieces {
			vocab[s] = i
			continue
		}
		added = append(added, map[string]any{"id": i, "content": s, "special": true})
		decoder[fmt.Sprint(i)] = map[string]any{"content": s, "special": true}
		plain[s] = i
	}
	config := map[string]any{
		"added_tokens_decoder": decoder, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": nil,
		"add_bos_token": false, "tokenizer_class": "Qwen2Tokenizer",
		"chat_template": "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}",
	}
	if err := WriteJSON(filepath.Join(dir, "tokenizer_config.json"), config); err != nil {
		return err
	}
	if c.SlowTokenizer {
		text := "#version: 0.2\n" + strings.Join(merges, "\n") + "\n"
		if err := os.WriteFile(filepath.Join(dir, "merges.txt"), []byte(text), 0o666); err != nil {
			return err
		}
		if err := WriteJSON(filepath.Join(dir, "added_tokens.json"), plain); err != nil {
			return err
		}
		return WriteJSON(filepath.Join(dir, "vocab.json"), vocab)
	}
	split := map[string]any{"type": "Split", "pattern": map[string]any{"Regex": qwenSplit}, "behavior": "Isolated", "invert": false}
	return WriteJSON(filepath.Join(dir, "tokenizer.json"), map[string]any{
		"version": "1.0", "added_tokens": added,
		"pre_tokenizer": map[string]any{"type": "Sequence", "pretokenizers": []any{split, map[string]any{"type": "ByteLevel", "use_regex": false}}},
		"model":         map[string]any{"type": "BPE", "vocab": vocab, "merges": merges},
	})
}

// WriteJSON writes v as an indented JSON file.
func WriteJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o666)
}

// Round returns the values as the type stores them.
func Round(values []float32, t gguf.Type) ([]float32, error) {
	raw := make([]byte, t.Bytes(int64(len(values))))
	if err := t.Encode(raw, values); err != nil {
		return nil, err
	}
	out := make([]float32, len(values))
	return out, t.Decode(out, raw)
}
