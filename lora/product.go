package lora

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"

	"golang.org/x/sync/errgroup"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
)

// product is one adapter's change to a weight of [rows x cols]:
// left [rows x rank] times right [rank x cols], the scale within left.
type product struct {
	rank        int64
	left, right []float32
}

// change is a pair with its whole scale.
type change struct {
	*pair
	times float64
}

// own is a pair's change with the adapter's own scale.
func (x *pair) own() change { return change{x, x.alpha / float64(x.rank)} }

// newProduct decodes the factors. For a weight that is multiplied, the rows are
// B's and the columns A's. For the embedding, which is looked up, a row is a
// token: A holds the rows and B, transposed, the columns.
func newProduct(x change) (product, error) {
	leftFactor, rightFactor := x.b, x.a
	if x.embedding {
		turned := *x.b
		turned.transpose()
		leftFactor, rightFactor = x.a, &turned
	}
	left, err := leftFactor.floats()
	if err != nil {
		return product{}, err
	}
	right, err := rightFactor.floats()
	if err != nil {
		return product{}, err
	}
	for i, v := range left {
		left[i] = float32(float64(v) * x.times)
		if !finite(float64(left[i])) {
			return product{}, fault.Formatf("row %d: %g times the scale %g does not fit float32; the adapter's alpha or scale is too large",
				int64(i)/x.rank, v, x.times)
		}
	}
	return product{x.rank, left, right}, nil
}

// bound returns a number that no element of the product exceeds.
func (p product) bound() float64 {
	cols := int64(len(p.right)) / p.rank
	widest := make([]float64, p.rank)
	for k := range widest {
		for _, v := range p.right[int64(k)*cols:][:cols] {
			widest[k] = max(widest[k], math.Abs(float64(v)))
		}
	}
	top := 0.0
	for start := 0; start < len(p.left); start += len(widest) {
		sum := 0.0
		for k, w := range widest {
			sum += math.Abs(float64(p.left[start+k])) * w
		}
		top = max(top, sum)
	}
	return top
}

// negligible is a change so small that no weight can leave its type's range by it:
// less than half the distance of the largest float16 from the one before.
const negligible = 8

// checkSums refuses an adapter whose sum with a weight of the base model is not finite,
// or does not fit the weight's type, whether it is to be merged on disk, merged on the
// device or applied at run time. Without a base it checks the adapter alone.
func checkSums(pairs []*pair, base *gguf.File) error {
	errs := make([]error, len(pairs))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, x := range pairs {
		group.Go(func() error {
			errs[i] = checkSum(x, base)
			return nil
		})
	}
	_ = group.Wait()
	return cmp.Or(errs...) // the first in the adapter's order
}

func checkSum(x *pair, base *gguf.File) error {
	p, err := newProduct(x.own())
	if err != nil {
		return fmt.Errorf("module %s: %w", x.module, err)
	}
	bound := p.bound()
	if base == nil || bound < negligible {
		return nil
	}
	if w := base.Tensor(x.base); w.Type.CanDecode() {
		err = trySum(w, p)
	} else if bound > math.MaxFloat32 {
		err = fault.Formatf("a change of up to %g does not fit float32", bound)
	}
	if err != nil {
		return fmt.Errorf("tensor %s: %w", x.base, err)
	}
	return nil
}

// trySum adds a product to a weight as Merge does, and keeps nothing.
func trySum(w *gguf.Tensor, p product) error {
	const piece = 512 << 10 // a multiple of every block size
	total, data := w.Elements(), w.Data()
	raw, values := make([]byte, w.Type.Bytes(piece)), make([]float32, piece)
	for start := int64(0); start < total; start += piece {
		n := min(piece, total-start)
		raw, values := raw[:w.Type.Bytes(n)], values[:n]
		if _, err := data.ReadAt(raw, w.Type.Bytes(start)); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if err := w.Type.Decode(values, raw); err != nil {
			return err
		}
		addProducts(values, start, w.Shape[0], []product{p})
		err := w.Type.CheckFinite(values)
		if err == nil {
			err = w.Type.Encode(raw, values)
		}
		if r := new(gguf.RangeError); errors.As(err, &r) {
			return fmt.Errorf("row %d: with the adapter added, %w", (start+int64(r.Index))/w.Shape[0], r)
		} else if err != nil {
			return err
		}
	}
	return nil
}
