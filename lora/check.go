package lora

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"personaprobe/internal/fault"
	"personaprobe/models"
	"personaprobe/models/gguf"
	"personaprobe/models/safetensors"
)

const (
	suffixA = ".lora_a"
	suffixB = ".lora_b"
)

// checkPairs checks names and shapes against the base model, as llama.cpp does
// when it loads an adapter.
func checkPairs(pairs []*pair, base *gguf.File) error {
	for _, x := range pairs {
		w := base.Tensor(x.base)
		if w == nil {
			problem := "the base model has no such tensor"
			if x.base == "output.weight" && base.Tensor("token_embd.weight") != nil {
				problem = "the base model has no output head of its own (tied embeddings)"
			}
			return &MismatchError{Tensor: x.base, A: x.a.shape, B: x.b.shape, Problem: problem}
		}
		in, out := x.a.shape[0], x.b.shape[1]
		if x.embedding {
			in, out = x.b.shape[1], x.a.shape[1]
		}
		if len(w.Shape) != 2 || w.Shape[0] != in || w.Shape[1] != out {
			return &MismatchError{Tensor: x.base, A: x.a.shape, B: x.b.shape, Base: w.Shape, Problem: "shapes do not fit"}
		}
		if x.embedding && base.Tensor("output.weight") == nil {
			// llama.cpp would apply the same factors to the output head and abort.
			return fault.Unsupportedf("tensor %s: an adapter on tied embeddings", x.base)
		}
	}
	return nil
}

// checkComplete refuses an adapter that lacks a module of the base model that
// its configuration selects.
func (p *peft) checkComplete(base *gguf.File) error {
	found := map[string]*pair{}
	for _, x := range p.pairs {
		found[x.module] = x
	}
	for _, t := range base.Tensors {
		hf, ok := models.HFName(t.Name)
		if !ok || models.IsVector(t.Name) {
			continue
		}
		if err := p.mustHave(found, strings.TrimSuffix(hf, ".weight")); err != nil {
			return err
		}
	}
	return nil
}

// checkCopies checks that base weights stored in the adapter are those of the
// base model, in the type that the base model has them in.
func (p *peft) checkCopies(base *gguf.File) error {
	for _, t := range p.copies {
		module, _, _ := splitName(t.Name)
		name, ok := models.GGUFName(module + ".weight")
		if !ok {
			return fault.Unsupportedf("tensor %s: no weight of a Qwen2 model", t.Name)
		}
		w := base.Tensor(name)
		if w == nil && name == "output.weight" {
			w = base.Tensor("token_embd.weight") // tied: the head is the embedding
		}
		if w == nil {
			return &MismatchError{Tensor: name, Problem: "the adapter stores a copy of it, but the base model has no such tensor"}
		}
		if err := sameWeights(t, w); err != nil {
			return err
		}
	}
	return nil
}

// mergeInPEFT is what to do with an adapter that is more than factors.
const mergeInPEFT = "merge it into its base model with PEFT (merge_and_unload) and use the merged checkpoint as the model"

func sameWeights(t *safetensors.Tensor, w *gguf.Tensor) error {
	kind, ok := t.DType.GGML()
	if !ok || !w.Type.CanDecode() {
		return fault.Unsupportedf("tensor %s: types %s and %s cannot be compared", t.Name, t.DType, w.Type)
	}
	if len(t.Shape) != 2 || len(w.Shape) != 2 || t.Shape[0] != w.Shape[1] || t.Shape[1] != w.Shape[0] {
		return &MismatchError{Tensor: w.Name, Base: w.Shape, Problem: fmt.Sprintf("the adapter stores a copy of shape %v (a resized vocabulary?); %s", t.Shape, mergeInPEFT)}
	}
	// A row at a time: embeddings of large models have gigabytes.
	cols := t.Shape[1]
	src, values, dst := make([]byte, kind.Bytes(cols)), make([]float32, cols), make([]byte, w.Type.Bytes(cols))
	want := make([]byte, len(dst))
	from, to := t.Data(), w.Data()
	for row := range t.Shape[0] {
		if _, err := from.ReadAt(src, row*int64(len(src))); err != nil {
			return fmt.Errorf("tensor %s: read: %w", t.Name, err)
		}
		if _, err := to.ReadAt(want, row*int64(len(want))); err != nil {
			return fmt.Errorf("tensor %s: read: %w", w.Name, err)
		}
		if err := kind.Decode(values, src); err != nil {
			return err
		}
		if err := w.Type.Encode(dst, values); err != nil || !bytes.Equal(dst, want) {
			return &MismatchError{Tensor: w.Name, Problem: fmt.Sprintf("the adapter stores changed weights for it (row %d differs); %s", row, mergeInPEFT)}
		}
	}
	return nil
}

// nameWarning compares the base model's name in the adapter with the one in the
// base's GGUF. Names are free text, so a difference is only worth a warning.
func nameWarning(want string, base *gguf.File) []string {
	have, _ := base.String("general.name")
	if want == "" || have == "" || plainName(want) == plainName(have) {
		return nil
	}
	return []string{fmt.Sprintf("the adapter was made for base model %q, this one is called %q", want, have)}
}

// plainName keeps the last element of a path or repository name, in lower case
// and with one kind of separator.
func plainName(name string) string {
	name = path.Base(strings.ReplaceAll(name, "\\", "/"))
	return strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(name))
}
