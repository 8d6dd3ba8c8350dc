// Package cudatest opens the CUDA kernels for tests of other packages.
package cudatest

import (
	"errors"
	"testing"

	"personaprobe/cgo/cudalib"
)

// Kernels opens the kernels, and skips the test where there are none or no GPU. Kernels
// that are there and do not load fail it.
func Kernels(t testing.TB) *cudalib.Kernels {
	t.Helper()
	dir, err := cudalib.FindDir()
	if errors.Is(err, cudalib.ErrAbsent) || errors.Is(err, cudalib.ErrNoCgo) {
		t.Skipf("needs a GPU: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	k, err := cudalib.OpenKernels(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Device(); err != nil {
		t.Skipf("needs a GPU: %v", err)
	}
	return k
}
