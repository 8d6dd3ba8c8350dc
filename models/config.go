package models

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
)

// hfConfig is a checkpoint's config.json. Fields that are absent take the
// defaults of transformers' Qwen2Config.
type hfConfig struct {
	Architectures    []string        `json:"architectures"`
	ModelType        string          `json:"model_type"`
	NameOrPath       string          `json:"_name_or_path"`
	HiddenSize       int64           `json:"hidden_size"`
	IntermediateSize int64           `json:"intermediate_size"`
	Layers           int64           `json:"num_hidden_layers"`
	Heads            int64           `json:"num_attention_heads"`
	KVHeads          *int64          `json:"num_key_value_heads"`
	HeadDim          *int64          `json:"head_dim"`
	VocabSize        int64           `json:"vocab_size"`
	MaxPositions     int64           `json:"max_position_embeddings"`
	RMSNormEps       float64         `json:"rms_norm_eps"`
	RopeTheta        float64         `json:"rope_theta"`
	RopeScaling      *ropeScaling    `json:"rope_scaling"`
	RopeParameters   *ropeScaling    `json:"rope_parameters"` // transformers 5
	Tied             bool            `json:"tie_word_embeddings"`
	HiddenAct        string          `json:"hidden_act"`
	UseSlidingWindow bool            `json:"use_sliding_window"`
	SlidingWindow    *int64          `json:"sliding_window"`
	MaxWindowLayers  *int64          `json:"max_window_layers"`
	LayerTypes       []string        `json:"layer_types"`
	BosTokenID       json.RawMessage `json:"bos_token_id"`
	EosTokenID       json.RawMessage `json:"eos_token_id"`
	PadTokenID       json.RawMessage `json:"pad_token_id"`
	Quantization     json.RawMessage `json:"quantization_config"`
	AutoMap          json.RawMessage `json:"auto_map"`
}

// ropeScaling is the "rope_scaling" object, or transformers 5's
// "rope_parameters", which also holds rope_theta.
type ropeScaling struct {
	Type            string   `json:"rope_type"`
	OldType         string   `json:"type"`
	RopeTheta       *float64 `json:"rope_theta"`
	Factor          *float64 `json:"factor"`
	Original        *int64   `json:"original_max_position_embeddings"`
	AttentionFactor *float64 `json:"attention_factor"`
	BetaFast        *float64 `json:"beta_fast"`
	BetaSlow        *float64 `json:"beta_slow"`
	MScale          *float64 `json:"mscale"`
	MScaleAllDim    *float64 `json:"mscale_all_dim"`
	Truncate        *bool    `json:"truncate"`
	PartialRotary   *float64 `json:"partial_rotary_factor"`

	unknown error // a key that is none of these
}

// UnmarshalJSON notes keys that are not known: another may change every position, as
// parameters for single kinds of layers do.
func (r *ropeScaling) UnmarshalJSON(raw []byte) error {
	type plain ropeScaling
	if err := json.Unmarshal(raw, (*plain)(r)); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	r.unknown = d.Decode(new(plain))
	return nil
}

// readConfig reads and checks dir/config.json.
func readConfig(dir string) (*hfConfig, error) {
	path := filepath.Join(dir, "config.json")
	window := int64(4096)
	c := &hfConfig{RMSNormEps: 1e-6, RopeTheta: 10000, MaxPositions: 32768, HiddenAct: "silu", SlidingWindow: &window}
	if err := readJSON(path, c); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// ModelType returns the model_type of a checkpoint directory, "" if path is none.
func ModelType(path string) string {
	var c struct {
		ModelType string `json:"model_type"`
	}
	if path == "" || readJSON(filepath.Join(path, "config.json"), &c) != nil {
		return ""
	}
	return c.ModelType
}

func (c *hfConfig) check() error {
	name := c.ModelType
	if len(c.Architectures) > 0 {
		name = c.Architectures[0]
	}
	if c.ModelType != "qwen2" || len(c.Architectures) > 0 && !slices.Contains(c.Architectures, "Qwen2ForCausalLM") {
		return fault.Unsupportedf("architecture %q; only Qwen2ForCausalLM (Qwen2 and Qwen2.5 text models) is converted", name)
	}
	if set(c.Quantization) {
		return fault.Unsupportedf("quantization_config: the checkpoint is quantised; convert the original one")
	}
	if set(c.AutoMap) {
		return fault.Unsupportedf("auto_map: the checkpoint brings its own code, which need not compute what Qwen2 does")
	}
	for _, kind := range c.LayerTypes {
		if kind != "full_attention" && kind != "sliding_attention" {
			return fault.Unsupportedf("layer_types: %q; llama.cpp's qwen2 attends to the whole context", kind)
		}
	}
	if c.HiddenAct != "silu" {
		return fault.Unsupportedf("hidden_act %q; llama.cpp's qwen2 computes silu", c.HiddenAct)
	}
	if c.slides() {
		return fault.Unsupportedf("use_sliding_window: llama.cpp's qwen2 attends to the whole context")
	}
	if p := c.RopeParameters; p != nil && p.RopeTheta != nil {
		c.RopeTheta = *p.RopeTheta
	}
	shape := c.shape()
	if err := shape.Validate(); err != nil {
		return err
	}
	if c.HeadDim != nil && *c.HeadDim != shape.HeadDim() {
		return fault.Unsupportedf("head_dim %d; llama.cpp's qwen2 has hidden_size / num_attention_heads = %d", *c.HeadDim, shape.HeadDim())
	}
	_, err := c.ropeMetadata()
	return err
}

// slides reports whether some layer sees less than the whole context. In
// transformers the window applies from layer max_window_layers on.
func (c *hfConfig) slides() bool {
	if !c.UseSlidingWindow && slices.Contains(c.LayerTypes, "sliding_attention") {
		return true // the file contradicts itself
	}
	if !c.UseSlidingWindow || c.SlidingWindow == nil || *c.SlidingWindow >= c.MaxPositions {
		return false
	}
	if c.LayerTypes != nil {
		return slices.Contains(c.LayerTypes, "sliding_attention")
	}
	return c.MaxWindowLayers == nil || *c.MaxWindowLayers < c.Layers
}

func (c *hfConfig) shape() Shape {
	kv := c.Heads
	if c.KVHeads != nil {
		kv = *c.KVHeads
	}
	return Shape{Hidden: c.HiddenSize, Intermediate: c.IntermediateSize, Layers: c.Layers, Heads: c.Heads, KVHeads: kv,
		Vocab: c.VocabSize, Context: c.MaxPositions, Tied: c.Tied, RopeTheta: c.RopeTheta, RMSEps: c.RMSNormEps}
}

// ropeMetadata returns the keys for scaled positions, none for plain ones.
func (c *hfConfig) ropeMetadata() ([]gguf.KV, error) {
	r := c.RopeScaling
	if r == nil {
		r = c.RopeParameters
	}
	if r == nil {
		return nil, nil
	}
	kind := r.Type
	if kind == "" {
		kind = r.OldType
	}
	if r.PartialRotary != nil && *r.PartialRotary != 1 {
		return nil, fault.Unsupportedf("partial_rotary_factor %g", *r.PartialRotary)
	}
	if !slices.Contains([]string{"", "default", "linear", "yarn"}, kind) {
		return nil, fault.Unsupportedf("rope_scaling type %q; linear and yarn are known", kind)
	}
	if r.unknown != nil {
		return nil, fault.Unsupportedf("rope_scaling: %w", r.unknown)
	}
	if kind == "" || kind == "default" {
		return nil, nil
	}
	if r.Factor == nil || !(*r.Factor >= 1) || math.IsInf(*r.Factor, 0) {
		return nil, fault.Formatf("rope_scaling: factor is missing or below 1")
	}
	kvs := []gguf.KV{
		{Key: arch + ".rope.scaling.type", Value: kind},
		{Key: arch + ".rope.scaling.factor", Value: float32(*r.Factor)},
	}
	if kind == "linear" {
		return kvs, nil
	}
	if err := r.checkYaRN(); err != nil {
		return nil, err
	}
	original := c.MaxPositions
	if r.Original != nil {
		original = *r.Original
	}
	if original < 1 || original > math.MaxUint32 {
		return nil, fault.Formatf("rope_scaling: original_max_position_embeddings is %d", original)
	}
	return append(kvs, gguf.KV{Key: arch + ".rope.scaling.original_context_length", Value: uint32(original)}), nil
}

// checkYaRN refuses what llama.cpp's qwen2 takes from constants instead of keys.
func (r *ropeScaling) checkYaRN() error {
	standard := 0.1*math.Log(*r.Factor) + 1
	for _, p := range []struct {
		name  string
		value *float64
		want  float64
	}{
		{"attention_factor", r.AttentionFactor, standard}, {"beta_fast", r.BetaFast, 32}, {"beta_slow", r.BetaSlow, 1},
		{"mscale", r.MScale, 1}, {"mscale_all_dim", r.MScaleAllDim, 0},
	} {
		if p.value != nil && math.Abs(*p.value-p.want) > 1e-6 {
			return fault.Unsupportedf("rope_scaling: %s %g; llama.cpp's qwen2 computes with %g", p.name, *p.value, p.want)
		}
	}
	if r.Truncate != nil && !*r.Truncate {
		return fault.Unsupportedf("rope_scaling: truncate false")
	}
	return nil
}

// maxJSON bounds the JSON files of a checkpoint; tokenizer.json of the largest
// vocabularies has 20 to 40 MB.
const maxJSON = 512 << 20

// readJSON decodes a JSON file into v.
func readJSON(path string, v any) error {
	raw, err := readSmall(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fault.Formatf("%s: %w", path, err)
	}
	return nil
}

// readOptional is readJSON for a file that may be absent.
func readOptional(path string, v any) (found bool, err error) {
	err = readJSON(path, v)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxJSON {
		return nil, fault.Formatf("%s: not a regular file of at most %d bytes", path, int64(maxJSON))
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return raw, nil
}

// set reports whether a JSON value is present and not null.
func set(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }
