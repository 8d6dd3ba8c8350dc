//go:build cgo

package cudalib_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"personaprobe/cgo/cudalib"
	"personaprobe/internal/cudatest"
)

// kernelSource is where the kernels' sources lie, seen from this package.
const kernelSource = "../cuda"

var emulation struct {
	sync.Once
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if emulation.dir != "" {
		_ = os.RemoveAll(emulation.dir)
	}
	os.Exit(code)
}

// emulated builds the kernels for the CPU and opens them: the same sources, run by
// cuda/emulate.h with small blocks.
func emulated(t testing.TB) *cudalib.Kernels {
	t.Helper()
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("this test needs g++ to build the kernels' emulation")
	}
	emulation.Do(func() {
		if emulation.dir, emulation.err = os.MkdirTemp("", "personaprobe-emulation-"); emulation.err != nil {
			return
		}
		args := strings.Fields("-std=c++17 -O2 -U_FORTIFY_SOURCE -ffp-contract=off -mf16c -fPIC -shared -DPP_EMULATE -DPP_SAMPLE_THREADS=64 -o")
		args = append(args, filepath.Join(emulation.dir, cudalib.KernelsFile), "-x", "c++")
		for _, name := range []string{"sample.cu", "device.cu", "merge.cu"} {
			args = append(args, filepath.Join(kernelSource, name))
		}
		out, err := exec.Command("g++", args...).CombinedOutput()
		if err != nil {
			t.Errorf("g++: %s", out)
		}
		emulation.err = err
	})
	if emulation.err != nil {
		t.Fatal(emulation.err)
	}
	k, err := cudalib.OpenKernels(emulation.dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// device opens the built kernels, and skips without them or without a GPU.
func device(t testing.TB) *cudalib.Kernels {
	t.Helper()
	const built = "../../build/cuda" // by make cuda; FindDir does not know of it from here
	if _, err := cudalib.FindDir(); err != nil {
		if _, err := os.Stat(built + "/" + cudalib.KernelsFile); err == nil {
			t.Setenv(cudalib.DirVariable, built)
		}
	}
	k := cudatest.Kernels(t)
	d, err := k.Device()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s, %d multiprocessors", d.Name, d.Multiprocessors)
	return k
}

// each runs a test on the emulation and on the GPU.
func each(t *testing.T, test func(t *testing.T, k *cudalib.Kernels, gpu bool)) {
	t.Run("emulated", func(t *testing.T) { test(t, emulated(t), false) })
	t.Run("gpu", func(t *testing.T) { test(t, device(t), true) })
}

// A library of another version is refused, also by a package that was compiled against
// another version than this one.
func TestCheckInterface(t *testing.T) {
	if err := emulated(t).CheckInterface(-1); !errors.Is(err, cudalib.ErrLoad) {
		t.Errorf("interface -1: %v", err)
	}
}

// put copies values to fresh device memory, freed with the test.
func put[T any](t testing.TB, k *cudalib.Kernels, values []T, bytes int) cudalib.Memory {
	t.Helper()
	m, err := k.Alloc(bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Free(m); err != nil {
			t.Error(err)
		}
	})
	if err := cudalib.CopyIn(k, m, values, 0); err != nil {
		t.Fatal(err)
	}
	return m
}
