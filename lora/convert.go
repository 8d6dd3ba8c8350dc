package lora

import (
	"context"
	"fmt"
	"path/filepath"

	"personaprobe/models"
	"personaprobe/models/gguf"
)

// GGUF keys of an adapter, as llama-adapter.cpp reads them.
const (
	typeKey     = "general.type"
	archKey     = "general.architecture"
	adapterKey  = "adapter.type"
	alphaKey    = "adapter.lora.alpha"
	baseNameKey = "general.base_model.0.name"
	baseURLKey  = "general.base_model.0.repo_url"
)

// ConvertOptions are the choices of Convert. The zero value is right for most.
type ConvertOptions struct {
	// Name is written as general.name. Default: the directory's name.
	Name string
	// Base is the path of the base model's GGUF. With it, the adapter is checked
	// against the base. An adapter whose base_model_name_or_path does not name a
	// Qwen2 model needs it, and one that stores copies of base weights (PEFT does
	// so beside adapted embeddings), to show that they are only copies.
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
	if err := convert(ctx, dir, out, opts); err != nil {
		return fmt.Errorf("convert adapter %s: %w", dir, err)
	}
	return nil
}

func convert(ctx context.Context, dir, out string, opts ConvertOptions) error {
	inputs, err := pinPEFT(dir)
	if err != nil {
		return err
	}
	defer inputs.Close()
	var base *gguf.File
	if opts.Base != "" {
		if base, err = gguf.Open(opts.Base); err != nil {
			return err
		}
		defer base.Close()
	}
	a, err := openDir(dir, base)
	if err != nil {
		return err
	}
	if err := a.needFamily(); err != nil {
		return err
	}
	if opts.Name == "" {
		opts.Name = ownName(dir)
	}
	if err := inputs.Unchanged(); err != nil { // all that write needs is in memory
		return err
	}
	if err := a.write(ctx, out, opts.Name); err != nil {
		return err
	}
	a.warn(opts.Warn)
	return nil
}

// write stores the adapter.
func (a *adapter) write(ctx context.Context, out, name string) error {
	var infos []gguf.TensorInfo
	var data [][]byte
	for _, x := range a.pairs {
		infos = append(infos,
			gguf.TensorInfo{Name: x.base + suffixA, Type: x.a.kind, Shape: x.a.shape},
			gguf.TensorInfo{Name: x.base + suffixB, Type: x.b.kind, Shape: x.b.shape})
		data = append(data, x.a.raw, x.b.raw)
	}
	w, err := gguf.Create(out, a.metadata(name), infos, nil)
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

func (a *adapter) metadata(name string) []gguf.KV {
	kvs := []gguf.KV{
		{Key: archKey, Value: models.Architecture},
		{Key: typeKey, Value: "adapter"},
		{Key: adapterKey, Value: "lora"},
		{Key: "general.name", Value: name},
	}
	if len(a.names) > 0 && !filepath.IsAbs(a.names[0]) {
		kvs = append(kvs, gguf.KV{Key: "general.base_model.count", Value: uint32(1)}, gguf.KV{Key: baseNameKey, Value: a.names[0]})
	}
	return append(kvs,
		gguf.KV{Key: "general.quantization_version", Value: uint32(2)},
		gguf.KV{Key: alphaKey, Value: float32(a.pairs[0].alpha)}) // all have the same: see foldScales
}
