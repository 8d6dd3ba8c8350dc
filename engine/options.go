package engine

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	llama "personaprobe/cgo"
	"personaprobe/cgo/cudalib"
)

// Options says what to open and how large. Model must be set.
type Options struct {
	// Model is a GGUF file or a Hugging Face checkpoint directory, which is
	// converted into the cache once.
	Model string
	// Adapters maps names, as requests use them, to LoRA adapters: GGUF files or
	// PEFT directories.
	Adapters map[string]string

	// Slots is how many sequences are computed together. Default: 64 for each of
	// Contexts; on a CPU more rows bring no more tokens per second. On a GPU 256 for
	// each, and fewer contexts or slots if these do not fit.
	Slots int
	// Contexts is how many llama.cpp contexts work side by side, each with its share
	// of the slots, at most 256, and of the threads. Default: a context per core, at
	// most 8; on a GPU 2, or as few as the slots need.
	Contexts int
	// Context is the longest prompt and completion together, in tokens. The cache
	// has Slots x Context cells. Default: 1024, or the model's own if that is less.
	Context int
	// Threads of the CPU. Default and maximum: all cores.
	Threads int
	// Chunk is how many prompt tokens are computed beside the rows of a step.
	// Default 512.
	Chunk int
	// CPU keeps the model off the GPU.
	CPU bool
	// Backend says what computes on a GPU: our own decoder, llama.cpp, or, the
	// default, our own where it covers the model and the GPU's free memory takes it.
	Backend Backend
	// RuntimeAdapters makes llama.cpp on a GPU apply adapters in every step instead of
	// merging them into the weights. It is slower and serves to check the merging.
	RuntimeAdapters bool
	// Kernels sample and merge where llama.cpp has the model. Default: those of the
	// plugin directory (cudalib.FindDir) if the model is on a GPU, else none.
	Kernels *cudalib.Kernels
	// Date is where the clock of chat templates stands, in UTC: one engine renders all its
	// prompts with it. Default: the time of Open, to the second.
	Date time.Time
	// CacheDir is where conversions go. Default: the user's cache directory.
	CacheDir string
	// Progress, if not nil, is told how far a conversion at Open has come.
	Progress func(what string, done, total int64)
}

// Backend is an implementation of a model's steps.
type Backend string

// The backends.
const (
	BackendAuto   Backend = ""       // native where it applies, else llama.cpp
	BackendNative Backend = "native" // our own decoder for the Qwen2 family on a GPU, or an error
	BackendLlama  Backend = "llama"  // llama.cpp
)

// ErrOptions marks options that make no sense.
var ErrOptions = errors.New("bad engine options")

// Validate reports what is wrong.
func (o *Options) Validate() error {
	switch {
	case o.Model == "":
		return fmt.Errorf("%w: no model given", ErrOptions)
	case o.Backend != BackendAuto && o.Backend != BackendNative && o.Backend != BackendLlama:
		return fmt.Errorf("%w: backend %q; it is %q, %q or empty", ErrOptions, o.Backend, BackendNative, BackendLlama)
	case o.Backend == BackendNative && o.CPU:
		return fmt.Errorf("%w: the native decoder needs the GPU", ErrOptions)
	}
	if path, ok := o.Adapters[""]; ok {
		return fmt.Errorf("%w: the adapter %s has no name; a request without one means the base model", ErrOptions, path)
	}
	for _, size := range []struct {
		name  string
		value int
	}{{"slots", o.Slots}, {"contexts", o.Contexts}, {"context", o.Context}, {"threads", o.Threads}, {"chunk", o.Chunk}} {
		if size.value < 0 {
			return fmt.Errorf("%w: %s is %d, want 1 or more, or 0 for the default", ErrOptions, size.name, size.value)
		}
	}
	return nil
}

// checkContexts reports whether llama.cpp's contexts can have so many slots.
func (o *Options) checkContexts() error {
	if o.Contexts > 0 && o.Slots > 0 && (o.Slots > o.Contexts*llama.MaxSequences || o.Slots < o.Contexts) {
		return fmt.Errorf("%w: %d slots in %d contexts, each takes 1 to %d", ErrOptions, o.Slots, o.Contexts, llama.MaxSequences)
	}
	return nil
}

// withDefaults fills in what the caller left open. trained is the model's own
// context length.
func (o Options) withDefaults(trained int, gpu bool) Options {
	if o.Threads == 0 || o.Threads > runtime.NumCPU() {
		o.Threads = runtime.NumCPU()
	}
	if o.Contexts == 0 {
		o.Contexts = min(o.Threads, maxContexts)
		switch {
		case gpu && o.Slots > 0:
			o.Contexts = 1
		case gpu:
			o.Contexts = gpuContexts
		}
		if o.Slots > 0 { // at least 8 rows in each, as far as there are as many
			o.Contexts = max(1, min(o.Contexts, o.Slots/8))
			o.Contexts = max(o.Contexts, (o.Slots+llama.MaxSequences-1)/llama.MaxSequences)
		}
	}
	if o.Slots == 0 {
		o.Slots = 64 * o.Contexts
		if gpu {
			o.Slots = o.Contexts * llama.MaxSequences
		}
	}
	if o.Context == 0 {
		o.Context = 1024
		if trained > 0 {
			o.Context = min(o.Context, trained)
		}
	}
	if o.Chunk == 0 {
		o.Chunk = 512
	}
	return o
}

// gpuContexts is how many llama.cpp contexts a GPU gets: while the host prepares a step
// of one, the device computes one of the other.
const gpuContexts = 2

// maxContexts bounds the caches' memory on hosts with many cores; beyond it the
// contexts get several threads each.
const maxContexts = 8

// threadsPerContext is each context's share of the threads.
func (o *Options) threadsPerContext() int { return max(1, o.Threads/o.Contexts) }

// split is the number of slots of each context; with equal, of all the same.
func (o *Options) split(equal bool) []int {
	out := make([]int, o.Contexts)
	for i := range out {
		if equal {
			out[i] = o.Slots / o.Contexts
			continue
		}
		out[i] = (i+1)*o.Slots/o.Contexts - i*o.Slots/o.Contexts
	}
	return out
}
