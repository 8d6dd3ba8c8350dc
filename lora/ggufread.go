package lora

import (
	"fmt"
	"strings"

	"personaprobe/internal/fault"
	"personaprobe/models"
	"personaprobe/models/gguf"
)

// readGGUF reads the pairs of a GGUF adapter into memory and checks everything
// that can be checked without the base model. It accepts what llama-adapter.cpp
// loads, except norm tensors, which llama.cpp would leave out without a word.
func readGGUF(f *gguf.File) ([]*pair, error) {
	alpha, err := checkHeader(f)
	if err != nil {
		return nil, err
	}
	found := map[string]*pair{}
	var pairs []*pair
	for _, t := range f.Tensors {
		base, isA := strings.CutSuffix(t.Name, suffixA)
		if !isA {
			var isB bool
			if base, isB = strings.CutSuffix(t.Name, suffixB); !isB {
				return nil, fault.Unsupportedf("tensor %s: it is not a LoRA factor (%s or %s)", t.Name, suffixA, suffixB)
			}
		}
		x := found[base]
		if x == nil {
			hf, ok := models.HFName(base)
			if !ok || models.IsVector(base) {
				return nil, fault.Unsupportedf("tensor %s: %s is no matrix of a Qwen2 model", t.Name, base)
			}
			x = &pair{module: strings.TrimSuffix(hf, ".weight"), base: base, alpha: alpha, embedding: base == "token_embd.weight"}
			found[base] = x
			pairs = append(pairs, x)
		}
		factor, err := readFactor(t)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		if isA {
			x.a = factor
		} else {
			x.b = factor
		}
	}
	return pairs, finishPairs(pairs)
}

func checkHeader(f *gguf.File) (alpha float64, err error) {
	if kind, _ := f.String(typeKey); kind != "adapter" {
		return 0, fault.Formatf("%s is %q, not \"adapter\": this is not a GGUF adapter", typeKey, kind)
	}
	if arch, _ := f.String(archKey); arch != models.Architecture {
		return 0, fault.Unsupportedf("%s %q; adapters of the %s family only are used", archKey, arch, qwen2)
	}
	if kind, _ := f.String(adapterKey); kind != "lora" {
		return 0, fault.Unsupportedf("%s %q; only lora adapters are used", adapterKey, kind)
	}
	if _, ok := f.Value("adapter.alora.invocation_tokens"); ok {
		return 0, fault.Unsupportedf("an activated LoRA (adapter.alora.invocation_tokens)")
	}
	if v, ok := f.Value(alphaKey); ok {
		a, ok := v.(float32)
		if !ok || !finite(float64(a)) {
			return 0, fault.Formatf("%s is %v (%T), not a finite float32", alphaKey, v, v)
		}
		alpha = float64(a)
	}
	return alpha, nil
}

func readFactor(t *gguf.Tensor) (*factor, error) {
	if len(t.Shape) != 2 {
		return nil, fault.Formatf("shape %s; a LoRA factor has two dimensions", gguf.FormatShape(t.Shape))
	}
	if !t.Type.CanDecode() || t.Type == gguf.F64 {
		return nil, fault.Unsupportedf("type %s; F32, F16, BF16 and Q8_0 are used", t.Type)
	}
	raw, err := t.Raw()
	if err != nil {
		return nil, err
	}
	x := &factor{shape: t.Shape, kind: t.Type, raw: raw}
	return x, x.checkFinite()
}

// finishPairs checks that each pair is complete and takes its rank from B, as
// llama.cpp does.
func finishPairs(pairs []*pair) error {
	if len(pairs) == 0 {
		return fault.Formatf("the adapter holds no LoRA tensors")
	}
	for _, x := range pairs {
		if x.b != nil {
			x.rank = x.b.shape[0]
		}
		if err := x.check(); err != nil {
			return err
		}
		if x.alpha == 0 {
			x.alpha = float64(x.rank) // llama.cpp: without an alpha the scale is 1
		}
		x.scale = x.own().times
	}
	return nil
}
