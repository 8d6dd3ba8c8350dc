package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	llama "personaprobe/cgo"
	"personaprobe/cgo/cudalib"
)

// plugins loads ggml's CUDA plugin and our kernels, once. Without them everything runs
// on the CPU; doctor says why.
var plugins = sync.OnceValue(func() *cudalib.Kernels {
	dir, err := cudalib.FindDir()
	if err != nil {
		slog.Debug("no GPU", "why", err)
		return nil
	}
	if !cudalib.HasDriver() {
		slog.Debug("no GPU", "why", "no NVIDIA driver")
		return nil
	}
	if missing := cudalib.PreloadHostLibraries(); len(missing) > 0 {
		slog.Warn("the CUDA plugins need libraries that this host lacks; see personaprobe doctor", "missing", missing)
		return nil
	}
	llama.LoadBackends(dir)
	if !hasGPU() {
		return nil
	}
	k, err := cudalib.OpenKernels(dir)
	if err != nil {
		slog.Warn("sampling on the CPU, which is slow", "why", err)
		return nil
	}
	return k
})

// openDevice says whether the model goes to a GPU and with which kernels.
func openDevice(opts *Options) (gpu bool, k *cudalib.Kernels) {
	if opts.CPU {
		return false, opts.Kernels
	}
	k = plugins()
	if opts.Kernels != nil {
		k = opts.Kernels
	}
	if countGPUs() > 1 {
		k = nil // a model spread over several is not within reach of one kernel
	}
	return hasGPU(), k
}

// openWeights prepares the merging of adapters.
func (e *Engine) openWeights() (err error) {
	if e.kernels == nil || len(e.adapters) == 0 || e.opts.RuntimeAdapters {
		return nil
	}
	e.weights, err = newWeights(e.kernels, e.adapters, !e.gpu)
	if errors.Is(err, errCannotMerge) {
		slog.Warn("adapters are applied at every step, which is slower", "why", err)
		e.weights, err = nil, nil
	}
	return err
}

// fixedRows reports whether every step has the same number of rows.
func (e *Engine) fixedRows() bool { return e.gpu || e.kernels != nil }

// useBase makes the weights the base model's, for work that applies adapters itself.
func (e *Engine) useBase() error {
	if e.weights == nil {
		return nil
	}
	if err := e.weights.acquire(""); err != nil {
		return err
	}
	e.weights.release()
	return nil
}

// spare is the memory, in bytes, that fit leaves free on a GPU besides the caches: for
// llama.cpp's buffers, which grow with the rows, and CUDA's own.
const (
	spare       = 1 << 30
	sparePerRow = 4 << 20
)

// fit checks that the caches will fit the GPU. Sizes that the caller left open are
// reduced to what fits, others are an error that says how many sequences would.
func (e *Engine) fit(o *Options, open bool) error {
	free := freeMemory(llama.Devices(), o.Contexts)
	if e.weights != nil {
		free -= e.weights.copies()
	}
	return e.fitIn(o, open, free)
}

// fitIn is fit for so many bytes.
func (e *Engine) fitIn(o *Options, open bool, free int64) error {
	rowBytes := int64(e.cacheBytes(o.Context+1)) + sparePerRow
	for open && e.asked.Contexts == 0 && o.Contexts > 1 && fitting(free, rowBytes, o.Contexts) < o.Slots {
		o.Contexts--
		o.Slots = o.Contexts * llama.MaxSequences
	}
	fits := fitting(free, rowBytes, o.Contexts)
	if o.Slots <= fits {
		return nil
	}
	if open && fits >= 2*o.Contexts {
		slog.Warn("fewer sequences than usual fit the GPU", "sequences", fits, "tokens", o.Context, "free", free)
		o.Slots = fits
		return nil
	}
	return fmt.Errorf("%w: %d sequences of %d tokens need %.1f GiB on the GPU, %.1f GiB are free: %d sequences fit; give fewer slots or a shorter context",
		llama.ErrMemory, o.Slots, o.Context, gib(int64(o.Slots)*rowBytes), gib(free), fits)
}

// fitting is how many sequences of rowBytes fit contexts that share the free memory
// equally.
func fitting(free, rowBytes int64, contexts int) int {
	each := (free - spare*int64(contexts)) / int64(contexts) / rowBytes
	return contexts * int(max(0, each))
}

// cacheBytes is the size of one sequence's cache of so many tokens.
func (e *Engine) cacheBytes(tokens int) int {
	cells := (tokens + 255) / 256 * 256
	width := e.info.Hidden / e.info.Heads * e.info.KVHeads
	element := 2
	if e.exact() {
		element = 4
	}
	return 2 * e.info.Layers * cells * width * element
}

// freeMemory is what the GPUs have free together, in bytes: llama.cpp gives each a share
// of the layers, and of their caches, in proportion to it. Beyond the first, each needs
// the spare memory of the contexts for itself.
func freeMemory(devices []llama.Device, contexts int) int64 {
	var free int64
	gpus := 0
	for _, d := range devices {
		if d.Type != gpuType {
			continue
		}
		free += int64(d.Free) //nolint:gosec // no GPU has 2^63 bytes
		if gpus++; gpus > 1 {
			free -= spare * int64(contexts)
		}
	}
	return free
}

// Device says what computes, as far as it bears on the bytes.
func (e *Engine) Device() string {
	if e.native != nil {
		return e.native.device.Name
	}
	if e.gpu {
		for _, d := range llama.Devices() {
			if d.Type == gpuType {
				return d.Description
			}
		}
	}
	return "cpu " + cpuLevel
}

// GPUs is how many of them the model is on: llama.cpp spreads it over all there are.
func (e *Engine) GPUs() int {
	if e.native != nil {
		return 1
	}
	if !e.gpu {
		return 0
	}
	return countGPUs()
}

func countGPUs() int { return len(gpuNames()) }

func gpuNames() []string {
	var names []string
	for _, d := range llama.Devices() {
		if d.Type == gpuType {
			names = append(names, d.Description)
		}
	}
	return names
}

const gpuType = "gpu"

func hasGPU() bool { return countGPUs() > 0 }

// cpuLevel is what the native code is compiled for; see the Makefile.
const cpuLevel = "x86-64-v3"
