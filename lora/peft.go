package lora

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"personaprobe/internal/fault"
	"personaprobe/models"
	"personaprobe/models/gguf"
	"personaprobe/models/safetensors"
)

// peftPrefix is what PEFT puts before a module's name in the base model.
const peftPrefix = "base_model.model."

// pair is the adapter's change to one weight: alpha / rank x B x A.
type pair struct {
	module string // Hugging Face name, such as model.layers.0.mlp.up_proj
	base   string // GGUF name of the weight, such as blk.0.ffn_up.weight
	a, b   *factor
	rank   int64
	// alpha is what makes the scale alpha / rank, llama.cpp's formula.
	alpha float64
	scale float64 // PEFT's scale of the module, for people
	// embedding marks a change to token_embd.weight, whose A is stored with one
	// row per token: [vocabulary x rank], B [width x rank].
	embedding bool
}

// factor is A or B with its elements in memory, in the orientation that
// llama.cpp wants. Shape is in ggml's order.
type factor struct {
	shape []int64
	kind  gguf.Type
	raw   []byte
}

// peft is an adapter directory that was read and found consistent.
type peft struct {
	config   *config
	pairs    []*pair
	copies   []*safetensors.Tensor // base weights that PEFT stored beside embeddings
	warnings []string
	weights  *safetensors.File
}

func (p *peft) Close() error { return p.weights.Close() }

// openPEFT reads a PEFT directory whose configuration is c. Every tensor in it must be
// a factor of a module that the configuration selects, and each pair complete.
func openPEFT(dir string, c *config) (*peft, error) {
	path := filepath.Join(dir, weightsName)
	weights, err := safetensors.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, old := os.Stat(filepath.Join(dir, "adapter_model.bin")); old == nil {
			return nil, fault.Unsupportedf("%s: weights in PyTorch's pickle format (adapter_model.bin); save them as safetensors", dir)
		}
	}
	if err != nil {
		return nil, err
	}
	p := &peft{config: c, weights: weights}
	if err := p.load(); err != nil {
		weights.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.fanInOut {
		p.warnings = append(p.warnings, "fan_in_fan_out is set, but has no effect: Qwen2's modules are torch.nn.Linear, for which PEFT ignores it")
	}
	return p, nil
}

func (p *peft) load() error {
	found := map[string]*pair{}
	for _, t := range p.weights.Tensors {
		module, part, err := splitName(t.Name)
		if err != nil {
			return err
		}
		if part == baseWeight {
			p.copies = append(p.copies, t)
			continue
		}
		x := found[module]
		if x == nil {
			if x, err = p.newPair(module, part); err != nil {
				return fmt.Errorf("tensor %s: %w", t.Name, err)
			}
			found[module] = x
			p.pairs = append(p.pairs, x)
		}
		if err := x.take(t, part); err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
	}
	for _, x := range p.pairs {
		if err := x.check(); err != nil {
			return err
		}
	}
	if len(p.pairs) == 0 {
		return fault.Formatf("the adapter holds no LoRA tensors")
	}
	slices.SortFunc(p.pairs, func(x, y *pair) int { return compareNames(x.base, y.base) })
	return p.checkLayers(found)
}

// parts are the endings of the tensor names that PEFT stores.
var parts = []string{"lora_A.weight", "lora_B.weight", "lora_embedding_A", "lora_embedding_B", baseWeight}

// baseWeight is the part that is the base model's own weight.
const baseWeight = "base_layer.weight"

// splitName splits a PEFT tensor name into the module and its part.
func splitName(name string) (module, part string, err error) {
	rest, ok := strings.CutPrefix(name, peftPrefix)
	if ok {
		for _, part := range parts {
			if module, ok := strings.CutSuffix(rest, "."+part); ok {
				return module, part, nil
			}
		}
		// PEFT stores whole embeddings where they are resized, or with save_embedding_layers.
		if rest == "model.embed_tokens.weight" || rest == "lm_head.weight" {
			return strings.TrimSuffix(rest, ".weight"), baseWeight, nil
		}
	}
	hint := "it is not a LoRA factor"
	switch {
	case strings.HasSuffix(name, ".lora_magnitude_vector") || strings.Contains(name, ".lora_magnitude_vector."):
		hint = "it belongs to DoRA, which llama.cpp cannot apply"
	case strings.HasSuffix(name, ".bias"):
		hint = "llama.cpp adapters carry no biases"
	}
	return "", "", fault.Unsupportedf("tensor %s: %s", name, hint)
}

func (p *peft) newPair(module, part string) (*pair, error) {
	base, ok := models.GGUFName(module + ".weight")
	if !ok || models.IsVector(base) {
		return nil, fault.Unsupportedf("module %s is no matrix of a Qwen2 model", module)
	}
	selected, err := p.config.targets.selects(module)
	if err != nil {
		return nil, err
	}
	if !selected {
		return nil, fault.Formatf("%s does not select module %s (target_modules, exclude_modules, layers_to_transform)", configName, module)
	}
	rank, alpha, err := p.config.of(module)
	if err != nil {
		return nil, err
	}
	x := &pair{module: module, base: base, rank: rank, alpha: alpha, embedding: base == "token_embd.weight"}
	if x.embedding != strings.HasPrefix(part, "lora_embedding") {
		return nil, fault.Formatf("%s is not how PEFT stores module %s", part, module)
	}
	return x, nil
}

// take reads one factor.
func (x *pair) take(t *safetensors.Tensor, part string) error {
	kind, ok := t.DType.GGML()
	if !ok {
		return fault.Unsupportedf("type %s; F32, F16, BF16 and F64 are converted", t.DType)
	}
	if len(t.Shape) != 2 || t.Elements() == 0 {
		return fault.Formatf("shape %v; a LoRA factor has two dimensions", t.Shape)
	}
	raw, err := t.Raw()
	if err != nil {
		return err
	}
	f := &factor{shape: []int64{t.Shape[1], t.Shape[0]}, kind: kind, raw: raw}
	if err := f.checkFinite(); err != nil {
		return err
	}
	if kind == gguf.F64 {
		if err := f.retype(gguf.F32, 1); err != nil {
			return err
		}
	}
	isA := strings.HasSuffix(strings.TrimSuffix(part, ".weight"), "_A")
	if x.embedding != strings.HasPrefix(part, "lora_embedding") {
		return fault.Formatf("%s is not how PEFT stores module %s", part, x.module)
	}
	if isA {
		x.a = f
		if x.embedding {
			f.transpose()
		}
		return nil
	}
	x.b = f
	return nil
}

// check checks that the pair is complete and its shapes agree with the rank.
func (x *pair) check() error {
	if x.a == nil || x.b == nil {
		missing := "lora_A"
		if x.a != nil {
			missing = "lora_B"
		}
		return fault.Formatf("module %s: %s is missing", x.module, missing)
	}
	rankOfA := x.a.shape[1]
	if x.embedding {
		rankOfA = x.a.shape[0]
	}
	if rankOfA != x.b.shape[0] {
		return fault.Formatf("module %s: lora_A has rank %d, lora_B %d", x.module, rankOfA, x.b.shape[0])
	}
	if rankOfA != x.rank {
		return fault.Formatf("module %s: its factors have rank %d, but %s says %d (r, rank_pattern)", x.module, rankOfA, configName, x.rank)
	}
	return nil
}

// checkLayers refuses an adapter that lacks a module in a layer it changes: the
// configuration says that it was trained, so the file is cut or mixed up.
func (p *peft) checkLayers(found map[string]*pair) error {
	layers := map[string]bool{}
	for _, x := range p.pairs {
		if rest, ok := strings.CutPrefix(x.module, "model.layers."); ok {
			layer, _, _ := strings.Cut(rest, ".")
			layers[layer] = true
		}
	}
	for layer := range layers {
		for _, m := range layerModules(layer) {
			if err := p.mustHave(found, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// layerModules returns the linear modules of a layer by their full names.
func layerModules(layer string) []string {
	var list []string
	for _, m := range linear {
		block := "self_attn."
		if strings.HasPrefix(m, "gate") || strings.HasPrefix(m, "up") || strings.HasPrefix(m, "down") {
			block = "mlp."
		}
		list = append(list, "model.layers."+layer+"."+block+m)
	}
	return list
}

func (p *peft) mustHave(found map[string]*pair, module string) error {
	selected, err := p.config.targets.selects(module)
	if err != nil {
		return err
	}
	if selected && found[module] == nil {
		return fault.Formatf("%s selects module %s, but the adapter has no tensors for it", configName, module)
	}
	return nil
}
