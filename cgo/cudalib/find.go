package cudalib

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"personaprobe/cgo/plugins"
)

// Names of the files in a plugin directory.
const (
	KernelsFile = "libpersonaprobe-cuda.so"
	GGMLFile    = "libggml-cuda.so"
)

// DirVariable names the environment variable that says where the plugins lie.
const DirVariable = "PERSONAPROBE_PLUGINS"

var (
	// ErrAbsent means that there are no CUDA plugins to load.
	ErrAbsent = errors.New("no CUDA plugins; build them with make cuda or use a release build")
	// ErrLoad means that a plugin is there and the system refuses to load it, or
	// that it belongs to another version of this program.
	ErrLoad = errors.New("cannot load the CUDA kernels")
	// ErrDevice means that the CUDA driver or a kernel failed.
	ErrDevice = errors.New("CUDA error")
	// ErrMemory means that the GPU has too little memory; it is an ErrDevice as well.
	ErrMemory = fmt.Errorf("%w: out of memory", ErrDevice)
	// ErrNoCgo means that this build cannot load C libraries.
	ErrNoCgo = errors.New("built without cgo: CUDA is missing; build with CGO_ENABLED=1")
)

// FindDir returns the directory of the plugins: $PERSONAPROBE_PLUGINS, else where those
// inside a release build are unpacked, else the first of "plugins" beside the program, build/cuda beside the program or its parent, and
// build/cuda in the working directory that has [KernelsFile] or [GGMLFile]. In a working
// directory of somebody else they are refused. The error wraps [ErrAbsent].
func FindDir() (string, error) {
	if dir := os.Getenv(DirVariable); dir != "" {
		if hasPlugin(dir) {
			return dir, nil
		}
		return "", fmt.Errorf("%w: %s=%s holds neither %s nor %s", ErrAbsent, DirVariable, dir, KernelsFile, GGMLFile)
	}
	switch dir, err := plugins.Dir(); {
	case err == nil:
		return dir, nil
	case !errors.Is(err, plugins.ErrNone):
		return "", fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	for _, dir := range besideProgram() {
		if hasPlugin(dir) {
			return dir, nil
		}
	}
	dir := filepath.Join("build", "cuda")
	if !hasPlugin(dir) {
		return "", ErrAbsent
	}
	if err := trusted(dir); err != nil {
		return "", fmt.Errorf("%w: %w; set %s to load them all the same", ErrAbsent, err, DirVariable)
	}
	return dir, nil
}

// trusted sees that only this user or root can have put the plugins there.
func trusted(dir string) error {
	errs := []error{plugins.Trusted(dir)}
	for _, name := range []string{KernelsFile, GGMLFile} {
		if err := plugins.Trusted(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func besideProgram() []string {
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		if exe, err = filepath.EvalSymlinks(exe); err == nil {
			at := filepath.Dir(exe)
			dirs = []string{
				filepath.Join(at, "plugins"),
				filepath.Join(at, "build", "cuda"),
				filepath.Join(at, "..", "build", "cuda"),
			}
		}
	}
	return dirs
}

func hasPlugin(dir string) bool {
	for _, name := range []string{KernelsFile, GGMLFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// HostLibraries are what the plugins need from the host besides the driver, in the
// order in which they have to be loaded.
var HostLibraries = []string{"libcublasLt.so.13", "libcublas.so.13"}

// helpfulLibraries are needed by plugins that were not built by this project's CMake
// files, which link the CUDA runtime statically.
var helpfulLibraries = []string{"libcudart.so.13"}

// DriverLibrary comes with NVIDIA's driver and nowhere else.
const DriverLibrary = "libcuda.so.1"

// LibraryVariable names the environment variable with a directory of [HostLibraries]
// that the dynamic linker does not search.
const LibraryVariable = "PERSONAPROBE_CUDA_LIBS"

// libraryDirs are the places where CUDA's libraries lie when the dynamic linker does
// not know them: toolkits, and Python environments with NVIDIA's packages.
func libraryDirs() []string {
	var dirs []string
	if dir := os.Getenv(LibraryVariable); dir != "" {
		dirs = append(dirs, dir)
	}
	for _, root := range absolute("CUDA_HOME", "CUDA_PATH") {
		dirs = append(dirs, filepath.Join(root, "lib64"), filepath.Join(root, "lib"))
	}
	dirs = append(dirs, "/usr/local/cuda/lib64", "/usr/local/cuda/lib")
	patterns := []string{"/usr/local/cuda-13*/lib64"}
	for _, root := range absolute("VIRTUAL_ENV", "CONDA_PREFIX") {
		patterns = append(patterns, filepath.Join(root, "lib/python3*/site-packages/nvidia/cu13/lib"))
	}
	for _, pattern := range append(patterns,
		"/opt/*/.venv/lib/python3*/site-packages/nvidia/cu13/lib",
		"/usr/lib/python3*/site-packages/nvidia/cu13/lib",
		"/usr/local/lib/python3*/*-packages/nvidia/cu13/lib",
	) {
		found, err := filepath.Glob(pattern)
		if err == nil {
			dirs = append(dirs, found...)
		}
	}
	return dirs
}

// absolute returns the environment's directories of these names. One that is unset or
// relative is left out: a library from the working directory is code from whoever made it.
func absolute(names ...string) []string {
	var dirs []string
	for _, name := range names {
		if dir := os.Getenv(name); filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}
