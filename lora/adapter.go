package lora

import (
	"fmt"
	"os"
	"strings"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
)

// adapter is an adapter of either form that may be used: of the right family,
// consistent with itself and, if it was opened with one, with its base model.
type adapter struct {
	pairs    []*pair  // with one alpha, as llama.cpp has it
	names    []string // what it says of its base model
	family   string   // "" where neither base nor names say it
	warnings []string
}

// openAdapter reads a GGUF adapter or a PEFT directory. Everything that takes an adapter
// comes through here, so that all of it refuses the same. base may be nil.
func openAdapter(path string, base *gguf.File) (*adapter, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("find adapter: %w", err)
	}
	if info.IsDir() {
		return openDir(path, base)
	}
	return openFile(path, base)
}

// openDir is openAdapter for a PEFT directory.
func openDir(dir string, base *gguf.File) (*adapter, error) {
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	if c.base != "" {
		names = []string{c.base}
	}
	family, err := checkFamily(names, base)
	if err != nil {
		return nil, err
	}
	p, err := openPEFT(dir, c)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if base == nil && len(p.copies) > 0 {
		return nil, fault.Unsupportedf("tensor %s is a copy of a base weight; give the base model, so that it can be compared", p.copies[0].Name)
	}
	if base != nil {
		if err := p.checkComplete(base); err != nil {
			return nil, err
		}
		if err := p.checkCopies(base); err != nil {
			return nil, err
		}
	}
	if err := foldScales(p.pairs); err != nil {
		return nil, err
	}
	a := &adapter{pairs: p.pairs, names: names, family: family, warnings: p.warnings}
	return a, a.checkBase(base)
}

// openFile is openAdapter for a GGUF adapter.
func openFile(path string, base *gguf.File) (*adapter, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	for _, key := range []string{baseNameKey, baseURLKey} {
		if name, _ := f.String(key); name != "" {
			names = append(names, name)
		}
	}
	if _, err := checkFamily(names, base); err != nil {
		return nil, err
	}
	pairs, err := readGGUF(f)
	if err != nil {
		return nil, err
	}
	a := &adapter{pairs: pairs, names: names, family: qwen2} // by its architecture: see readGGUF
	return a, a.checkBase(base)
}

func (a *adapter) checkBase(base *gguf.File) error {
	if base != nil {
		if err := checkPairs(a.pairs, base); err != nil {
			return err
		}
		if len(a.names) > 0 {
			a.warnings = append(a.warnings, nameWarning(a.names[0], base)...)
		}
		if merged, ok := base.Strings(mergedKey); ok {
			a.warnings = append(a.warnings, fmt.Sprintf("the base model has adapters merged in already (%s); this one is added to them", strings.Join(merged, ", ")))
		}
	}
	return checkSums(a.pairs, base)
}

// needFamily refuses an adapter of which nobody knows for what models it was made. Llama's
// and Qwen2's adapters have the same names and may have the same shapes.
func (a *adapter) needFamily() error {
	if a.family != "" {
		return nil
	}
	says := "nothing"
	if len(a.names) > 0 {
		says = fmt.Sprintf("%q", a.names[0])
	}
	return fault.Unsupportedf("%s does not say for which family of models it was made (base_model_name_or_path is %s); give the base model (--model)", configName, says)
}

func (a *adapter) warn(say func(string)) {
	if say == nil {
		return
	}
	for _, w := range a.warnings {
		say(w)
	}
}

// foldScales gives all pairs the one alpha that llama.cpp knows: where another scale is
// due, B is multiplied by what is missing.
func foldScales(pairs []*pair) error {
	alpha := commonAlpha(pairs)
	for _, x := range pairs {
		b := *x.b
		x.scale = x.own().times
		if err := b.scale(x.alpha / alpha); err != nil {
			return fmt.Errorf("module %s: lora_B: %w", x.module, err)
		}
		x.b, x.alpha = &b, float64(float32(alpha))
	}
	return nil
}
