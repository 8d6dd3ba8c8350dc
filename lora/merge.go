package lora

import (
	"context"
	"fmt"
	"path/filepath"

	"gonum.org/v1/gonum/blas/blas32"

	"personaprobe/internal/fault"
	"personaprobe/models"
	"personaprobe/models/gguf"
)

// Adapter is an adapter to be merged.
type Adapter struct {
	// Path of a GGUF adapter or a PEFT directory.
	Path string
	// Scale multiplies the adapter's own scale; 0 means 1. It may be negative.
	Scale float64
}

func (a Adapter) scale() float64 {
	if a.Scale == 0 {
		return 1
	}
	return a.Scale
}

// MergeOptions are the choices of Merge. The zero value is fine.
type MergeOptions struct {
	// Progress may be nil.
	Progress models.Progress
	// Warn is called with what is worth telling the user; nil discards it.
	Warn func(string)
}

// mergedKey lists what was merged into a model.
const mergedKey = "personaprobe.merged_adapters"

// Merge writes the model base with adapters added into its weights to out. base
// may be split, out is one file.
//
// Each changed weight is rounded once: W is decoded to float32, the sum of all
// adapters' scale x B x A is computed in float32 and added, and the result stored
// in W's own type (F32, F16, BF16 or Q8_0; another type is
// models.ErrUnsupported). Tensors that no adapter changes are copied byte for
// byte. An adapter that does not fit is ErrMismatch; a model that Verify would refuse,
// because the base has NaN or a sum is out of its type's range, is an error. On error or
// when ctx is cancelled nothing is left behind.
func Merge(ctx context.Context, base string, adapters []Adapter, out string, opts MergeOptions) error {
	if err := merge(ctx, base, adapters, out, opts); err != nil {
		return fmt.Errorf("merge into %s: %w", base, err)
	}
	return nil
}

func merge(ctx context.Context, basePath string, adapters []Adapter, out string, opts MergeOptions) error {
	if err := models.CheckGGUF(basePath); err != nil {
		return err
	}
	base, err := gguf.Open(basePath)
	if err != nil {
		return err
	}
	defer base.Close()
	changes := map[string][]change{}
	var names []string
	for _, a := range adapters {
		if !finite(a.Scale) {
			return fmt.Errorf("adapter %s: scale %g is not finite", a.Path, a.Scale)
		}
		read, err := openAdapter(a.Path, base)
		if err != nil {
			return fmt.Errorf("adapter %s: %w", a.Path, err)
		}
		read.warn(opts.Warn)
		for _, x := range read.pairs {
			c := x.own()
			c.times *= a.scale()
			changes[x.base] = append(changes[x.base], c)
		}
		names = append(names, fmt.Sprintf("%s x %g", filepath.Base(filepath.Clean(a.Path)), a.scale()))
	}
	return writeMerged(ctx, base, changes, names, out, opts.Progress)
}

func writeMerged(ctx context.Context, base *gguf.File, changes map[string][]change, names []string, out string, progress models.Progress) error {
	infos := make([]gguf.TensorInfo, len(base.Tensors))
	for i, t := range base.Tensors {
		infos[i] = t.TensorInfo
		if len(changes[t.Name]) > 0 && !t.Type.CanDecode() {
			return fault.Unsupportedf("tensor %s has type %s; adapters are merged into F32, F16, BF16 and Q8_0", t.Name, t.Type)
		}
	}
	var metadata []gguf.KV
	for _, kv := range base.Metadata {
		if kv.Key == mergedKey {
			earlier, _ := kv.Value.([]string)
			names = append(earlier[:len(earlier):len(earlier)], names...)
			continue
		}
		if !gguf.IsSplitKey(kv.Key) {
			metadata = append(metadata, kv)
		}
	}
	metadata = append(metadata, gguf.KV{Key: mergedKey, Value: append([]string{}, names...)})
	w, err := gguf.Create(out, metadata, infos, progress)
	if err != nil {
		return err
	}
	defer w.Abort()
	c := w.NewCopier(ctx)
	c.RefuseNonFinite()
	for i, t := range base.Tensors {
		edit, err := newDelta(t, changes[t.Name])
		if err != nil {
			_ = c.Wait() // for pieces under way, whose file is about to be removed
			return err
		}
		c.Add(i, t.Data(), t.Type, edit)
	}
	if err := c.Wait(); err != nil {
		return err
	}
	if err := base.Unchanged(); err != nil {
		return err
	}
	return w.Commit()
}

// tile is how many columns are computed at a time: rank 64 x tile floats of right
// fit into the second-level cache, where they stay while the rows go by.
const tile = 1024

// newDelta returns the edit that adds all changes to a weight, nil without any.
func newDelta(t *gguf.Tensor, changes []change) (gguf.Edit, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	products := make([]product, len(changes))
	for i, x := range changes {
		p, err := newProduct(x)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		products[i] = p
	}
	cols := t.Shape[0]
	return func(values []float32, start int64) error {
		addProducts(values, start, cols, products)
		return nil
	}, nil
}

// addProducts adds the sum of products to elements [start, start+len(values)) of
// a matrix of cols columns. The sum is formed on its own before it is added, in
// an order that does not depend on how the matrix was divided.
func addProducts(values []float32, start, cols int64, products []product) {
	end := start + int64(len(values))
	var sums [tile]float32
	for c0 := int64(0); c0 < cols; c0 += tile {
		c1 := min(cols, c0+tile)
		for row := start / cols; row*cols < end; row++ {
			from, to := max(start, row*cols+c0), min(end, row*cols+c1)
			if from >= to {
				continue
			}
			sum := sums[:to-from]
			clear(sum)
			for _, p := range products {
				p.addRow(sum, row, from-row*cols, cols)
			}
			out := values[from-start : to-start]
			for i, v := range sum {
				out[i] += v
			}
		}
	}
}

// addRow adds columns [col, col+len(sum)) of one row of the product.
func (p product) addRow(sum []float32, row, col, cols int64) {
	y := blas32.Vector{N: len(sum), Inc: 1, Data: sum}
	for k := range p.rank {
		if f := p.left[row*p.rank+k]; f != 0 {
			blas32.Axpy(f, blas32.Vector{N: len(sum), Inc: 1, Data: p.right[k*cols+col:][:len(sum)]}, y)
		}
	}
}
