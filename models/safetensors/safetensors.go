// Package safetensors reads and writes the safetensors format of Hugging Face
// checkpoints and PEFT adapters.
//
// Use [Open] for one file, [OpenDir] for a checkpoint directory (one file, or
// shards with an index), and [Write] to store arrays.
//
// The header is checked as the reference implementation does (contiguous data
// that covers the file, sizes that agree with dtype and shape, a bounded
// header), and duplicate names are refused. Errors about a file's content are
// models.ErrFormat and name the file and the tensor.
//
// The format: https://github.com/huggingface/safetensors
package safetensors

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
)

// DType is an element type by its name in the format.
type DType string

// The types that this program converts.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// bits is the width of every type of the format.
var bits = map[DType]int64{
	"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
	"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
	"I16": 16, "U16": 16, F16: 16, BF16: 16,
	"I32": 32, "U32": 32, F32: 32,
	"I64": 64, "U64": 64, F64: 64, "C64": 64,
}

// GGML returns the ggml type with the same bytes, and whether there is one that
// gguf can convert.
func (d DType) GGML() (gguf.Type, bool) {
	switch d {
	case F64:
		return gguf.F64, true
	case F32:
		return gguf.F32, true
	case F16:
		return gguf.F16, true
	case BF16:
		return gguf.BF16, true
	}
	return 0, false
}

// Tensor describes one array of an open file.
type Tensor struct {
	Name   string
	DType  DType
	Shape  []int64 // slowest-varying dimension first, as in PyTorch
	Path   string  // the file that holds it
	offset int64   // of the data in the file
	size   int64   // of the data, in bytes
	src    io.ReaderAt
}

// Elements returns the product of the shape.
func (t *Tensor) Elements() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Bytes returns the size of the data.
func (t *Tensor) Bytes() int64 { return t.size }

// Data returns a reader of the tensor's bytes, good for concurrent ReadAt.
func (t *Tensor) Data() *io.SectionReader {
	return io.NewSectionReader(t.src, t.offset, t.size)
}

// Raw reads the whole tensor's bytes.
func (t *Tensor) Raw() ([]byte, error) {
	raw := make([]byte, t.size)
	if t.size == 0 {
		return raw, nil // ReadAt at the end of the file would say EOF
	}
	if _, err := t.src.ReadAt(raw, t.offset); err != nil {
		return nil, fmt.Errorf("%s: tensor %s: read: %w", t.Path, t.Name, err)
	}
	return raw, nil
}

// Floats reads the whole tensor as float32. F32, F16 and BF16 are exact; F64 is
// rounded; other types are models.ErrUnsupported.
func (t *Tensor) Floats() ([]float32, error) {
	kind, ok := t.DType.GGML()
	if !ok {
		return nil, fault.Unsupportedf("%s: tensor %s has type %s", t.Path, t.Name, t.DType)
	}
	raw, err := t.Raw()
	if err != nil {
		return nil, err
	}
	out := make([]float32, t.Elements())
	if err := kind.Decode(out, raw); err != nil {
		return nil, fmt.Errorf("%s: tensor %s: %w", t.Path, t.Name, err)
	}
	return out, nil
}

// entry is a tensor in the JSON header.
type entry struct {
	DType   *DType   `json:"dtype"`
	Shape   *[]int64 `json:"shape"`
	Offsets *[]int64 `json:"data_offsets"`
}

// parseEntry decodes and checks one tensor against a data section of size bytes.
func parseEntry(name string, raw json.RawMessage, size int64) (*Tensor, error) {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	var e entry
	if err := dec.Decode(&e); err != nil {
		return nil, err
	}
	if e.DType == nil || e.Shape == nil || e.Offsets == nil || len(*e.Offsets) != 2 {
		return nil, fmt.Errorf("dtype, shape or data_offsets [begin, end] is missing")
	}
	width, ok := bits[*e.DType]
	if !ok {
		return nil, fmt.Errorf("unknown dtype %q", *e.DType)
	}
	count := int64(1)
	for _, d := range *e.Shape {
		if d < 0 || d > 0 && count > math.MaxInt64/64/d {
			return nil, fmt.Errorf("shape %v is negative or too large", *e.Shape)
		}
		count *= d
	}
	begin, end := (*e.Offsets)[0], (*e.Offsets)[1]
	if begin < 0 || end < begin || end > size {
		return nil, fmt.Errorf("data_offsets [%d, %d] lie outside the %d bytes of data", begin, end, size)
	}
	if count*width%8 != 0 || end-begin != count*width/8 {
		return nil, fmt.Errorf("data_offsets [%d, %d] hold %d bytes, but shape %v of %s needs %d",
			begin, end, end-begin, *e.Shape, *e.DType, count*width/8)
	}
	return &Tensor{Name: name, DType: *e.DType, Shape: *e.Shape, offset: begin, size: end - begin}, nil
}
