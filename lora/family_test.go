package lora_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"personaprobe/internal/modeltest"
	"personaprobe/lora"
	"personaprobe/models"
)

// uses are all ways to use an adapter. Each must say the same of it.
func uses(adapter, base string, dir string) map[string]error {
	ctx := context.Background()
	out := map[string]error{}
	_, out["inspect"] = lora.Inspect(adapter, base)
	if info, err := os.Stat(adapter); err == nil && info.IsDir() {
		out["convert"] = lora.Convert(ctx, adapter, filepath.Join(dir, "x.gguf"), lora.ConvertOptions{Base: base})
	}
	if base != "" {
		_, _, out["resolve"] = lora.Resolve(ctx, adapter, base, dir)
		out["merge"] = lora.Merge(ctx, base, []lora.Adapter{{Path: adapter}}, filepath.Join(dir, "y.gguf"), lora.MergeOptions{})
	}
	return out
}

// An adapter of another family is refused by name wherever it is used, although names
// and shapes fit.
func TestOtherFamilies(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	qwen := writeBase(t, shape, models.TypeF16, 1)
	for _, f := range modeltest.Families() {
		t.Run(f.ModelType, func(t *testing.T) {
			name := path(f.ModelType)
			if err := errors.Join(f.WriteGGUF(name+".gguf", shape), f.WriteCheckpoint(name, shape),
				f.WriteAdapter(name+"-named", shape, f.Hub), f.WriteAdapter(name+"-local", shape, name),
				f.WriteAdapter(name+"-unnamed", shape, "/models/base"), f.WriteAdapter(name+"-qwen", shape, "Qwen/Qwen2.5-7B")); err != nil {
				t.Fatal(err)
			}
			// What an earlier version of lora convert wrote, and what llama.cpp's own script does.
			if err := lora.Convert(context.Background(), name+"-unnamed", name+"-plain.gguf", lora.ConvertOptions{Base: qwen}); err != nil {
				t.Fatal(err)
			}
			if err := modeltest.Relabel(name+"-plain.gguf", name+"-own.gguf", f.Arch); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct{ adapter, base, want string }{
				{"-named", "", f.Name}, {"-named", qwen, f.Name}, {"-named", name + ".gguf", f.Arch},
				{"-local", "", f.ModelType}, {"-local", qwen, f.ModelType}, {"-local", name + ".gguf", f.Arch},
				{"-unnamed", name + ".gguf", f.Arch}, {"-qwen", name + ".gguf", f.Arch},
				{"-plain.gguf", name + ".gguf", f.Arch},
				{"-own.gguf", "", f.Arch}, {"-own.gguf", qwen, f.Arch}, {"-own.gguf", name + ".gguf", f.Arch},
			} {
				for use, err := range uses(name+c.adapter, c.base, dir) {
					if !errors.Is(err, models.ErrUnsupported) || !strings.Contains(err.Error(), c.want) {
						t.Errorf("%s of %s on %q: error %v, want one with %q", use, c.adapter, filepath.Base(c.base), err, c.want)
					}
				}
			}
			if left, _ := filepath.Glob(path("[xy].gguf")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// Where nothing says the family, an adapter is not converted without its base model.
func TestUnknownFamily(t *testing.T) {
	a := plain()
	for name, known := range map[string]bool{
		"Qwen/Qwen2.5-7B-Instruct": true, "Qwen/Qwen1.5-0.5B": true, "Qwen/QwQ-32B": true, "unsloth/qwen2.5-7b-bnb-4bit": true,
		"deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": true, "C:\\models\\Qwen2.5-7B\\": true,
		"/hub/models--Qwen--Qwen2.5-7B/snapshots/0a1b2c": true,
		"": false, "/models/base": false, "/home/gemma/llama/base": false, "org/my-model": false, "Llama-distilled-from-Qwen2.5": false,
		"/hub/models--org--x/snapshots/qwen2": false,
	} {
		a.Config = map[string]any{"base_model_name_or_path": name}
		dir := writeAdapter(t, a)
		d, err := lora.Inspect(dir, "")
		if err != nil || (d.Family != "") != known {
			t.Errorf("%q: inspect: %+v, %v", name, d, err)
		}
		err = lora.Convert(context.Background(), dir, filepath.Join(t.TempDir(), "x.gguf"), lora.ConvertOptions{})
		if known != (err == nil) || !known && (!errors.Is(err, models.ErrUnsupported) || !strings.Contains(err.Error(), "family")) {
			t.Errorf("%q: convert: %v", name, err)
		}
	}
}

// Names of other families, those with Qwen in them too.
func TestRefusedNames(t *testing.T) {
	a := plain()
	for name, want := range map[string]string{
		"meta-llama/Llama-3.1-8B": "Llama", "lmsys/vicuna-7b-v1.5": "Llama", "mistralai/Mixtral-8x7B-v0.1": "Mistral", "google/gemma_2_2b": "Gemma",
		"microsoft/phi-4": "Phi", "microsoft/Phi-3-mini-4k-instruct": "Phi", "Qwen/Qwen3-8B": "Qwen3", "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B": "Qwen3",
		"Qwen/Qwen2.5-VL-7B-Instruct": "vision", "Qwen/Qwen2-Audio-7B": "audio", "Qwen/Qwen1.5-MoE-A2.7B": "mixture", "Qwen/Qwen2-57B-A14B": "mixture",
		"allenai/OLMo-2-1124-7B": "OLMo", "01-ai/Yi-6B": "Yi", "/hub/models--meta-llama--Llama-3.2-1B/snapshots/0a1b2c": "Llama", "/models/llama-3/": "Llama",
	} {
		a.Config = map[string]any{"base_model_name_or_path": name}
		if _, err := lora.Inspect(writeAdapter(t, a), ""); !errors.Is(err, models.ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", name, err, want)
		}
	}
}
