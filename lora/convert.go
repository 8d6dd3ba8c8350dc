package lora

import (
	"context"
	"fmt"
	"path/filepath"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
)

// GGUF keys of an adapter, as llama-adapter.cpp reads them.
const (
	typeKey     = "general.type"
	archKey     = "general.architecture"
	adapterKey  = "adapter.type"
	alphaKey    = "adapter.lora.alpha"
	baseNameKey = "general.base_model.0.name"
)

// ConvertOptions are the choices of Convert. The zero value is right for most.
type ConvertOptions struct {
	// Name is written as general.name. Default: the directory's name.
	Name string
	// Base is the path of the base model's GGUF. With it, the adapter is checked
	// against the base. An adapter that stores copies of base weights (PEFT does
	// so beside adapted embeddings) needs it, to show that they are only copies.
	Base string
	// Warn is called with what is worth telling the user; nil discards it.
	Warn func(string)
}

// Convert writes the GGUF form of a PEFT LoRA directory (adapter_config.json and
// adapter_model.safetensors) to out, replacing a file of that name.
//
// The factors keep their type and bits, except B where the module's scale
// differs from the one that llama.cpp computes from the file's alpha: there B is
// multiplied, in float32, or in its own type when that is exact (a power of two).
// With use_rslora and one rank everywhere, alpha alone carries the scale.
//
// Every PEFT option is honoured or refused by name (models.ErrUnsupported: DoRA,
// biases, modules_to_save, ...). A damaged or inconsistent directory is
// models.ErrFormat, one for another base ErrMismatch. On error or when ctx is
// cancelled nothing is left behind.
func Convert(ctx context.Context, dir, out string, opts ConvertOptions) error {
	p, err := openPEFT(dir)
	if err != nil {
		return fmt.Errorf("convert adapter: %w", err)
	}
	defer p.Close()
	warnings, err := p.checkBase(opts.Base)
	if err != nil {
		return fmt.Errorf("convert adapter %s: %w", dir, err)
	}
	if opts.Name == "" {
		if abs, err := filepath.Abs(dir); err == nil {
			opts.Name = filepath.Base(abs)
		}
	}
	if err := p.write(ctx, out, opts.Name); err != nil {
		return fmt.Errorf("convert adapter %s: %w", dir, err)
	}
	if opts.Warn != nil {
		for _, w := range warnings {
			opts.Warn(w)
		}
	}
	return nil
}

// checkBase checks the adapter against the base model, if one is given, and
// returns what is worth a warning.
func (p *peft) checkBase(path string) ([]string, error) {
	if path == "" {
		if len(p.copies) > 0 {
			return nil, fault.Unsupportedf("tensor %s is a copy of a base weight; give the base model, so that it can be compared", p.copies[0].Name)
		}
		return p.warnings, nil
	}
	base, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	if err := p.checkComplete(base); err != nil {
		return nil, err
	}
	if err := p.checkCopies(base); err != nil {
		return nil, err
	}
	if err := checkPairs(p.pairs, base); err != nil {
		return nil, err
	}
	return append(p.warnings, nameWarning(p.config.base, base)...), nil
}

// write folds the scales and stores the adapter.
func (p *peft) write(ctx context.Context, out, name string) error {
	alpha := commonAlpha(p.pairs)
	var infos []gguf.TensorInfo
	var data [][]byte
	for _, x := range p.pairs {
		b := *x.b
		if err := b.scale(x.alpha / alpha); err != nil {
			return fmt.Errorf("module %s: lora_B: %w", x.module, err)
		}
		infos = append(infos,
			gguf.TensorInfo{Name: x.base + suffixA, Type: x.a.kind, Shape: x.a.shape},
			gguf.TensorInfo{Name: x.base + suffixB, Type: b.kind, Shape: b.shape})
		data = append(data, x.a.raw, b.raw)
	}
	w, err := gguf.Create(out, p.metadata(name, alpha), infos, nil)
	if err != nil {
		return err
	}
	defer w.Abort()
	for i, raw := range data {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.WriteAt(i, raw, 0); err != nil {
			return err
		}
	}
	return w.Commit()
}

// commonAlpha returns the alpha with which llama.cpp's alpha / rank is right for
// most pairs. It must not be 0, which llama.cpp takes for a scale of 1.
func commonAlpha(pairs []*pair) float64 {
	count := map[float64]int{}
	best := 0.0
	for _, x := range pairs {
		if float32(x.alpha) == 0 || !finite(float64(float32(x.alpha))) {
			continue
		}
		count[x.alpha]++
		if count[x.alpha] > count[best] {
			best = x.alpha
		}
	}
	if best == 0 {
		return 1
	}
	return best
}

func (p *peft) metadata(name string, alpha float64) []gguf.KV {
	kvs := []gguf.KV{
		{Key: archKey, Value: "qwen2"},
		{Key: typeKey, Value: "adapter"},
		{Key: adapterKey, Value: "lora"},
		{Key: "general.name", Value: name},
	}
	if base := p.config.base; base != "" && !filepath.IsAbs(base) {
		kvs = append(kvs, gguf.KV{Key: "general.base_model.count", Value: uint32(1)}, gguf.KV{Key: baseNameKey, Value: base})
	}
	return append(kvs,
		gguf.KV{Key: "general.quantization_version", Value: uint32(2)},
		gguf.KV{Key: alphaKey, Value: float32(alpha)})
}
