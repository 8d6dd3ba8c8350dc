package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	llama "personaprobe/cgo"
	"personaprobe/cgo/cudalib"
	"personaprobe/internal/pin"
	"personaprobe/models"
)

// Engine is an open model with its adapters.
type Engine struct {
	opts      Options
	files     Files
	pins      map[string]*pin.Set // the files, open, by adapter; "" is the model
	info      llama.ModelInfo
	model     *llama.Model // on the native path its tokenizer alone
	native    *nativeModel // nil: llama.cpp computes
	adapters  map[string]*llama.Adapter
	tokenizer *Tokenizer
	gpu       bool             // llama.cpp has the model on a GPU
	kernels   *cudalib.Kernels // for llama.cpp; nil: sampling on the CPU
	weights   *weights         // nil: adapters are applied at run time, or native
	asked     Options          // as given to Open
	lanes     []*lane          // empty until Reserve
	counters  Counters

	mu     sync.Mutex
	busy   bool
	closed bool
}

// Files are the GGUF files that an engine has loaded, conversions resolved.
type Files struct {
	Model    string
	Adapters map[string]string // by name
}

// Errors that concern the engine as a whole.
var (
	ErrClosed = errors.New("engine: already closed")
	ErrBusy   = errors.New("engine: in use by another call")
)

// Open loads a model and its adapters. Problems with the files wrap the errors of
// packages models, lora and llama. The cache is allocated by Reserve.
func Open(ctx context.Context, opts Options) (_ *Engine, err error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	if opts.Date.IsZero() {
		opts.Date = time.Now()
	}
	opts.Date = opts.Date.UTC().Truncate(time.Second)
	e := &Engine{adapters: map[string]*llama.Adapter{}, pins: map[string]*pin.Set{}}
	defer func() {
		if err != nil {
			_ = e.Close() // the first error is the one to tell
		}
	}()
	if err := e.resolve(ctx, &opts); err != nil {
		return nil, err
	}
	files := e.files
	if err := e.openModel(ctx, &opts); err != nil {
		return nil, err
	}
	if e.tokenizer, err = newTokenizer(e.model, opts.Date); err != nil {
		return nil, fmt.Errorf("%s: %w", files.Model, err)
	}
	for _, name := range slices.Sorted(maps.Keys(files.Adapters)) {
		if e.native != nil {
			break // they are merged when they are used
		}
		if e.adapters[name], err = e.model.OpenAdapter(files.Adapters[name]); err != nil {
			return nil, fmt.Errorf("adapter %s: %w", name, err)
		}
	}
	if err = e.openWeights(); err != nil {
		return nil, err
	}
	// All of that was opened by path.
	if err = e.Unchanged(); err != nil {
		return nil, err
	}
	return e, nil
}

// openModel loads the model to the native path if that is wanted and covers it, else
// to llama.cpp.
func (e *Engine) openModel(ctx context.Context, opts *Options) error {
	err := e.openNative(ctx, opts)
	if e.native != nil || err != nil {
		return err
	}
	if err := opts.checkContexts(); err != nil {
		return err
	}
	if err := models.CheckFinite(ctx, e.files.Model, func(done, total int64) {
		if opts.Progress != nil {
			opts.Progress("checking the weights", done, total)
		}
	}); err != nil {
		return err
	}
	e.gpu, e.kernels = openDevice(opts)
	layers := 0
	if e.gpu {
		layers = -1
	}
	inPlace := e.kernels != nil && !e.gpu // weights in memory that can be written
	if e.model, err = llama.OpenModel(e.files.Model, llama.ModelOptions{GPULayers: layers, NoMMap: inPlace}); err != nil {
		return err
	}
	e.info = e.model.Info()
	e.info.Description = withSize(e.info.Description, e.info.Params)
	e.asked = *opts
	e.opts = opts.withDefaults(e.info.Context, e.gpu)
	return nil
}

// openNative leaves e.native nil where llama.cpp is to be used, and says why in the
// log if a GPU could have served.
func (e *Engine) openNative(ctx context.Context, opts *Options) error {
	if opts.CPU || opts.Backend == BackendLlama {
		return nil
	}
	m, err := openNative(ctx, e.files, opts, func(done, total int64) {
		if opts.Progress != nil {
			opts.Progress("loading the model", done, total)
		}
	})
	if err != nil {
		return opts.fallBack(ctx, err)
	}
	e.native = m
	if e.model, err = llama.OpenModel(e.files.Model, llama.ModelOptions{VocabOnly: true}); err != nil {
		return err
	}
	e.info = m.info(e.model.Info())
	e.asked = *opts
	e.opts = opts.withDefaults(e.info.Context, true)
	e.opts.Contexts = 1
	if opts.Slots == 0 {
		e.opts.Slots = m.fitting(nativeRows, e.opts.Context) // one at least: see plan
	}
	return nil
}

// fallBack returns nil where llama.cpp serves because the native path cannot, for the
// reason that err gives, and else err.
func (o *Options) fallBack(ctx context.Context, err error) error {
	switch {
	case o.Backend == BackendNative || ctx.Err() != nil:
		return err
	case errors.Is(err, cudalib.ErrAbsent) || errors.Is(err, cudalib.ErrNoCgo):
	default:
		slog.Warn("llama.cpp computes instead of the native decoder", "reason", err)
	}
	return nil
}

// Reserve allocates the caches for generation: slots sequences of context tokens
// each, prompt and completion together; 0 stands for the default of Options. Call it
// before Generate to learn early that it does not fit (the error wraps
// llama.ErrMemory or native.ErrMemory); otherwise Generate reserves the defaults.
func (e *Engine) Reserve(slots, context int) error {
	if err := e.acquire(); err != nil {
		return err
	}
	defer e.release()
	return e.reserve(slots, context)
}

func (e *Engine) reserve(slots, context int) error {
	o := e.opts
	if slots != 0 {
		o.Slots = slots
	}
	if context != 0 {
		o.Context = context
	}
	if slots != 0 && e.native == nil && e.asked.Contexts == 0 { // as many as these slots need
		o.Contexts = 0
		o = o.withDefaults(e.info.Context, e.gpu)
	}
	err := o.Validate()
	if err == nil && e.native == nil {
		err = o.checkContexts()
	}
	if err != nil {
		return err
	}
	if trained := e.info.Context; trained > 0 && o.Context > trained {
		return fmt.Errorf("%w: a context of %d tokens, the model was trained for %d", ErrOptions, o.Context, trained)
	}
	e.closeLanes()
	open := slots == 0 && e.asked.Slots == 0
	switch {
	case e.native != nil:
		err = e.native.fit(&o, open)
	case e.gpu:
		err = e.fit(&o, open)
	}
	if err != nil {
		return err
	}
	e.opts = o
	end := e.endTokens()
	for _, n := range o.split(e.fixedRows()) {
		l, err := e.newLane(n, end)
		if err != nil {
			e.closeLanes()
			return err
		}
		e.lanes = append(e.lanes, l)
	}
	return nil
}

// notEnds are tokens of code completion that llama.cpp takes for ends of
// generation in Qwen2.5's vocabulary; the checkpoint's own configuration does not.
var notEnds = map[string]bool{"<|fim_pad|>": true, "<|repo_name|>": true, "<|file_sep|>": true}

// endTokens are the tokens that end a completion.
func (e *Engine) endTokens() map[int32]bool {
	end := map[int32]bool{}
	for _, t := range e.model.Vocab().EndOfGeneration() {
		end[t] = true
	}
	for _, s := range e.model.Vocab().Specials() {
		if notEnds[s.Text] {
			delete(end, s.ID)
		}
	}
	return end
}

// exact reports whether the weights are float32. Then the cache is, too, and
// attention is computed with plain products: measured on the tiny model, states
// are within 3e-7 of the reference. Otherwise flash attention on a float16 cache is
// twice as fast and costs less than the weights' own rounding.
func (e *Engine) exact() bool {
	const allF32 = "0" // llama.cpp's LLAMA_FTYPE_ALL_F32
	fileType, _ := e.model.Meta("general.file_type")
	return fileType == allF32
}

// newContext allocates a context of the given size for this model.
func (e *Engine) newContext(sequences, cells, batch int, taps bool) (*llama.Context, error) {
	opts := llama.ContextOptions{
		Sequences: sequences,
		Cells:     cells,
		Batch:     batch,
		Threads:   e.opts.threadsPerContext(),
		KVType:    llama.TypeF16,
		Taps:      taps,
	}
	if e.exact() {
		opts.KVType, opts.NoFlashAttention = llama.TypeF32, true
	}
	return e.model.NewContext(opts)
}

// Info describes the model.
func (e *Engine) Info() llama.ModelInfo { return e.info }

// Files are the files in use.
func (e *Engine) Files() Files { return e.files }

// Options are those in force, defaults filled in.
func (e *Engine) Options() Options { return e.opts }

// Tokenizer is the model's.
func (e *Engine) Tokenizer() *Tokenizer { return e.tokenizer }

// Counts tells how much has been computed since Open.
func (e *Engine) Counts() Counts { return e.counters.Read() }

// acquire reserves the device for one call.
func (e *Engine) acquire() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return ErrClosed
	case e.busy:
		return ErrBusy
	}
	e.busy = true
	return nil
}

func (e *Engine) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.busy = false
}

// Close frees everything. It refuses while a Generate or States is running.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy {
		return ErrBusy
	}
	if e.closed {
		return nil
	}
	e.closed = true
	e.closeLanes()
	if e.native != nil {
		e.native.close()
	}
	if e.weights != nil {
		_ = e.weights.close() // the model goes, too
	}
	for _, a := range e.adapters {
		if a != nil {
			_ = a.Close()
		}
	}
	if e.model != nil {
		_ = e.model.Close()
	}
	for _, files := range e.pins {
		_ = files.Close()
	}
	return nil
}

// has reports whether an adapter of that name was opened.
func (e *Engine) has(adapter string) bool {
	_, ok := e.files.Adapters[adapter]
	return ok
}
