package modeltest

import (
	"context"
	"os"
	"slices"
	"strings"

	"personaprobe/models"
	"personaprobe/models/gguf"
	"personaprobe/models/safetensors"
)

// Family is a family of models other than Qwen2, of which random checkpoints, adapters
// and GGUF files can be written. Their shapes are Qwen2's, so that nothing but what the
// files say of themselves tells them apart.
type Family struct {
	Name      string // as personaprobe calls it
	ModelType string // transformers' name
	Class     string
	Arch      string // llama.cpp's name
	Hub       string // a published model
	qkNorm    bool   // norms of every head's query and key
	moreNorms bool   // norms on both sides of attention and MLP
}

// Families are those that users bring next.
func Families() []Family {
	return []Family{
		{Name: "Llama", ModelType: "llama", Class: "LlamaForCausalLM", Arch: "llama", Hub: "meta-llama/Llama-3.2-1B-Instruct"},
		{Name: "Mistral", ModelType: "mistral", Class: "MistralForCausalLM", Arch: "llama", Hub: "mistralai/Mistral-7B-Instruct-v0.3"},
		{Name: "Qwen3", ModelType: "qwen3", Class: "Qwen3ForCausalLM", Arch: "qwen3", Hub: "Qwen/Qwen3-0.6B", qkNorm: true},
		{Name: "Gemma", ModelType: "gemma2", Class: "Gemma2ForCausalLM", Arch: "gemma2", Hub: "google/gemma-2-2b-it", moreNorms: true},
		{Name: "Gemma", ModelType: "gemma3_text", Class: "Gemma3ForCausalLM", Arch: "gemma3", Hub: "google/gemma-3-1b-it", qkNorm: true, moreNorms: true},
	}
}

// WriteCheckpoint writes a random checkpoint of the family.
func (f Family) WriteCheckpoint(dir string, shape models.Shape) error {
	return Checkpoint{Shape: shape, Seed: 7, Config: map[string]any{
		"model_type": f.ModelType, "architectures": []string{f.Class}, "head_dim": shape.HeadDim(),
	}, Edit: func(list []safetensors.Array) []safetensors.Array {
		list = slices.DeleteFunc(list, func(a safetensors.Array) bool { return strings.HasSuffix(a.Name, ".bias") })
		for _, a := range slices.Clone(list) {
			layer, ok := strings.CutSuffix(a.Name, "input_layernorm.weight")
			if !ok {
				continue
			}
			for _, name := range f.norms() {
				n := a
				n.Name = layer + name + ".weight"
				if strings.HasPrefix(name, "self_attn") {
					n.Shape, n.Values = []int64{shape.HeadDim()}, a.Values[:shape.HeadDim()]
				}
				list = append(list, n)
			}
		}
		return list
	}}.Write(dir)
}

// norms are a layer's that Qwen2 does not have.
func (f Family) norms() (names []string) {
	if f.qkNorm {
		names = append(names, "self_attn.q_norm", "self_attn.k_norm")
	}
	if f.moreNorms {
		names = append(names, "pre_feedforward_layernorm", "post_feedforward_layernorm")
	}
	return names
}

// WriteAdapter writes a random PEFT adapter for the family. base is its
// base_model_name_or_path.
func (f Family) WriteAdapter(dir string, shape models.Shape, base string) error {
	return Adapter{Shape: shape, Rank: 4, Seed: 8, Config: map[string]any{"base_model_name_or_path": base}}.Write(dir)
}

// WriteGGUF writes a model that claims to be of the family. It serves checks that come
// before llama.cpp sees it.
func (f Family) WriteGGUF(path string, shape models.Shape) error {
	temp := path + ".qwen2"
	if err := models.Synth(context.Background(), shape, temp, models.SynthOptions{Type: models.TypeF16}); err != nil {
		return err
	}
	defer os.Remove(temp)
	return Relabel(temp, path, f.Arch)
}

// Relabel copies a GGUF file of architecture qwen2 as one of another.
func Relabel(from, to, arch string) error {
	in, err := gguf.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	metadata, infos := slices.Clone(in.Metadata), make([]gguf.TensorInfo, len(in.Tensors))
	for i, kv := range metadata {
		if rest, ok := strings.CutPrefix(kv.Key, "qwen2."); ok {
			metadata[i].Key = arch + "." + rest
		}
		if kv.Key == "general.architecture" {
			metadata[i].Value = arch
		}
	}
	for i, t := range in.Tensors {
		infos[i] = t.TensorInfo
	}
	w, err := gguf.Create(to, metadata, infos, nil)
	if err != nil {
		return err
	}
	defer w.Abort()
	for i, t := range in.Tensors {
		raw, err := t.Raw()
		if err != nil {
			return err
		}
		if err := w.WriteAt(i, raw, 0); err != nil {
			return err
		}
	}
	return w.Commit()
}
