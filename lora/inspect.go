package lora

import (
	"fmt"
	"io"
	"strings"

	"personaprobe/models/gguf"
)

// Description is what Inspect finds out.
type Description struct {
	Family   string    `json:"family,omitempty"`     // "" where neither base nor adapter say it
	Base     string    `json:"base_model,omitempty"` // its name in the adapter, "" if it has none
	Modules  int       `json:"modules"`
	Scales   []float64 `json:"scales"` // of the modules, each value once: the factor before B x A
	Warnings []string  `json:"warnings,omitempty"`
}

// Inspect describes an adapter of either form and refuses one that cannot be used. base,
// the path of a GGUF model, may be "": then whether it fits stays open, and so may its
// family.
func Inspect(path, base string) (_ *Description, err error) {
	var f *gguf.File
	if base != "" {
		if f, err = gguf.Open(base); err != nil {
			return nil, err
		}
		defer f.Close()
	}
	a, err := openAdapter(path, f)
	if err != nil {
		return nil, fmt.Errorf("adapter %s: %w", path, err)
	}
	d := &Description{Family: a.family, Modules: len(a.pairs), Warnings: a.warnings}
	if len(a.names) > 0 {
		d.Base = a.names[0]
	}
	seen := map[float64]bool{}
	for _, x := range a.pairs {
		if !seen[x.scale] {
			seen[x.scale] = true
			d.Scales = append(d.Scales, x.scale)
		}
	}
	return d, nil
}

// WriteText writes the description for people.
func (d *Description) WriteText(w io.Writer) error {
	family := d.Family
	if family == "" {
		family = fmt.Sprintf("not known from the base model's name, %q; only the Qwen2 family's adapters are used", d.Base)
	}
	var scales []string
	for _, s := range d.Scales[:min(8, len(d.Scales))] {
		scales = append(scales, fmt.Sprintf("%.5g", s))
	}
	if n := len(d.Scales) - len(scales); n > 0 {
		scales = append(scales, fmt.Sprintf("and %d more", n))
	}
	_, err := fmt.Fprintf(w, "family        %s\nscale         %s, on %d modules\n", family, strings.Join(scales, ", "), d.Modules)
	return err
}
