//go:build cgo

package native

// #include <stdlib.h>
// #include "table.h"
//
// enum { nv_n_functions = sizeof(nv_table) / sizeof(void *) };
//
// static const char *n_name(int i) {
//     static const char *names[] = {
// #define NV_NAME(name) #name,
//         NV_FUNCTIONS(NV_NAME)
// #undef NV_NAME
//     };
//     return names[i];
// }
// static void n_set(nv_table *t, int i, void *f) { ((void **) t)[i] = f; }
// static const char *n_error(nv_table *t) { return t->nv_error(); }
// static size_t n_model_bytes(nv_table *t, const nv_shape *s, int tied) { return t->nv_model_bytes(s, tied); }
// static size_t n_set_bytes(nv_table *t, const nv_shape *s) { return t->nv_set_bytes(s); }
// static size_t n_decoder_bytes(nv_table *t, const nv_shape *s, const nv_sizes *z) { return t->nv_decoder_bytes(s, z); }
// static int n_tile_rows(nv_table *t, const nv_shape *s) { return t->nv_tile_rows(s); }
// static void *n_pinned_new(nv_table *t, size_t n) { return t->nv_pinned_new(n); }
// static void n_pinned_free(nv_table *t, void *p) { t->nv_pinned_free(p); }
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"personaprobe/cgo/cudalib"
)

// Library is the native path's part of the kernels' library.
type Library struct {
	t *C.nv_table
}

// Open finds the functions. The error wraps cudalib.ErrLoad if one is missing or they
// are those of another version.
func Open(k *cudalib.Kernels) (*Library, error) {
	if err := k.CheckInterface(C.NV_WANTED_ABI); err != nil {
		return nil, err
	}
	t := (*C.nv_table)(C.calloc(1, C.size_t(unsafe.Sizeof(C.nv_table{}))))
	for i := range C.int(C.nv_n_functions) {
		f, err := k.Symbol(C.GoString(C.n_name(i)))
		if err != nil {
			C.free(unsafe.Pointer(t))
			return nil, err
		}
		C.n_set(t, i, f)
	}
	return &Library{t}, nil
}

// do makes a call and fetches its error from the same thread.
func (l *Library) do(op string, call func() C.int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	code := call()
	if code == 0 {
		return nil
	}
	return codeError(int(code), op, C.GoString(C.n_error(l.t)))
}

// ModelBytes is how much device memory the weights of a shape take, SetBytes a
// further set of its layer matrices, DecoderBytes a decoder.
func (l *Library) ModelBytes(s Shape) int64 {
	c := s.c()
	return int64(C.n_model_bytes(l.t, &c, s.tied()))
}

// SetBytes is documented with ModelBytes.
func (l *Library) SetBytes(s Shape) int64 {
	c := s.c()
	return int64(C.n_set_bytes(l.t, &c))
}

// DecoderBytes is documented with ModelBytes.
func (l *Library) DecoderBytes(s Shape, z Sizes) int64 {
	c, zc := s.c(), z.c()
	return int64(C.n_decoder_bytes(l.t, &c, &zc))
}

// TileRows is how many rows a tile of a prompt pass may have.
func (l *Library) TileRows(s Shape) int {
	c := s.c()
	return int(C.n_tile_rows(l.t, &c))
}

// Pinned is host memory that copies to the device at full speed.
type Pinned struct {
	Bytes []byte
	lib   *Library
}

// NewPinned returns n bytes. The error wraps ErrMemory.
func (l *Library) NewPinned(n int) (*Pinned, error) {
	p := C.n_pinned_new(l.t, C.size_t(n))
	if p == nil {
		return nil, fmt.Errorf("%w: %d bytes of pinned host memory", ErrMemory, n)
	}
	return &Pinned{unsafe.Slice((*byte)(p), n), l}, nil
}

// Close frees the memory.
func (p *Pinned) Close() {
	if p.Bytes != nil {
		C.n_pinned_free(p.lib.t, unsafe.Pointer(&p.Bytes[0]))
		p.Bytes = nil
	}
}

func (s *Shape) c() C.nv_shape {
	return C.nv_shape{
		layers: C.int32_t(s.Layers), hidden: C.int32_t(s.Hidden), ffn: C.int32_t(s.FFN), heads: C.int32_t(s.Heads),
		kv_heads: C.int32_t(s.KVHeads), head_dim: C.int32_t(s.HeadDim), vocab: C.int32_t(s.Vocab), _type: C.int32_t(s.Type),
		context: C.int32_t(s.Context), eps: C.float(s.Eps), rope_base: C.float(s.RopeBase),
	}
}

func (s *Shape) tied() C.int {
	if s.Tied {
		return 1
	}
	return 0
}

func (z *Sizes) c() C.nv_sizes {
	return C.nv_sizes{
		rows: C.int32_t(z.Rows), chunk: C.int32_t(z.Chunk), blocks: C.int32_t(z.Blocks),
		table: C.int32_t(z.Table), draws: C.int32_t(z.Draws), taps: C.int32_t(z.Taps),
	}
}
