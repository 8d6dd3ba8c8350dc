//go:build cgo

package cudalib

// #include "table.h"
//
// static int k_alloc(pp_table *t, uintptr_t *p, size_t n) { return t->pp_alloc((void **) p, n); }
// static int k_free(pp_table *t, uintptr_t p) { return t->pp_free((void *) p); }
// static int k_copy_in(pp_table *t, uintptr_t d, const void *h, size_t n, uintptr_t s) {
//     return t->pp_copy_in((void *) d, h, n, (cudaStream_t) s);
// }
// static int k_copy_out(pp_table *t, void *h, uintptr_t d, size_t n, uintptr_t s) {
//     return t->pp_copy_out(h, (void *) d, n, (cudaStream_t) s);
// }
// static int k_stream_new(pp_table *t, uintptr_t *s) { return t->pp_stream_new((cudaStream_t *) s); }
// static int k_stream_free(pp_table *t, uintptr_t s) { return t->pp_stream_free((cudaStream_t) s); }
// static int k_stream_wait(pp_table *t, uintptr_t s) { return t->pp_stream_wait((cudaStream_t) s); }
// static int k_event_new(pp_table *t, uintptr_t *e) { return t->pp_event_new((void **) e); }
// static int k_event_free(pp_table *t, uintptr_t e) { return t->pp_event_free((void *) e); }
// static int k_event_record(pp_table *t, uintptr_t e, uintptr_t s) { return t->pp_event_record((void *) e, (cudaStream_t) s); }
// static int k_event_elapsed(pp_table *t, float *ms, uintptr_t a, uintptr_t b) {
//     return t->pp_event_elapsed(ms, (void *) a, (void *) b);
// }
// static int k_copy_within(pp_table *t, uintptr_t d, uintptr_t from, size_t n, uintptr_t s) {
//     return t->pp_copy_within((void *) d, (const void *) from, n, (cudaStream_t) s);
// }
// static int k_merge(pp_table *t, uintptr_t dst, uintptr_t base, int type, int64_t in, int64_t out, uintptr_t a, int at, uintptr_t b, int bt,
//                    int rank, double scale, uintptr_t s) {
//     return t->pp_merge((void *) dst, (const void *) base, type, in, out, (const void *) a, at, (const void *) b, bt, rank, scale,
//                        (cudaStream_t) s);
// }
// static int k_sample(pp_table *t, uintptr_t l, int64_t stride, int v, uintptr_t d, int n, uintptr_t o, uintptr_t s) {
//     return t->pp_sample((const float *) l, stride, v, (const pp_draw *) d, n, (pp_choice *) o, (cudaStream_t) s);
// }
import "C"

import (
	"fmt"
	"unsafe"
)

// Alloc returns n bytes of device memory.
func (k *Kernels) Alloc(n int) (Memory, error) {
	var p C.uintptr_t
	err := k.check(fmt.Sprintf("allocate %d bytes", n), C.k_alloc(k.t, &p, C.size_t(n)))
	return Memory(p), err
}

// Free returns memory of Alloc.
func (k *Kernels) Free(m Memory) error {
	return k.check("free", C.k_free(k.t, C.uintptr_t(m)))
}

// CopyIn copies values to the device and waits until they are there.
func CopyIn[T any](k *Kernels, dst Memory, values []T, s Stream) error {
	if len(values) == 0 {
		return nil
	}
	n := C.size_t(len(values)) * C.size_t(unsafe.Sizeof(values[0]))
	if err := k.check("copy to the device", C.k_copy_in(k.t, C.uintptr_t(dst), unsafe.Pointer(&values[0]), n, C.uintptr_t(s))); err != nil {
		return err
	}
	return k.Wait(s)
}

// CopyOut copies values from the device, after all earlier work of the stream.
func CopyOut[T any](k *Kernels, values []T, src Memory, s Stream) error {
	if len(values) == 0 {
		return nil
	}
	n := C.size_t(len(values)) * C.size_t(unsafe.Sizeof(values[0]))
	if err := k.check("copy from the device", C.k_copy_out(k.t, unsafe.Pointer(&values[0]), C.uintptr_t(src), n, C.uintptr_t(s))); err != nil {
		return err
	}
	return k.Wait(s)
}

// NewStream returns a stream that does not wait for the default one.
func (k *Kernels) NewStream() (Stream, error) {
	var s C.uintptr_t
	err := k.check("new stream", C.k_stream_new(k.t, &s))
	return Stream(s), err
}

// FreeStream frees a stream of NewStream.
func (k *Kernels) FreeStream(s Stream) error {
	return k.check("free stream", C.k_stream_free(k.t, C.uintptr_t(s)))
}

// Wait waits for all work of a stream. Its error may be that of any earlier kernel.
func (k *Kernels) Wait(s Stream) error {
	return k.check("wait for the device", C.k_stream_wait(k.t, C.uintptr_t(s)))
}

// NewEvent returns an event for timing.
func (k *Kernels) NewEvent() (Event, error) {
	var e C.uintptr_t
	err := k.check("new event", C.k_event_new(k.t, &e))
	return Event(e), err
}

// FreeEvent frees an event of NewEvent.
func (k *Kernels) FreeEvent(e Event) error {
	return k.check("free event", C.k_event_free(k.t, C.uintptr_t(e)))
}

// Record marks this point of a stream.
func (k *Kernels) Record(e Event, s Stream) error {
	return k.check("record event", C.k_event_record(k.t, C.uintptr_t(e), C.uintptr_t(s)))
}

// Elapsed waits for the second event and returns the milliseconds between the two.
func (k *Kernels) Elapsed(from, to Event) (ms float64, err error) {
	var out C.float
	err = k.check("elapsed time", C.k_event_elapsed(k.t, &out, C.uintptr_t(from), C.uintptr_t(to)))
	return float64(out), err
}

// Sample queues n draws, [Draw] values in device memory, on a stream. out is device
// memory for n [Choice] values. It does not wait.
func (k *Kernels) Sample(l Logits, draws Memory, n int, out Memory, s Stream) error {
	return k.check("sample", C.k_sample(k.t, C.uintptr_t(l.At), C.int64_t(l.Stride), C.int(l.Vocab), C.uintptr_t(draws), C.int(n),
		C.uintptr_t(out), C.uintptr_t(s)))
}

// CopyWithin queues a copy of n bytes inside device memory.
func (k *Kernels) CopyWithin(dst, src Memory, n int, s Stream) error {
	return k.check("copy on the device", C.k_copy_within(k.t, C.uintptr_t(dst), C.uintptr_t(src), C.size_t(n), C.uintptr_t(s)))
}

// Merge queues dst = base + times x p.Scale x p.B x p.A, of p.W's size and type, with the
// bits that lora.Merge computes. base may be dst.
func (k *Kernels) Merge(dst, base Memory, p Pair, times float64, s Stream) error {
	return k.check("merge adapter", C.k_merge(k.t, C.uintptr_t(dst), C.uintptr_t(base), C.int(p.WType), C.int64_t(p.In), C.int64_t(p.Out),
		C.uintptr_t(p.A), C.int(p.AType), C.uintptr_t(p.B), C.int(p.BType), C.int(p.Rank), C.double(times*p.Scale), C.uintptr_t(s)))
}
