//go:build !cgo

package llama

import (
	"time"

	"personaprobe/cgo/cudalib"
)

// Without cgo there is no llama.cpp. Everything compiles and fails with
// ErrNoCgo, so that tools and the pure Go packages still build.

// Model is a loaded model.
type Model struct{}

// Vocab is a model's tokenizer.
type Vocab struct{}

// Adapter is a LoRA adapter.
type Adapter struct{}

// Context is a KV cache with the buffers to compute on it.
type Context struct{}

// MaxSequences is how many sequences a context can have.
const MaxSequences = 256

// LoadBackends does nothing.
func LoadBackends(string) {}

// Devices lists nothing.
func Devices() []Device { return nil }

// SystemInfo says that llama.cpp is missing.
func SystemInfo() string { return ErrNoCgo.Error() }

// LibC is not known.
func LibC() string { return "" }

// OpenModel fails.
func OpenModel(string, ModelOptions) (*Model, error) { return nil, ErrNoCgo }

// Info is empty.
func (*Model) Info() ModelInfo { return ModelInfo{} }

// Vocab is nil.
func (*Model) Vocab() *Vocab { return nil }

// Meta finds nothing.
func (*Model) Meta(string) (string, bool) { return "", false }

// OpenAdapter fails.
func (*Model) OpenAdapter(string) (*Adapter, error) { return nil, ErrNoCgo }

// NewContext fails.
func (*Model) NewContext(ContextOptions) (*Context, error) { return nil, ErrNoCgo }

// Close does nothing.
func (*Model) Close() error { return nil }

// Size is 0.
func (*Vocab) Size() int { return 0 }

// Tokenize fails.
func (*Vocab) Tokenize(string, bool) ([]int32, error) { return nil, ErrNoCgo }

// Detokenize fails.
func (*Vocab) Detokenize([]int32, bool) (string, error) { return "", ErrNoCgo }

// EndOfGeneration lists nothing.
func (*Vocab) EndOfGeneration() []int32 { return nil }

// Specials lists nothing.
func (*Vocab) Specials() []Special { return nil }

// Close does nothing.
func (*Adapter) Close() error { return nil }

// Options is empty.
func (*Context) Options() ContextOptions { return ContextOptions{} }

// Cells is 0.
func (*Context) Cells() int { return 0 }

// Close does nothing.
func (*Context) Close() error { return nil }

// Clear fails.
func (*Context) Clear() error { return ErrNoCgo }

// Remove fails.
func (*Context) Remove(int, int) error { return ErrNoCgo }

// Fork fails.
func (*Context) Fork(int, int) error { return ErrNoCgo }

// SetAdapter fails.
func (*Context) SetAdapter(*Adapter, float32) error { return ErrNoCgo }

// Abort does nothing.
func (*Context) Abort(bool) {}

// Logits fails.
func (*Context) Logits() ([]float32, error) { return nil, ErrNoCgo }

// Decode fails.
func (*Context) Decode(*Batch, *Tap) error { return ErrNoCgo }

// DecodeOnDevice fails.
func (*Context) DecodeOnDevice(*Batch, bool, []int32) (cudalib.Logits, time.Duration, error) {
	return cudalib.Logits{}, 0, ErrNoCgo
}

// Pair is a weight that an adapter changes.
type Pair = cudalib.Pair

// Pairs fails.
func (*Adapter) Pairs() ([]Pair, error) { return nil, ErrNoCgo }
