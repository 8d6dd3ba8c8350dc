// Package gguf reads and writes GGUF, the model file format of llama.cpp.
//
// Use [Open] to read a file (all parts of a split one), and [Create] to write
// one: a metadata list in a given order, then tensors whose data may be
// written piecewise and in parallel.
//
// The reader trusts nothing: every count, length and offset is checked against
// the file's size before anything is allocated, and what llama.cpp would refuse
// is refused here, with the key or tensor named. Errors about the file's
// content are models.ErrFormat.
//
// The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and,
// where that is silent, gguf.cpp.
package gguf

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"personaprobe/internal/pin"
)

const (
	magic = "GGUF"
	// Version is the version that Create writes. Version 2 differs from it in
	// nothing that concerns a little-endian machine.
	Version = 3
	// DefaultAlignment of tensor data, in bytes.
	DefaultAlignment = 32

	alignmentKey  = "general.alignment"
	maxAlignment  = 1 << 30
	maxDims       = 4
	maxNameLength = 63 // GGML_MAX_NAME less its terminating zero
)

// KV is one metadata entry. The Go type of Value decides the GGUF type: uint8,
// int8, uint16, int16, uint32, int32, uint64, int64, float32, float64, bool,
// string, or a slice of one of these.
type KV struct {
	Key   string
	Value any
}

// TensorInfo describes a tensor.
type TensorInfo struct {
	Name string
	Type Type
	// Shape has the fastest-varying dimension first, as ggml's ne does:
	// {columns, rows} for a matrix. It is the reverse of PyTorch's order.
	Shape []int64
}

// Elements returns the product of the shape, 1 for a scalar.
func (t TensorInfo) Elements() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Bytes returns the size of the tensor's data, without padding.
func (t TensorInfo) Bytes() int64 { return t.Type.Bytes(t.Elements()) }

// check reports what llama.cpp would refuse in a tensor's description.
func (t TensorInfo) check() error {
	if len(t.Name) > maxNameLength {
		return fmt.Errorf("name has %d bytes, more than %d", len(t.Name), maxNameLength)
	}
	if len(t.Shape) > maxDims {
		return fmt.Errorf("%d dimensions, more than %d", len(t.Shape), maxDims)
	}
	if !t.Type.Known() {
		return fmt.Errorf("unknown ggml type %d", uint32(t.Type))
	}
	n := int64(1)
	for _, d := range t.Shape {
		// 16 bytes an element is above any type, so that Bytes cannot overflow.
		if d < 1 || n > math.MaxInt64/16/d {
			return fmt.Errorf("shape %v is empty or too large", t.Shape)
		}
		n *= d
	}
	row := int64(1)
	if len(t.Shape) > 0 {
		row = t.Shape[0]
	}
	if row%t.Type.BlockSize() != 0 {
		return fmt.Errorf("rows of %d elements are not a multiple of %s's block of %d", row, t.Type, t.Type.BlockSize())
	}
	return nil
}

// Tensor is a tensor of an open file.
type Tensor struct {
	TensorInfo
	Offset int64 // of its data, in bytes from the start of the file (part)
	Part   int   // index of the file that holds it, 0 unless the model is split
	src    io.ReaderAt
}

// Data returns a reader of the tensor's bytes, good for concurrent ReadAt.
func (t *Tensor) Data() *io.SectionReader {
	return io.NewSectionReader(t.src, t.Offset, t.Bytes())
}

// Floats reads the whole tensor as float32. It is for small tensors and tests;
// large ones are better read in pieces through Data.
func (t *Tensor) Floats() ([]float32, error) {
	raw, err := t.Raw()
	if err != nil {
		return nil, err
	}
	out := make([]float32, t.Elements())
	if err := t.Type.Decode(out, raw); err != nil {
		return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
	}
	return out, nil
}

// Raw reads the whole tensor's bytes as they are stored.
func (t *Tensor) Raw() ([]byte, error) {
	raw := make([]byte, t.Bytes())
	if _, err := t.src.ReadAt(raw, t.Offset); err != nil {
		return nil, fmt.Errorf("tensor %s: read: %w", t.Name, err)
	}
	return raw, nil
}

// File is an open GGUF file: the metadata and where the tensors lie. A split
// model is one File with the tensors of all its parts.
type File struct {
	Path    string
	Version uint32
	// Metadata in file order; of a split model, the first part's.
	Metadata []KV
	// Tensors in file order.
	Tensors []*Tensor
	// Size of all parts, in bytes.
	Size int64
	// Parts are the paths of the files, one unless the model is split.
	Parts []string
	// DataOffset is where tensor data starts in the first part.
	DataOffset int64

	alignment int64
	keys      map[string]int
	names     map[string]*Tensor
	pins      pin.Set // the open files
}

// Alignment of tensor data, in bytes.
func (f *File) Alignment() int64 { return f.alignment }

// Close closes the files. Tensors cannot be read afterwards.
func (f *File) Close() error { return f.pins.Close() }

// Pins are the open files, all parts in order. To close them is to close the file.
func (f *File) Pins() *pin.Set { return &f.pins }

// Unchanged returns an error that wraps pin.ErrChanged unless the files are still those
// that were opened, with nothing written to them. Who made something of a file asks
// this at the end.
func (f *File) Unchanged() error { return f.pins.Unchanged() }

// Tensor returns the named tensor, or nil.
func (f *File) Tensor(name string) *Tensor { return f.names[name] }

// Value returns the value of a key and whether the file has it.
func (f *File) Value(key string) (any, bool) {
	i, ok := f.keys[key]
	if !ok {
		return nil, false
	}
	return f.Metadata[i].Value, true
}

// String returns a string value and whether the file has one under the key.
func (f *File) String(key string) (string, bool) {
	return typed[string](f, key)
}

// Strings returns an array of strings.
func (f *File) Strings(key string) ([]string, bool) { return typed[[]string](f, key) }

// Bool returns a truth value.
func (f *File) Bool(key string) (value, ok bool) { return typed[bool](f, key) }

// Float returns a floating-point value of either width.
func (f *File) Float(key string) (float64, bool) {
	v, _ := f.Value(key)
	switch v := v.(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// Uint returns an integer value of any width, if it is not negative.
func (f *File) Uint(key string) (uint64, bool) {
	v, _ := f.Value(key)
	switch v := v.(type) {
	case uint8:
		return uint64(v), true
	case uint16:
		return uint64(v), true
	case uint32:
		return uint64(v), true
	case uint64:
		return v, true
	case int8:
		return uint64(v), v >= 0
	case int16:
		return uint64(v), v >= 0
	case int32:
		return uint64(v), v >= 0
	case int64:
		return uint64(v), v >= 0
	}
	return 0, false
}

// ArchKey returns the key with the architecture in front, such as
// "qwen2.block_count" for "block_count".
func (f *File) ArchKey(key string) string {
	arch, _ := f.String("general.architecture")
	return arch + "." + key
}

func typed[T any](f *File, key string) (T, bool) {
	v, _ := f.Value(key)
	t, ok := v.(T)
	return t, ok
}

// align rounds n up to a multiple of a, a power of two.
func align(n, a int64) int64 { return (n + a - 1) &^ (a - 1) }

// FormatShape writes a shape as "[152064 x 3584]", slowest dimension first as
// PyTorch prints it.
func FormatShape(shape []int64) string {
	if len(shape) == 0 {
		return "[]"
	}
	parts := make([]string, len(shape))
	for i, d := range shape {
		parts[i] = strconv.FormatInt(d, 10)
	}
	slices.Reverse(parts)
	return "[" + strings.Join(parts, " x ") + "]"
}
