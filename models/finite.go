package models

import (
	"context"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
)

// CheckFinite refuses a GGUF file with quantised matrices if a value is NaN or infinite:
// ggml rounds what it multiplies by such a matrix to 8 bits, which makes a NaN any number,
// so that the model's output does not show it. Elsewhere it does, and nothing is read.
// Values of types that this package cannot decode are not checked. progress may be nil.
func CheckFinite(ctx context.Context, path string, progress Progress) error {
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var tensors []stored
	quantised := false
	for _, t := range f.Tensors {
		tensors = append(tensors, stored{t.Name, t.Type, t.Elements(), t.Data()})
		quantised = quantised || t.Type.BlockSize() > 1
	}
	if !quantised {
		return nil
	}
	values, err := scanAll(ctx, tensors, progress)
	if err != nil {
		return err
	}
	for i, v := range values {
		if v != nil && v.NotFinite > 0 {
			return fault.Formatf("%s: tensor %s: %d values are NaN or infinite; get the file again",
				path, tensors[i].name, v.NotFinite)
		}
	}
	return nil
}
