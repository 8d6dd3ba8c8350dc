//go:build !cgo

package cudalib

import (
	"time"
	"unsafe"
)

// Kernels is the loaded library.
type Kernels struct {
	Path string
}

// OpenKernels fails.
func OpenKernels(string) (*Kernels, error) { return nil, ErrNoCgo }

// PreloadHostLibraries finds nothing.
func PreloadHostLibraries() []string { return HostLibraries }

// CublasVersion is not known.
func CublasVersion() string { return "" }

// HasDriver finds nothing.
func HasDriver() bool { return false }

// Symbol fails.
func (*Kernels) Symbol(string) (unsafe.Pointer, error) { return nil, ErrNoCgo }

// CheckInterface fails.
func (*Kernels) CheckInterface(int) error { return ErrNoCgo }

// Device fails.
func (*Kernels) Device() (Device, error) { return Device{}, ErrNoCgo }

// Sampler makes draws on the device.
type Sampler struct{}

// NewSampler fails.
func (*Kernels) NewSampler(int) (*Sampler, error) { return nil, ErrNoCgo }

// Sample fails.
func (*Sampler) Sample(Logits, []Draw, []Choice) error { return ErrNoCgo }

// Took fails.
func (*Sampler) Took() (time.Duration, error) { return 0, ErrNoCgo }

// Close does nothing.
func (*Sampler) Close() error { return nil }

// Merger adds adapters into weights.
type Merger struct{}

// NewMerger fails.
func (*Kernels) NewMerger() (*Merger, error) { return nil, ErrNoCgo }

// Set fails.
func (*Merger) Set([]Pair, float64) error { return ErrNoCgo }

// Close does nothing.
func (*Merger) Close() error { return nil }

// Measure fails.
func (*Kernels) Measure() (Rates, error) { return Rates{}, ErrNoCgo }
