package models

import (
	"context"
	"fmt"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
)

// Retype writes a GGUF model with its matrices stored as another type; vectors
// and metadata stay. in may be split, out is one file. With TypeKeep it only
// joins the parts. Types other than F32, F16, BF16 and Q8_0 cannot be converted
// (ErrUnsupported). progress may be nil. On error nothing is left behind.
func Retype(ctx context.Context, in, out string, to WeightType, progress Progress) error {
	if err := to.Validate(); err != nil {
		return err
	}
	f, err := gguf.Open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := retype(ctx, f, out, to, progress); err != nil {
		return fmt.Errorf("retype %s: %w", in, err)
	}
	return nil
}

func retype(ctx context.Context, f *gguf.File, out string, to WeightType, progress Progress) error {
	infos := make([]gguf.TensorInfo, len(f.Tensors))
	var matrices gguf.Type
	for i, t := range f.Tensors {
		infos[i] = t.TensorInfo
		if len(t.Shape) < 2 || IsVector(t.Name) || to == TypeKeep {
			continue
		}
		infos[i].Type = to.matrix(t.Type, t.Shape[0])
		matrices = infos[i].Type
		if infos[i].Type != t.Type && !t.Type.CanDecode() {
			return fault.Unsupportedf("tensor %s has type %s, which cannot be converted", t.Name, t.Type)
		}
	}
	var metadata []gguf.KV
	for _, kv := range f.Metadata {
		if gguf.IsSplitKey(kv.Key) {
			continue
		}
		if kv.Key == "general.file_type" && to != TypeKeep {
			kv.Value = fileType(matrices)
		}
		metadata = append(metadata, kv)
	}
	w, err := gguf.Create(out, metadata, infos, progress)
	if err != nil {
		return err
	}
	defer w.Abort()
	c := w.NewCopier(ctx)
	for i, t := range f.Tensors {
		c.Add(i, t.Data(), t.Type, nil)
	}
	if err := c.Wait(); err != nil {
		return err
	}
	if err := f.Unchanged(); err != nil {
		return err
	}
	return w.Commit()
}
