package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	llama "personaprobe/cgo"
	"personaprobe/cgo/cudalib"
	"personaprobe/internal/fingerprint"
)

// Settings are the choices of the engine that bear on the bytes, for a manifest: what it
// computes with, and how. docs/determinism.md has the list. The error is of the device, or
// of a library that cannot be read.
func (e *Engine) Settings() (map[string]string, error) {
	s := e.llamaSettings()
	if e.native != nil {
		var err error
		if s, err = e.native.settings(e.opts.Slots); err != nil {
			return nil, err
		}
	}
	var err error
	if s["program"], err = program(); err != nil {
		return nil, err
	}
	if libc := llama.LibC(); libc != "" {
		s["libc"] = libc
	}
	maps.Copy(s, environment(os.LookupEnv))
	libraries, err := e.libraries()
	maps.Copy(s, libraries)
	return s, err
}

func (e *Engine) llamaSettings() map[string]string {
	cache := "f16, flash attention"
	if e.exact() {
		cache = "f32"
	}
	s := map[string]string{"llama.cpp": llama.Revision, "kv_cache": cache, "chunk": strconv.Itoa(e.opts.Chunk)}
	if e.fixedRows() {
		s["rows"] = strconv.Itoa(e.opts.Slots / e.opts.Contexts)
		s["adapters"] = "applied at run time"
		if e.weights != nil {
			s["adapters"] = "merged"
		}
	}
	if e.gpu {
		s["cublas"] = cudalib.CublasVersion()
		if n := countGPUs(); n > 1 { // the layers are spread over them
			s["gpus"] = strings.Join(gpuNames(), ", ")
		}
	}
	return s
}

// program is the SHA-256 of the running program: two builds of one version, from changed
// sources or with other compilers, may compute other bits.
var program = sync.OnceValues(func() (string, error) {
	f, err := os.Open("/proc/self/exe") // what runs, also when the file was replaced
	if err != nil {
		path, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find the program: %w", err)
		}
		if f, err = os.Open(path); err != nil {
			return "", fmt.Errorf("hash the program: %w", err)
		}
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("hash the program: %w", err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
})

// bearing are the environment variables that change what ggml, CUDA's libraries or the C
// library compute: other kernels, another order of sums, another library.
var bearing = []string{
	"GGML_BACKEND_PATH", "GGML_CUDA_DISABLE_FUSION", "GGML_CUDA_DISABLE_GRAPHS", "GGML_CUDA_GRAPH_OPT", "LLAMA_GRAPH_REUSE_DISABLE",
	"NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG", "CUBLASLT_WORKSPACE_SIZE", "CUDA_FORCE_PTX_JIT",
	"GLIBC_TUNABLES", "LD_PRELOAD",
}

func environment(lookup func(string) (string, bool)) map[string]string {
	out := map[string]string{}
	for _, name := range bearing {
		if value, ok := lookup(name); ok {
			out["env "+name] = value
		}
	}
	return out
}

// libraries are the SHA-256 of the plugins that compute. They may be of another build than
// the program.
func (e *Engine) libraries() (map[string]string, error) {
	var paths []string
	dir, err := cudalib.FindDir()
	if e.kernels != nil {
		paths = append(paths, e.kernels.Path)
	}
	if err == nil && e.native != nil {
		paths = append(paths, filepath.Join(dir, cudalib.KernelsFile))
	}
	if err == nil && e.gpu {
		paths = append(paths, filepath.Join(dir, cudalib.GGMLFile), filepath.Join(dir, "libggml-base.so"))
	}
	out := map[string]string{}
	for _, path := range paths {
		sum, err := fingerprint.FileSHA256(context.Background(), path, e.opts.CacheDir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a base library inside the plugin
		}
		if err != nil {
			return nil, err
		}
		out[filepath.Base(path)] = "sha256:" + sum
	}
	return out, nil
}
