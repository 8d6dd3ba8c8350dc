package models

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"personaprobe/models/gguf"
)

// scanElements is how many values are decoded at a time.
const scanElements = 512 << 10

// maxScans bounds the tensors scanned at a time, and so the memory: 4 MB each.
const maxScans = 16

// Values summarises the values of a tensor.
type Values struct {
	NotFinite int64   `json:"not_finite"` // NaN and infinities
	MaxAbs    float64 `json:"max_abs"`    // of the finite values
	RMS       float64 `json:"rms"`        // root mean square of the finite values
}

// stored is a tensor of either format as bytes of a known type.
type stored struct {
	name     string
	kind     gguf.Type
	elements int64
	data     *io.SectionReader
}

// scan summarises one tensor.
func (t stored) scan(ctx context.Context) (Values, error) {
	var v Values
	var squares float64
	raw, floats := make([]byte, t.kind.Bytes(scanElements)), make([]float32, scanElements)
	for start := int64(0); start < t.elements; start += scanElements {
		if err := ctx.Err(); err != nil {
			return v, err
		}
		n := min(scanElements, t.elements-start)
		piece := raw[:t.kind.Bytes(n)]
		if _, err := t.data.ReadAt(piece, t.kind.Bytes(start)); err != nil {
			return v, fmt.Errorf("tensor %s: read: %w", t.name, err)
		}
		if err := t.kind.Decode(floats[:n], piece); err != nil {
			return v, fmt.Errorf("tensor %s: %w", t.name, err)
		}
		squares += v.add(floats[:n])
	}
	if finite := t.elements - v.NotFinite; finite > 0 {
		v.RMS = math.Sqrt(squares / float64(finite))
	}
	return v, nil
}

// add accounts for some values and returns the sum of their squares.
func (v *Values) add(values []float32) (squares float64) {
	top := float32(0)
	for _, x := range values {
		a := math.Float32frombits(math.Float32bits(x) &^ (1 << 31))
		if !(a <= math.MaxFloat32) {
			v.NotFinite++
			continue
		}
		top = max(top, a)
		squares += float64(x) * float64(x)
	}
	v.MaxAbs = max(v.MaxAbs, float64(top))
	return squares
}

// scanAll summarises tensors in parallel, in their order. Those whose type has
// no conversion give a nil entry.
func scanAll(ctx context.Context, tensors []stored, progress Progress) ([]*Values, error) {
	out := make([]*Values, len(tensors))
	var total, done int64
	for _, t := range tensors {
		total += t.kind.Bytes(t.elements)
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(min(runtime.GOMAXPROCS(0), maxScans))
	for i, t := range tensors {
		if !t.kind.CanDecode() {
			continue
		}
		group.Go(func() error {
			v, err := t.scan(ctx)
			out[i] = &v
			mu.Lock()
			defer mu.Unlock()
			if done += t.kind.Bytes(t.elements); progress != nil && err == nil {
				progress(done, total)
			}
			return err
		})
	}
	return out, group.Wait()
}

// FileSum is a file's size and SHA-256.
type FileSum struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // hexadecimal
}

// sumFile hashes a file.
func sumFile(ctx context.Context, path string) (FileSum, error) {
	f, err := os.Open(path)
	if err != nil {
		return FileSum{}, fmt.Errorf("hash: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.CopyBuffer(h, ctxReader{ctx, f}, make([]byte, 1<<20))
	if err != nil {
		return FileSum{}, fmt.Errorf("hash %s: %w", path, err)
	}
	return FileSum{path, n, hex.EncodeToString(h.Sum(nil))}, nil
}

// ctxReader ends a copy when its context is cancelled.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
