package gguf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// chunkElements is how much of a tensor a worker converts at a time: a multiple
// of every block size, 2 MiB as float32, so that a worker's buffers stay in the
// second-level cache and memory stays small however large the tensor.
const chunkElements = 512 << 10

// maxWorkers bounds the buffers; beyond it disks, not cores, set the pace.
const maxWorkers = 16

// Copier fills the tensors of a Writer from sources in parallel.
type Copier struct {
	w      *Writer
	group  *errgroup.Group
	parent context.Context // the caller's; ctx is also cancelled by Wait
	ctx    context.Context
	free   chan *buffers
	finite bool
}

type buffers struct {
	src, dst []byte
	floats   []float32
}

// NewCopier returns a Copier for w. Wait must be called.
func (w *Writer) NewCopier(ctx context.Context) *Copier {
	n := min(runtime.GOMAXPROCS(0), maxWorkers)
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(n)
	c := &Copier{w: w, group: group, parent: ctx, ctx: inner, free: make(chan *buffers, n)}
	for range n {
		c.free <- &buffers{}
	}
	return c
}

// RefuseNonFinite makes a NaN or an infinity an error, in what is copied as it is and
// in what an Edit leaves. Types that cannot be decoded are not looked into.
func (c *Copier) RefuseNonFinite() { c.finite = true }

// Edit changes elements [start, start+len(values)) of a tensor in place, between
// decoding and encoding. It runs concurrently for different ranges.
type Edit func(values []float32, start int64) error

// Add schedules tensor i to be filled from src, whose elements have type from.
// Where the types are equal and edit is nil the bytes are copied as they are;
// else they are converted through float32. Add blocks while all workers are busy.
func (c *Copier) Add(i int, src io.ReaderAt, from Type, edit Edit) {
	t := c.w.tensors[i]
	total := t.Elements()
	for start := int64(0); start < total; start += chunkElements {
		if c.ctx.Err() != nil {
			return
		}
		n := min(chunkElements, total-start)
		c.group.Go(func() error {
			if err := c.ctx.Err(); err != nil {
				return err
			}
			b := <-c.free
			defer func() { c.free <- b }()
			if err := c.chunk(b, i, src, from, edit, start, n); err != nil {
				return c.where(i, start, err)
			}
			return nil
		})
	}
}

// where names the tensor in an error about its content.
func (c *Copier) where(i int, start int64, err error) error {
	t := c.w.tensors[i]
	var r *RangeError
	if errors.As(err, &r) {
		at := start + int64(r.Index)
		err = fmt.Errorf("element %d (row %d): %w", at, at/t.Shape[0], r)
		if v := float64(r.Value); v-v == 0 {
			err = fmt.Errorf("%w; use f32 or bf16", err)
		}
	}
	return fmt.Errorf("tensor %s: %w", t.Name, err)
}

func (c *Copier) chunk(b *buffers, i int, src io.ReaderAt, from Type, edit Edit, start, n int64) error {
	to := c.w.tensors[i].Type
	b.src = grow(b.src, from.Bytes(n))
	if n, err := src.ReadAt(b.src, from.Bytes(start)); n < len(b.src) {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // the file was cut since it was opened
		}
		return fmt.Errorf("read: %w", err)
	}
	asIs := from == to && edit == nil
	if asIs && (!c.finite || !from.CanDecode()) {
		return c.w.WriteAt(i, b.src, from.Bytes(start))
	}
	b.floats = grow(b.floats, n)
	if err := from.Decode(b.floats, b.src); err != nil {
		return err
	}
	if edit != nil {
		if err := edit(b.floats, start); err != nil {
			return err
		}
	}
	if c.finite {
		if err := to.CheckFinite(b.floats); err != nil {
			return err
		}
	}
	if asIs {
		return c.w.WriteAt(i, b.src, from.Bytes(start))
	}
	b.dst = grow(b.dst, to.Bytes(n))
	if err := to.Encode(b.dst, b.floats); err != nil {
		return err
	}
	return c.w.WriteAt(i, b.dst, to.Bytes(start))
}

func grow[T any](s []T, n int64) []T {
	if int64(cap(s)) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Wait waits for all pieces and returns the first error, the context's if it
// was cancelled.
func (c *Copier) Wait() error {
	if err := c.group.Wait(); err != nil {
		return err
	}
	return c.parent.Err()
}
