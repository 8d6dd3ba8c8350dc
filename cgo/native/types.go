package native

import (
	"errors"
	"fmt"

	"personaprobe/cgo/cudalib"
)

// Errors of the device and of its callers; match them with errors.Is.
var (
	// ErrMemory means that the GPU has too little memory.
	ErrMemory = errors.New("out of GPU memory")
	// ErrDevice means that a CUDA or cuBLAS call failed.
	ErrDevice = errors.New("GPU error")
	// ErrArgument means that a call contradicts itself or the sizes.
	ErrArgument = errors.New("bad call of the native decoder")
	// ErrUnsupported means that this path does not cover the model's shape or the GPU.
	ErrUnsupported = errors.New("not covered by the native decoder")
	// ErrClosed means use after Close.
	ErrClosed = errors.New("native: already closed")
)

// Type is the type of weights, activations and cache, with ggml's numbers.
type Type int32

// The types there are.
const (
	F16  Type = 1
	BF16 Type = 30
)

// Shape is what a model is made of.
type Shape struct {
	Layers   int
	Hidden   int // E, a multiple of 8, at most 8192
	FFN      int // F, a multiple of 8
	Heads    int // H, query heads
	KVHeads  int // H is a multiple, at most 16 times
	HeadDim  int // D, 64 or 128
	Vocab    int // V
	Type     Type
	Context  int // positions there are rotations for
	Eps      float32
	RopeBase float32
	Tied     bool // the head is the embedding
}

// Weight names a tensor; see cuda/native.h for the shapes.
type Weight int

// The weights. Matrices are (out, in) in the shape's type; norms and biases float32.
const (
	Embed     Weight = iota // (V, E)
	Head                    // (V, E)
	FinalNorm               // (E)
	Norm1                   // (E), before attention
	Norm2                   // (E), before the feed-forward
	QKVBias                 // ((H + 2 KV) D)
	QKV                     // ((H + 2 KV) D, E)
	Out                     // (E, H D)
	GateUp                  // (2F, E)
	Down                    // (E, F)
)

// Lanes is how many writes may overlap.
const Lanes = 16

// Block is how many tokens a block of the cache holds.
const Block = 16

// Sizes of a decoder.
type Sizes struct {
	Rows   int // of a decode step; idle ones are padded
	Chunk  int // tokens of a prompt pass; shorter ones are padded
	Blocks int // of the cache
	Table  int // blocks that one sequence can have
	Draws  int // after one prompt pass at most
	Taps   int // layers x rows of states from one prompt pass at most
}

// Row is a token that enters the cache; nv_row in cuda/native.h.
type Row struct {
	Token  int32 // below 0: the token chosen in row -Token-1 of the step before
	Pos    int32 // below 0: an idle row
	Prefix int32 // positions below it are in the sequence's first blocks
	_      int32
}

// Whole is a Prefix above any position: the sequence has one part.
const Whole = 1 << 30

// Tile is a run of rows of one sequence with rising positions; nv_tile.
type Tile struct {
	Row, N int32
}

// Step is where a decode step's inputs go and its result comes from: memory of the
// decoder. Draws[i].Row is i, or below 0 for an idle row.
type Step struct {
	Rows    []Row
	Tables  []int32 // (rows, Sizes.Table)
	Draws   []cudalib.Draw
	Choices []cudalib.Choice
}

// Prompt is a pass over tokens of prompts; nv_prompt.
type Prompt struct {
	Rows      []Row
	Tables    []int32 // (len(Rows), Sizes.Table)
	Tiles     []Tile
	LogitRows []int32        // rows whose logits are wanted, rising
	Draws     []cudalib.Draw // Draw.Row is an index into LogitRows, rising
	TapRows   []int32
	TapLayers []int // 0-based decoder layers, rising
	Last      int   // the pass ends after this layer; logits need the model's last

	Choices []cudalib.Choice // result, len(Draws)
	Logits  []float32        // result, (len(LogitRows), V), or nil
	States  []float32        // result, (len(TapLayers), len(TapRows), E), or nil
}

// Factors are the two matrices of a LoRA pair for Rows rows of a weight from Row0 on:
// B (Rows, Rank) times A (Rank, Cols), the scale within.
type Factors struct {
	Weight           Weight
	Layer            int
	Row0, Rows, Cols int
	Rank             int
	A, B             []float32
}

// Kinds of kernels in a profile, in its order.
var Kinds = []string{"embed", "norm", "qkv", "rope", "attention", "out", "gate_up", "silu", "down", "head", "sample"}

func codeError(code int, op, text string) error {
	if code == 0 {
		return nil
	}
	kind := ErrDevice
	switch code {
	case codeMemory:
		kind = ErrMemory
	case codeArgument:
		kind = ErrArgument
	case codeUnsupported:
		kind = ErrUnsupported
	}
	return fmt.Errorf("%w: %s: %s", kind, op, text)
}

// Codes of cuda/native.h.
const (
	codeMemory      = 1
	codeArgument    = 3
	codeUnsupported = 4
)
