package llama

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"slices"
	"unsafe"
)

// Decode computes the batch: its tokens enter the cache, and rows marked as
// output leave logits behind. A tap, if not nil, is filled.
//
// After an error the cache of the batch's sequences is undefined: remove them.
func (c *Context) Decode(b *Batch, tap *Tap) error {
	return c.do(func() error {
		if err := c.check(b, tap); err != nil {
			return err
		}
		if err := c.setTap(tap); err != nil {
			return err
		}
		c.outputs = 0
		recentErrors.take()
		var rows *C.int32_t
		var dst *C.float
		var nRows int
		if tap != nil && len(tap.Rows) > 0 {
			rows, dst, nRows = (*C.int32_t)(&tap.Rows[0]), (*C.float)(&tap.Dst[0]), len(tap.Rows)
		}
		code := C.pp_decode(c.c, C.int(b.Len()), (*C.int32_t)(&b.Tokens[0]), (*C.int32_t)(&b.Pos[0]),
			(*C.int32_t)(&b.Seq[0]), (*C.int8_t)(&b.Output[0]), C.int(nRows), rows, dst)
		if err := decodeError(code); err != nil {
			return err
		}
		if tap == nil || !tap.Stop {
			for _, o := range b.Output {
				c.outputs += int(o)
			}
		}
		return nil
	})
}

// check refuses what llama.cpp would answer with an abort of the process.
func (c *Context) check(b *Batch, tap *Tap) error {
	n := b.Len()
	if n == 0 || n > c.opts.Batch {
		return fmt.Errorf("%w: %d tokens, want 1 to %d", ErrBatch, n, c.opts.Batch)
	}
	if len(b.Pos) != n || len(b.Seq) != n || len(b.Output) != n {
		return fmt.Errorf("%w: slices of lengths %d, %d, %d, %d", ErrBatch, n, len(b.Pos), len(b.Seq), len(b.Output))
	}
	for i := range n {
		if t := b.Tokens[i]; t < 0 || int(t) >= c.m.info.Vocab {
			return fmt.Errorf("%w: token %d is not in the vocabulary of %d", ErrBatch, t, c.m.info.Vocab)
		}
		if p := b.Pos[i]; p < 0 || int(p) >= c.cells {
			return fmt.Errorf("%w: position %d, a sequence holds %d tokens", ErrBatch, p, c.cells)
		}
		if err := c.checkSequence(int(b.Seq[i])); err != nil {
			return err
		}
	}
	if tap == nil {
		return nil
	}
	if !c.opts.Taps {
		return fmt.Errorf("%w: the context was made without taps", ErrBatch)
	}
	if want := len(tap.Names) * len(tap.Rows) * c.m.info.Hidden; len(tap.Dst) < want {
		return fmt.Errorf("%w: tap of %d tensors x %d rows into %d values", ErrBatch, len(tap.Names), len(tap.Rows), len(tap.Dst))
	}
	for _, r := range tap.Rows {
		if r < 0 || int(r) >= n {
			return fmt.Errorf("%w: tap of row %d, the batch has %d", ErrBatch, r, n)
		}
	}
	return nil
}

// setTap tells the C side which tensors to copy, when that changed.
func (c *Context) setTap(tap *Tap) error {
	var want Tap
	if tap != nil {
		want = Tap{Names: tap.Names, Stop: tap.Stop}
	}
	if slices.Equal(want.Names, c.tapped.Names) && want.Stop == c.tapped.Stop {
		return nil
	}
	names := make([]*C.char, len(want.Names)+1) // never empty, for &names[0]
	for i, n := range want.Names {
		names[i] = C.CString(n)
		defer C.free(unsafe.Pointer(names[i]))
	}
	if code := C.pp_context_tap(c.c, &names[0], C.int(len(want.Names)), C.bool(want.Stop)); code != C.PP_OK {
		return opError("tap", ErrMemory)
	}
	c.tapped = Tap{Names: slices.Clone(want.Names), Stop: want.Stop}
	return nil
}

func decodeError(code C.int) error {
	switch code {
	case C.PP_OK:
		return nil
	case C.PP_NO_SLOT:
		return opError("decode", ErrNoSlot)
	case C.PP_ABORTED:
		return opError("decode", ErrAborted)
	case C.PP_MEMORY:
		return opError("decode", ErrMemory)
	case C.PP_BATCH:
		return opError("decode", ErrBatch)
	case C.PP_SPLIT:
		return opError("decode: a tapped batch was computed in several pieces", ErrBatch)
	case C.PP_NO_TENSOR:
		return opError("decode: a tapped tensor is not in the model's graph", ErrBatch)
	default:
		return failure("decode", ErrCompute)
	}
}
