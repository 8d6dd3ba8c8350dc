package llama

// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"unsafe"
)

// Context is a KV cache with the buffers to compute on it.
type Context struct {
	m     *Model
	opts  ContextOptions
	cells int // per sequence, as llama.cpp rounded it

	mu      sync.Mutex
	c       *C.pp_context // nil once closed; changes only with abortMu held as well
	outputs int           // rows of logits of the last Decode
	tapped  Tap           // what the C side has been told

	abortMu sync.Mutex // for Abort, which must not wait for a running Decode
}

// NewContext allocates a context. The error wraps [ErrMemory] when it does not
// fit.
func (m *Model) NewContext(opts ContextOptions) (*Context, error) {
	if opts.Sequences < 1 || opts.Sequences > MaxSequences || opts.Cells < 1 || opts.Batch < 1 {
		return nil, fmt.Errorf("%w: context of %d sequences (at most %d) x %d cells, batch %d",
			ErrBatch, opts.Sequences, MaxSequences, opts.Cells, opts.Batch)
	}
	cells := (opts.Cells + 255) / 256 * 256
	if int64(cells) > math.MaxInt32/int64(opts.Sequences) || opts.Batch > math.MaxInt32 {
		return nil, fmt.Errorf("%w: context of %d sequences x %d cells, batch %d: llama.cpp counts to 2^31",
			ErrBatch, opts.Sequences, opts.Cells, opts.Batch)
	}
	if opts.Threads == 0 {
		opts.Threads = runtime.NumCPU()
	}
	if err := m.use(); err != nil {
		return nil, err
	}
	recentErrors.take()
	c := C.pp_context_new(m.c, C.pp_context_params{
		n_ctx:      C.uint32_t(cells * opts.Sequences),
		n_seq_max:  C.uint32_t(opts.Sequences),
		n_batch:    C.uint32_t(opts.Batch),
		n_threads:  C.int32_t(opts.Threads),
		kv_type:    C.int32_t(opts.KVType),
		flash_attn: C.bool(!opts.NoFlashAttention),
		taps:       C.bool(opts.Taps),
	})
	if c == nil {
		m.unuse()
		return nil, opError(fmt.Sprintf("new context of %d sequences x %d tokens", opts.Sequences, cells), ErrMemory)
	}
	return &Context{m: m, opts: opts, c: c, cells: int(C.llama_n_ctx_seq(C.pp_context_llama(c)))}, nil
}

// MaxSequences is how many sequences a context can have (LLAMA_MAX_SEQ).
const MaxSequences = 256

// Options returns what the context was made with.
func (c *Context) Options() ContextOptions { return c.opts }

// Cells is the length in tokens that each sequence can have.
func (c *Context) Cells() int { return c.cells }

// Close frees the context.
func (c *Context) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.c == nil {
		return nil
	}
	c.abortMu.Lock()
	defer c.abortMu.Unlock()
	C.pp_context_free(c.c)
	c.c = nil
	c.m.unuse()
	return nil
}

// Clear empties all sequences.
func (c *Context) Clear() error {
	return c.do(func() error {
		if code := C.pp_clear(c.c); code != C.PP_OK {
			return failure("clear", ErrCompute)
		}
		return nil
	})
}

// Remove drops the tokens of a sequence from position from on; from 0 empties
// it.
func (c *Context) Remove(seq, from int) error {
	return c.do(func() error {
		if err := c.checkSequence(seq); err != nil {
			return err
		}
		if code := C.pp_remove(c.c, C.int(seq), C.int(from)); code != C.PP_OK {
			return failure("remove tokens", ErrCompute)
		}
		return nil
	})
}

// Fork makes sequence dst a copy of sequence src, whole.
func (c *Context) Fork(dst, src int) error {
	return c.do(func() error {
		for _, s := range []int{dst, src} {
			if err := c.checkSequence(s); err != nil {
				return err
			}
		}
		if dst == src {
			return nil
		}
		if code := C.pp_fork(c.c, C.int(src), C.int(dst)); code != C.PP_OK {
			return failure("fork", ErrCompute)
		}
		return nil
	})
}

// Abort makes a running Decode on the CPU end with [ErrAborted], and later ones
// too until Abort(false).
func (c *Context) Abort(on bool) {
	c.abortMu.Lock()
	defer c.abortMu.Unlock()
	if c.c != nil {
		C.pp_context_abort(c.c, C.bool(on))
	}
}

func (c *Context) checkSequence(seq int) error {
	if seq < 0 || seq >= c.opts.Sequences {
		return fmt.Errorf("%w: sequence %d, have %d", ErrBatch, seq, c.opts.Sequences)
	}
	return nil
}

// do runs f with the context locked and open.
func (c *Context) do(f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.c == nil {
		return fmt.Errorf("context: %w", ErrClosed)
	}
	return f()
}

// Logits returns the rows of the last Decode's outputs in the batch's order,
// rows x vocabulary float32. The memory is llama.cpp's and valid until the next
// call of Decode or Close.
func (c *Context) Logits() ([]float32, error) {
	var out []float32
	err := c.do(func() error {
		n := c.outputs * c.m.info.Vocab
		if n == 0 {
			return nil
		}
		p := C.pp_logits(c.c)
		if p == nil {
			return opError("read logits", ErrCompute)
		}
		out = unsafe.Slice((*float32)(unsafe.Pointer(p)), n)
		return nil
	})
	return out, err
}
