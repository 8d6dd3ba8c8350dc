//go:build cgo

package native

// #include "table.h"
//
// static int n_model_new(nv_table *t, nv_model **m, const nv_shape *s, int tied) { return t->nv_model_new(m, s, tied); }
// static void n_model_free(nv_table *t, nv_model *m) { t->nv_model_free(m); }
// static int n_model_write(nv_table *t, nv_model *m, int w, int l, size_t o, const void *d, size_t n, int lane) {
//     return t->nv_model_write(m, w, l, o, d, n, lane);
// }
// static int n_model_flush(nv_table *t, nv_model *m, int lane) { return t->nv_model_flush(m, lane); }
// static int n_model_read(nv_table *t, nv_model *m, int set, int w, int l, size_t o, void *d, size_t n) {
//     return t->nv_model_read(m, set, w, l, o, d, n);
// }
// static int n_set_new(nv_table *t, nv_model *m, int *set) { return t->nv_set_new(m, set); }
// static int n_set_reset(nv_table *t, nv_model *m, int set) { return t->nv_set_reset(m, set); }
// static int n_set_merge(nv_table *t, nv_model *m, int set, int w, int l, int row0, int rows, int cols, int rank,
//                        const float *a, const float *b) {
//     return t->nv_set_merge(m, set, w, l, row0, rows, cols, rank, a, b);
// }
// static int n_algorithms(nv_table *t, nv_model *m, int rows, const int32_t *chunks, int n_chunks, char *s, int n) {
//     return t->nv_algorithms(m, rows, chunks, n_chunks, s, n);
// }
import "C"

import (
	"fmt"
	"unsafe"
)

// Model is weights on the device: set 0, the base, and copies of its layer matrices
// with adapters merged in.
type Model struct {
	lib   *Library
	shape Shape
	m     *C.nv_model
}

// NewModel makes room for the weights, zero so far. The error wraps ErrUnsupported,
// ErrMemory or ErrDevice.
func (l *Library) NewModel(s Shape) (*Model, error) {
	m := &Model{lib: l, shape: s}
	c := s.c()
	err := l.do("new model", func() C.int { return C.n_model_new(l.t, &m.m, &c, s.tied()) })
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Shape is what the model was made with.
func (m *Model) Shape() Shape { return m.shape }

// Library is where the model comes from.
func (m *Model) Library() *Library { return m.lib }

// Close frees the weights. Its decoders must be closed before.
func (m *Model) Close() {
	if m.m != nil {
		C.n_model_free(m.lib.t, m.m)
		m.m = nil
	}
}

// Write queues a copy of data to a base weight, at a byte offset. With pinned data it
// returns at once, and data must not change before Flush of the lane.
func (m *Model) Write(w Weight, layer int, offset int64, data []byte, lane int) error {
	if len(data) == 0 {
		return nil
	}
	return m.do("write weights", func() C.int {
		return C.n_model_write(m.lib.t, m.m, C.int(w), C.int(layer), C.size_t(offset), unsafe.Pointer(&data[0]), C.size_t(len(data)), C.int(lane))
	})
}

// Flush waits for a lane's writes.
func (m *Model) Flush(lane int) error {
	return m.do("write weights", func() C.int { return C.n_model_flush(m.lib.t, m.m, C.int(lane)) })
}

// Read copies a weight of a set to data.
func (m *Model) Read(set int, w Weight, layer int, offset int64, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	return m.do("read weights", func() C.int {
		return C.n_model_read(m.lib.t, m.m, C.int(set), C.int(w), C.int(layer), C.size_t(offset), unsafe.Pointer(&data[0]), C.size_t(len(data)))
	})
}

// NewSet copies the base's layer matrices into a new set. The error wraps ErrMemory
// if they do not fit.
func (m *Model) NewSet() (int, error) {
	var set C.int
	err := m.do("new set of weights", func() C.int { return C.n_set_new(m.lib.t, m.m, &set) })
	return int(set), err
}

// ResetSet makes a set the base again, bit for bit.
func (m *Model) ResetSet(set int) error {
	return m.do("reset weights", func() C.int { return C.n_set_reset(m.lib.t, m.m, C.int(set)) })
}

// Merge adds the product to a set's weight: summed in float32 over rising rank,
// rounded once.
func (m *Model) Merge(set int, f Factors) error {
	if len(f.A) != f.Rank*f.Cols || len(f.B) != f.Rows*f.Rank || f.Rank < 1 || f.Rows < 1 {
		return fmt.Errorf("%w: factors of %d and %d elements for %d x %d of rank %d", ErrArgument, len(f.A), len(f.B), f.Rows, f.Cols, f.Rank)
	}
	return m.do("merge", func() C.int {
		return C.n_set_merge(m.lib.t, m.m, C.int(set), C.int(f.Weight), C.int(f.Layer), C.int(f.Row0), C.int(f.Rows),
			C.int(f.Cols), C.int(f.Rank), (*C.float)(&f.A[0]), (*C.float)(&f.B[0]))
	})
}

// Algorithms says what cuBLASLt chose for the matrix products of decode steps of so many
// rows and of passes of so many tokens each, for a manifest: rows x columns of the result
// x summands, f for a float32 result, then the numbers of algorithm, tile and stages and
// the parts of the sum.
func (m *Model) Algorithms(rows int, chunks ...int) (string, error) {
	text := make([]byte, 8192)
	sizes := make([]int32, len(chunks))
	for i, n := range chunks {
		sizes[i] = int32(n)
	}
	err := m.do("algorithms", func() C.int {
		return C.n_algorithms(m.lib.t, m.m, C.int(rows), (*C.int32_t)(at(sizes)), C.int(len(sizes)), (*C.char)(at(text)), C.int(len(text)))
	})
	if err != nil {
		return "", err
	}
	return C.GoString((*C.char)(at(text))), nil
}

func (m *Model) do(op string, call func() C.int) error {
	if m.m == nil {
		return ErrClosed
	}
	return m.lib.do(op, call)
}
