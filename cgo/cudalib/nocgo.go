//go:build !cgo

package cudalib

import "unsafe"

// Kernels is the loaded library.
type Kernels struct {
	Path string
}

// OpenKernels fails.
func OpenKernels(string) (*Kernels, error) { return nil, ErrNoCgo }

// PreloadHostLibraries finds nothing.
func PreloadHostLibraries() []string { return HostLibraries }

// Symbol fails.
func (*Kernels) Symbol(string) (unsafe.Pointer, error) { return nil, ErrNoCgo }

// Device fails.
func (*Kernels) Device() (Device, error) { return Device{}, ErrNoCgo }
