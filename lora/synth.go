package lora

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"personaprobe/internal/atomicfile"
	"personaprobe/internal/disk"
	"personaprobe/internal/fault"
	"personaprobe/internal/noise"
	"personaprobe/models"
	"personaprobe/models/safetensors"
)

// SynthOptions are the choices of Synth. The zero value gives the study's
// adapters: rank 32, alpha 64, use_rslora, all linear modules, BF16.
type SynthOptions struct {
	Rank  int64   // default 32
	Alpha float64 // lora_alpha, default 2 x Rank
	// PlainScale writes use_rslora false: the scale is alpha / rank instead of
	// alpha / sqrt(rank).
	PlainScale bool
	// Targets are linear modules of a layer, such as "q_proj". Default: all seven.
	Targets []string
	// DType of the factors: BF16 (the default), F16 or F32.
	DType safetensors.DType
	Seed  uint64
	// Strength is the size of the change relative to the weight's own output.
	// Default 0.1.
	Strength float64
	// Base is written as base_model_name_or_path. Default "random-qwen2".
	Base string
}

func (o *SynthOptions) defaults() {
	if o.Rank == 0 {
		o.Rank = 32
	}
	if o.Alpha == 0 {
		o.Alpha = 2 * float64(o.Rank)
	}
	if o.Targets == nil {
		o.Targets = linear
	}
	if o.DType == "" {
		o.DType = safetensors.BF16
	}
	if o.Strength == 0 {
		o.Strength = 0.1
	}
	if o.Base == "" {
		o.Base = "random-qwen2"
	}
}

// Validate reports options that make no adapter.
func (o SynthOptions) Validate() error {
	o.defaults()
	if o.Rank < 1 || !finite(o.Alpha) || !finite(o.Strength) {
		return fmt.Errorf("rank %d, alpha %g and strength %g must be positive numbers", o.Rank, o.Alpha, o.Strength)
	}
	for _, t := range o.Targets {
		if !slices.Contains(linear, t) {
			return fault.Unsupportedf("target module %q; known are %s", t, strings.Join(linear, ", "))
		}
	}
	if kind, ok := o.DType.GGML(); !ok || kind.Bytes(1) > 4 {
		return fault.Unsupportedf("type %q; known are F32, F16 and BF16", o.DType)
	}
	return nil
}

// Synth writes an adapter with random weights for a model of the given shape: a
// GGUF file if out ends in .gguf, else a PEFT directory, which must not exist.
// The same options give the same bytes.
func Synth(ctx context.Context, shape models.Shape, out string, opts SynthOptions) error {
	if err := synth(ctx, shape, out, opts); err != nil {
		return fmt.Errorf("synthesise adapter %s: %w", out, err)
	}
	return nil
}

func synth(ctx context.Context, shape models.Shape, out string, opts SynthOptions) error {
	if err := opts.Validate(); err != nil {
		return err
	}
	if err := shape.Validate(); err != nil {
		return err
	}
	opts.defaults()
	out = filepath.Clean(out)
	toGGUF := strings.HasSuffix(out, ".gguf")
	if _, err := os.Lstat(out); err == nil && !toGGUF {
		return fmt.Errorf("%s exists already; remove it or choose another name", out)
	}
	// Beside the output, so that the directory can be renamed into place.
	temp, err := os.MkdirTemp(filepath.Dir(out), "."+filepath.Base(out)+atomicfile.TempInfix)
	if err != nil {
		return err
	}
	defer func() { _ = disk.RemoveAll(temp) }()
	if err := writePEFT(ctx, shape, temp, opts); err != nil {
		return err
	}
	if toGGUF {
		name := strings.TrimSuffix(filepath.Base(out), ".gguf")
		return Convert(ctx, temp, out, ConvertOptions{Name: name})
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	if err := disk.Rename(temp, out); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(out))
}

func writePEFT(ctx context.Context, shape models.Shape, dir string, opts SynthOptions) error {
	config, err := json.MarshalIndent(map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": opts.Base, "inference_mode": true,
		"r": opts.Rank, "lora_alpha": opts.Alpha, "use_rslora": !opts.PlainScale, "lora_dropout": 0, "bias": "none",
		"target_modules": opts.Targets, "fan_in_fan_out": false, "init_lora_weights": true, "modules_to_save": nil,
		"rank_pattern": map[string]any{}, "alpha_pattern": map[string]any{}, "use_dora": false,
	}, "", "  ")
	if err != nil {
		return err
	}
	arrays, err := synthArrays(ctx, shape, opts)
	if err != nil {
		return err
	}
	if err := safetensors.Write(filepath.Join(dir, weightsName), arrays, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, configName), append(config, '\n'))
}

// synthArrays draws the factors: A as PEFT starts it, with rows of length 1, and
// B so that scale x B x A changes a weight's output by opts.Strength.
func synthArrays(ctx context.Context, shape models.Shape, opts SynthOptions) ([]safetensors.Array, error) {
	kind, _ := opts.DType.GGML()
	scale := opts.Alpha / math.Sqrt(float64(opts.Rank))
	if opts.PlainScale {
		scale = opts.Alpha / float64(opts.Rank)
	}
	deviation := opts.Strength / math.Abs(scale) / math.Sqrt(float64(opts.Rank))
	tables := noise.NewTables()
	var arrays []safetensors.Array
	add := func(name string, rows, cols int64, deviation float64) error {
		raw := make([]byte, kind.Bytes(rows*cols))
		_, err := tables.Source(kind, opts.Seed, uint64(len(arrays)), 0, deviation).ReadAt(raw, 0)
		arrays = append(arrays, safetensors.Array{Name: name, Shape: []int64{rows, cols}, DType: opts.DType, Raw: raw})
		return err
	}
	for _, t := range shape.Tensors() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		hf, _ := models.HFName(t.Name)
		module := strings.TrimSuffix(hf, ".weight")
		if len(t.Shape) != 2 || !slices.Contains(opts.Targets, module[strings.LastIndexByte(module, '.')+1:]) {
			continue
		}
		if err := add(peftPrefix+module+".lora_A.weight", opts.Rank, t.Shape[0], 1/math.Sqrt(float64(t.Shape[0]))); err != nil {
			return nil, err
		}
		if err := add(peftPrefix+module+".lora_B.weight", t.Shape[1], opts.Rank, deviation); err != nil {
			return nil, err
		}
	}
	return arrays, nil
}
