//go:build !cgo

package native

import "personaprobe/cgo/cudalib"

// Without cgo everything compiles and fails with cudalib.ErrNoCgo.

// Library is the native path's part of the kernels' library.
type Library struct{}

// Model is weights on the device.
type Model struct{ lib *Library }

// Decoder computes passes and steps of a model.
type Decoder struct{}

// Pinned is host memory that copies to the device at full speed.
type Pinned struct{ Bytes []byte }

// Open fails.
func Open(*cudalib.Kernels) (*Library, error) { return nil, cudalib.ErrNoCgo }

// ModelBytes is 0.
func (*Library) ModelBytes(Shape) int64 { return 0 }

// SetBytes is 0.
func (*Library) SetBytes(Shape) int64 { return 0 }

// DecoderBytes is 0.
func (*Library) DecoderBytes(Shape, Sizes) int64 { return 0 }

// TileRows is 1.
func (*Library) TileRows(Shape) int { return 1 }

// NewPinned fails.
func (*Library) NewPinned(int) (*Pinned, error) { return nil, cudalib.ErrNoCgo }

// Close does nothing.
func (*Pinned) Close() {}

// NewModel fails.
func (*Library) NewModel(Shape) (*Model, error) { return nil, cudalib.ErrNoCgo }

// Shape is empty.
func (*Model) Shape() Shape { return Shape{} }

// Library is where the model comes from.
func (m *Model) Library() *Library { return m.lib }

// Close does nothing.
func (*Model) Close() {}

// Write fails.
func (*Model) Write(Weight, int, int64, []byte, int) error { return cudalib.ErrNoCgo }

// Flush fails.
func (*Model) Flush(int) error { return cudalib.ErrNoCgo }

// Read fails.
func (*Model) Read(int, Weight, int, int64, []byte) error { return cudalib.ErrNoCgo }

// NewSet fails.
func (*Model) NewSet() (int, error) { return 0, cudalib.ErrNoCgo }

// ResetSet fails.
func (*Model) ResetSet(int) error { return cudalib.ErrNoCgo }

// Merge fails.
func (*Model) Merge(int, Factors) error { return cudalib.ErrNoCgo }

// NewDecoder fails.
func (*Model) NewDecoder(Sizes) (*Decoder, error) { return nil, cudalib.ErrNoCgo }

// Sizes are zero.
func (*Decoder) Sizes() Sizes { return Sizes{} }

// Model is nil.
func (*Decoder) Model() *Model { return nil }

// Close does nothing.
func (*Decoder) Close() {}

// Use fails.
func (*Decoder) Use(int) error { return cudalib.ErrNoCgo }

// Step is empty.
func (*Decoder) Step(int) *Step { return &Step{} }

// Start fails.
func (*Decoder) Start(int) error { return cudalib.ErrNoCgo }

// Wait fails.
func (*Decoder) Wait(int) error { return cudalib.ErrNoCgo }

// Prompt fails.
func (*Decoder) Prompt(*Prompt) error { return cudalib.ErrNoCgo }

// Profile fails.
func (*Decoder) Profile(int, int) ([]float32, error) { return nil, cudalib.ErrNoCgo }

// Time fails.
func (*Decoder) Time(int, int, bool) (float64, error) { return 0, cudalib.ErrNoCgo }

// Algorithms fails.
func (*Model) Algorithms(int, ...int) (string, error) { return "", cudalib.ErrNoCgo }
