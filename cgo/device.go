package llama

// #include "shim.h"
import "C"

import (
	"fmt"
	"time"

	"personaprobe/cgo/cudalib"
)

// DecodeOnDevice is Decode without a tap that leaves the logits where they were
// computed, for kernels to read; they are valid until the next decode. rows[k]
// becomes the row of the k-th output of the batch. It returns when the device is done.
//
// A batch that llama.cpp would not compute as one piece is [ErrBatch]: sequences must
// be neighbours and get equally many tokens. stable says that batches of this size
// will follow one another, so that launching them as a graph pays.
//
// launching is how long it took to hand the work to the device; waiting for it comes
// on top.
func (c *Context) DecodeOnDevice(b *Batch, stable bool, rows []int32) (out cudalib.Logits, launching time.Duration, err error) {
	err = c.do(func() error {
		if err := c.check(b, nil); err != nil {
			return err
		}
		if err := c.setTap(nil); err != nil {
			return err
		}
		outputs := 0
		for _, o := range b.Output {
			outputs += int(o)
		}
		if len(rows) < outputs || outputs == 0 && len(rows) == 0 {
			return fmt.Errorf("%w: %d outputs, room for %d", ErrBatch, outputs, len(rows))
		}
		c.outputs = 0
		recentErrors.take()
		var logits C.pp_device_logits
		code := C.pp_decode_device(c.c, C.int(b.Len()), (*C.int32_t)(&b.Tokens[0]), (*C.int32_t)(&b.Pos[0]),
			(*C.int32_t)(&b.Seq[0]), (*C.int8_t)(&b.Output[0]), C.bool(stable), &logits, (*C.int32_t)(&rows[0]))
		if err := decodeError(code); err != nil {
			return err
		}
		launching = time.Duration(logits.launch_ns)
		out = cudalib.Logits{At: cudalib.Memory(uintptr(logits.at)), OnHost: bool(logits.on_host), Stride: c.m.info.Vocab, Vocab: c.m.info.Vocab}
		return nil
	})
	return out, launching, err
}

// Pair is a weight that an adapter changes, with the two factors of the change.
type Pair = cudalib.Pair

// Pairs lists the weights that an adapter changes, as they lie in memory. An adapter
// that changes the embedding or does not fit is [ErrBatch]: it can only be applied at
// run time.
func (a *Adapter) Pairs() ([]Pair, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.c == nil {
		return nil, fmt.Errorf("adapter: %w", ErrClosed)
	}
	out := make([]Pair, C.pp_lora_size(a.c))
	for i := range out {
		var p C.pp_lora_pair
		if C.pp_lora_get(a.m.c, a.c, C.int(i), &p) != C.PP_OK {
			return nil, fmt.Errorf("%w: the adapter changes a weight that cannot be merged in place", ErrBatch)
		}
		out[i] = Pair{
			W: cudalib.Memory(uintptr(p.w)), A: cudalib.Memory(uintptr(p.a)), B: cudalib.Memory(uintptr(p.b)),
			WType: int(p.w_type), AType: int(p.a_type), BType: int(p.b_type), Rank: int(p.rank),
			In: int(p.n_in), Out: int(p.n_out), Bytes: int(p.bytes), Scale: float64(p.scale), OnHost: bool(p.on_host),
		}
	}
	return out, nil
}
