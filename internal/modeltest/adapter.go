package modeltest

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"personaprobe/models"
	"personaprobe/models/safetensors"
)

// Adapter describes a random PEFT LoRA adapter. Shape and Rank are required.
type Adapter struct {
	Shape models.Shape
	Rank  int64
	// Alpha is lora_alpha; 0 means 2 x Rank.
	Alpha  float64
	RSLoRA bool
	// Targets are names of linear modules, such as "q_proj", also "embed_tokens"
	// and "lm_head"; nil means all seven of a layer.
	Targets []string
	// RankPattern and AlphaPattern are written as they are; a module's rank is
	// that of the key that equals its name or is a dotted suffix of it.
	RankPattern  map[string]int64
	AlphaPattern map[string]float64
	DType        safetensors.DType // of the factors; the zero value means F32
	// Config holds further keys of adapter_config.json, which replace others.
	Config map[string]any
	// Edit may change, add or remove arrays before they are written.
	Edit func(arrays []safetensors.Array) []safetensors.Array
	// Scale of B's random values; 0 means 0.05. PEFT starts with 0.
	Scale float64
	Seed  uint64
}

var linear = []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}

// Write writes adapter_config.json and adapter_model.safetensors into dir, which
// it makes.
func (a Adapter) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	config := map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "random-qwen2", "r": a.Rank, "lora_alpha": a.alpha(),
		"use_rslora": a.RSLoRA, "target_modules": a.targets(), "lora_dropout": 0.05, "bias": "none", "fan_in_fan_out": false,
		"init_lora_weights": true, "inference_mode": true, "modules_to_save": nil, "layers_to_transform": nil,
		"use_dora": false, "rank_pattern": orEmpty(a.RankPattern), "alpha_pattern": orEmpty(a.AlphaPattern), "peft_version": "0.14.0",
	}
	for k, v := range a.Config {
		config[k] = v
	}
	if err := WriteJSON(filepath.Join(dir, "adapter_config.json"), config); err != nil {
		return err
	}
	arrays := a.Arrays()
	if a.Edit != nil {
		arrays = a.Edit(arrays)
	}
	return safetensors.Write(filepath.Join(dir, "adapter_model.safetensors"), arrays, map[string]string{"format": "pt"})
}

func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

func (a Adapter) alpha() float64 {
	if a.Alpha == 0 {
		return float64(2 * a.Rank)
	}
	return a.Alpha
}

func (a Adapter) targets() []string {
	if a.Targets == nil {
		return linear
	}
	return a.Targets
}

// ScaleOf returns the rank and scale of a module by its full name, as PEFT
// defines them, written down here independently of package lora.
func (a Adapter) ScaleOf(module string) (rank int64, scale float64) {
	rank, alpha := a.Rank, a.alpha()
	for key, r := range a.RankPattern {
		if ends(module, key) {
			rank = r
		}
	}
	for key, v := range a.AlphaPattern {
		if ends(module, key) {
			alpha = v
		}
	}
	if a.RSLoRA {
		return rank, alpha / math.Sqrt(float64(rank))
	}
	return rank, alpha / float64(rank)
}

func ends(module, key string) bool {
	return regexp.MustCompile(`^(.*\.)?(` + key + `)$`).MatchString(module)
}

// Arrays returns the factors under PEFT's names.
func (a Adapter) Arrays() []safetensors.Array {
	r := rand.New(rand.NewPCG(a.Seed, 2))
	scale := a.Scale
	if scale == 0 {
		scale = 0.05
	}
	var arrays []safetensors.Array
	add := func(name string, rows, cols int64, size float64) {
		values := make([]float32, rows*cols)
		for i := range values {
			values[i] = float32(r.NormFloat64() * size)
		}
		arrays = append(arrays, safetensors.Array{Name: name, Shape: []int64{rows, cols}, DType: a.DType, Values: values})
	}
	for _, t := range a.Shape.Tensors() {
		name, _ := models.HFName(t.Name)
		module := strings.TrimSuffix(name, ".weight")
		if len(t.Shape) != 2 || !slices.Contains(a.targets(), module[strings.LastIndexByte(module, '.')+1:]) {
			continue
		}
		rank, _ := a.ScaleOf(module)
		in, out := t.Shape[0], t.Shape[1]
		prefix := "base_model.model." + module
		if module == "model.embed_tokens" {
			add(prefix+".lora_embedding_A", rank, out, 1/math.Sqrt(float64(in)))
			add(prefix+".lora_embedding_B", in, rank, scale)
			continue
		}
		add(prefix+".lora_A.weight", rank, in, 1/math.Sqrt(float64(in)))
		add(prefix+".lora_B.weight", out, rank, scale)
	}
	return arrays
}
