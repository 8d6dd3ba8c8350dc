package lora

import (
	"cmp"
	"errors"
	"math"
	"strconv"
	"strings"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
)

func (f *factor) elements() int64 { return f.shape[0] * f.shape[1] }

func (f *factor) floats() ([]float32, error) {
	out := make([]float32, f.elements())
	return out, f.kind.Decode(out, f.raw)
}

func (f *factor) checkFinite() error {
	values, err := f.floats()
	if err != nil {
		return err
	}
	for i, v := range values {
		if !finite(float64(v)) {
			return fault.Formatf("element %d is %g", i, v)
		}
	}
	return nil
}

// transpose swaps rows and columns in place of the stored bytes.
func (f *factor) transpose() {
	cols, rows, size := f.shape[0], f.shape[1], f.kind.Bytes(1)
	out := make([]byte, len(f.raw))
	for r := range rows {
		for c := range cols {
			copy(out[(c*rows+r)*size:][:size], f.raw[(r*cols+c)*size:])
		}
	}
	f.raw, f.shape = out, []int64{rows, cols}
}

// retype multiplies the elements by a number and stores them in another type.
func (f *factor) retype(kind gguf.Type, times float64) error {
	values, err := f.floats()
	if err != nil {
		return err
	}
	for i, v := range values {
		values[i] = float32(float64(v) * times)
		if !finite(float64(values[i])) {
			return fault.Formatf("element %d is %g; %g times that does not fit float32", i, v, times)
		}
	}
	raw := make([]byte, kind.Bytes(f.elements()))
	if err := kind.Encode(raw, values); err != nil {
		return err
	}
	f.kind, f.raw = kind, raw
	return nil
}

// scale multiplies the elements by a number. A power of two only moves the
// exponents, so that the type can stay if no element leaves its range;
// otherwise the product is kept as float32.
func (f *factor) scale(times float64) error {
	if times == 1 {
		return nil
	}
	if frac, _ := math.Frexp(times); frac == 0.5 {
		scaled := *f
		if err := scaled.retype(f.kind, times); err == nil {
			exact, err := scaled.is(f, times)
			if err != nil {
				return err
			}
			if exact {
				*f = scaled
				return nil
			}
		} else if r := new(gguf.RangeError); !errors.As(err, &r) {
			return err
		}
	}
	return f.retype(gguf.F32, times)
}

// is reports whether f's elements are exactly times g's.
func (f *factor) is(g *factor, times float64) (bool, error) {
	x, err := f.floats()
	if err != nil {
		return false, err
	}
	y, err := g.floats()
	if err != nil {
		return false, err
	}
	for i := range x {
		if float64(x[i]) != float64(y[i])*times {
			return false, nil
		}
	}
	return true, nil
}

// compareNames orders tensor names by layer number and then by text.
func compareNames(x, y string) int {
	return cmp.Or(cmp.Compare(layerNumber(x), layerNumber(y)), strings.Compare(x, y))
}

// layerNumber returns N of "blk.N.", -1 for tensors outside the layers.
func layerNumber(name string) int {
	rest, ok := strings.CutPrefix(name, "blk.")
	if !ok {
		return -1
	}
	number, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	if err != nil {
		return -1
	}
	return n
}
