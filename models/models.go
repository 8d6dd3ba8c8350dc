// Package models turns model checkpoints into the GGUF files that llama.cpp
// loads, without Python.
//
// Use [Resolve] where a user names a model: it takes a GGUF file as it is and
// converts a Hugging Face directory once, into a cache. [Convert] writes the
// GGUF where it is told to.
//
// Subpackages: gguf and safetensors read and write the two formats, chat
// renders chat templates, tiny holds the embedded demonstration model. Adapters
// are in personaprobe/lora.
//
// Everything here is pure Go. Nothing is half written: outputs are temporary
// files until they are complete, synced and renamed.
package models

import (
	"fmt"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
)

// Sentinel errors, for errors.Is.
var (
	// ErrFormat means that a file is malformed, truncated or contradicts itself.
	ErrFormat = fault.ErrFormat
	// ErrUnsupported means that a file asks for an architecture or an option that
	// this program does not have.
	ErrUnsupported = fault.ErrUnsupported
)

// Progress is called with the bytes written so far and their total. Calls do
// not overlap.
type Progress = gguf.Progress

// WeightType says how matrices are stored. Vectors (norms and biases) are
// always stored as F32, as llama.cpp's own converter does.
type WeightType string

// The weight types.
const (
	// TypeKeep stores each matrix in the type that it has in the source: the
	// bits are the same. F64 becomes F32.
	TypeKeep WeightType = ""
	TypeF32  WeightType = "f32"
	TypeF16  WeightType = "f16"
	TypeBF16 WeightType = "bf16"
	// TypeQ8 quantises to 8 bits in blocks of 32. A matrix whose rows are not a
	// multiple of 32 is stored as F16.
	TypeQ8 WeightType = "q8_0"
)

// Validate reports a type that does not exist.
func (t WeightType) Validate() error {
	switch t {
	case TypeKeep, TypeF32, TypeF16, TypeBF16, TypeQ8:
		return nil
	}
	return fmt.Errorf("weight type %q: %w; use f32, f16, bf16 or q8_0, or leave it empty to keep the source's", string(t), ErrUnsupported)
}

// matrix returns the ggml type for a matrix of source type from with cols
// columns.
func (t WeightType) matrix(from gguf.Type, cols int64) gguf.Type {
	switch t {
	case TypeF32:
		return gguf.F32
	case TypeF16:
		return gguf.F16
	case TypeBF16:
		return gguf.BF16
	case TypeQ8:
		if cols%gguf.Q8_0.BlockSize() != 0 {
			return gguf.F16
		}
		return gguf.Q8_0
	}
	if from == gguf.F64 {
		return gguf.F32
	}
	return from
}

// fileType is llama.cpp's general.file_type (enum llama_ftype) for a file whose
// matrices have type t.
func fileType(t gguf.Type) uint32 {
	switch t {
	case gguf.F16:
		return 1
	case gguf.Q8_0:
		return 7
	case gguf.BF16:
		return 32
	}
	return 0
}
