//go:build cgo

package cudalib

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stdlib.h>
// #include "table.h"
//
// static int k_abi(pp_table *t) { return t->pp_abi(); }
// static const char *k_error_text(pp_table *t, int e) { return t->pp_error_text(e); }
// static int k_device_count(pp_table *t, int *n) { return t->pp_device_count(n); }
// static int k_device_info(pp_table *t, pp_device *d) { return t->pp_device_info(d); }
//
// static int k_cublas(int what) {
//     void *lib = dlopen("libcublas.so.13", RTLD_LAZY | RTLD_NOLOAD);
//     int (*get)(int, int *) = lib ? (int (*)(int, int *)) dlsym(lib, "cublasGetProperty") : 0;
//     int value = -1;
//     if (get && get(what, &value) != 0) value = -1;
//     if (lib) dlclose(lib);
//     return value;
// }
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"
)

// Kernels is the loaded library. It is safe for concurrent use.
type Kernels struct {
	Path string // of the library
	t    *C.pp_table
}

var opened struct {
	sync.Mutex
	byPath map[string]*Kernels
}

// OpenKernels loads libpersonaprobe-cuda.so from dir. A library once loaded stays: the
// CUDA runtime does not survive being unloaded, and a second call returns the first
// call's result. The error wraps [ErrAbsent] or [ErrLoad] and says what is missing.
func OpenKernels(dir string) (*Kernels, error) {
	path, err := filepath.Abs(filepath.Join(dir, KernelsFile))
	if err != nil {
		return nil, err
	}
	opened.Lock()
	defer opened.Unlock()
	if k := opened.byPath[path]; k != nil {
		return k, nil
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	PreloadHostLibraries()
	k, err := open(path)
	if err != nil {
		return nil, err
	}
	if opened.byPath == nil {
		opened.byPath = map[string]*Kernels{}
	}
	opened.byPath[path] = k
	return k, nil
}

func open(path string) (*Kernels, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var missing, detail *C.char
	t := C.pp_table_open(name, &missing, &detail)
	defer C.free(unsafe.Pointer(detail))
	switch {
	case missing != nil:
		return nil, fmt.Errorf("%w: %s has no function %s; it belongs to another version of this program", ErrLoad, path, C.GoString(missing))
	case t == nil:
		return nil, fmt.Errorf("%w: %s", ErrLoad, C.GoString(detail))
	}
	k := &Kernels{Path: path, t: t}
	if err := k.CheckInterface(C.PP_WANTED_ABI); err != nil {
		return nil, err
	}
	return k, nil
}

// CheckInterface compares the library's number of its functions and structs with the one
// that a caller was compiled for. The error wraps [ErrLoad].
func (k *Kernels) CheckInterface(want int) error {
	if abi := C.k_abi(k.t); int(abi) != want {
		return fmt.Errorf("%w: %s has interface %d, this program wants %d; rebuild it", ErrLoad, k.Path, abi, want)
	}
	return nil
}

// PreloadHostLibraries loads [HostLibraries] from where toolkits and Python
// environments keep them, unless the dynamic linker finds them itself. It returns
// those it did not find. Call it before loading a plugin that needs them.
func PreloadHostLibraries() (missing []string) {
	for _, name := range helpfulLibraries {
		preloadAnywhere(name)
	}
	for _, name := range HostLibraries {
		if !preloadAnywhere(name) {
			missing = append(missing, name)
		}
	}
	return missing
}

// CublasVersion is the version of the cuBLAS that is loaded, "" if none is.
func CublasVersion() string {
	major, minor, patch := C.k_cublas(0), C.k_cublas(1), C.k_cublas(2)
	if major < 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", major, minor, patch)
}

// HasDriver reports whether this host has NVIDIA's driver.
func HasDriver() bool { return preload(DriverLibrary) }

func preloadAnywhere(name string) bool {
	if preload(name) {
		return true
	}
	for _, dir := range libraryDirs() {
		if preload(filepath.Join(dir, name)) {
			return true
		}
	}
	return false
}

func preload(name string) bool {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	return C.pp_preload(c) == 0
}

// Symbol returns the address of a C function of the library.
func (k *Kernels) Symbol(name string) (unsafe.Pointer, error) {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	p := C.dlsym(k.t.handle, c)
	if p == nil {
		return nil, fmt.Errorf("%w: %s has no function %s; it belongs to another version of this program", ErrLoad, k.Path, name)
	}
	return p, nil
}

// check turns a cudaError_t into an error that wraps ErrDevice.
func (k *Kernels) check(op string, code C.int) error {
	const outOfMemory = 2 // cudaErrorMemoryAllocation
	switch code {
	case 0:
		return nil
	case outOfMemory:
		return fmt.Errorf("%w: %s", ErrMemory, op)
	}
	return fmt.Errorf("%w: %s: %s", ErrDevice, op, C.GoString(C.k_error_text(k.t, code)))
}

// Device describes the current GPU.
func (k *Kernels) Device() (Device, error) {
	var n C.int
	if err := k.check("count devices", C.k_device_count(k.t, &n)); err != nil {
		return Device{}, err
	}
	if n == 0 {
		return Device{}, fmt.Errorf("%w: no GPU", ErrDevice)
	}
	var d C.pp_device
	if err := k.check("device properties", C.k_device_info(k.t, &d)); err != nil {
		return Device{}, err
	}
	return Device{
		Name: C.GoString(&d.name[0]), Major: int(d.major), Minor: int(d.minor), Multiprocessors: int(d.multiprocessors),
		Driver: int(d.driver), Runtime: int(d.runtime), Total: uint64(d.total), Free: uint64(d.free), L2: uint64(d.l2),
	}, nil
}
