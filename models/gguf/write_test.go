package gguf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestWriterRefusals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.gguf")
	one := TensorInfo{"t", F32, []int64{4}}
	for name, c := range map[string]struct {
		kv      []KV
		tensors []TensorInfo
	}{
		"duplicate key":    {[]KV{{"a", uint8(1)}, {"a", uint8(1)}}, nil},
		"duplicate tensor": {nil, []TensorInfo{one, one}},
		"type":             {[]KV{{"a", 1}}, nil},
		"alignment":        {[]KV{{alignmentKey, uint32(33)}}, nil},
		"long name":        {nil, []TensorInfo{{strings.Repeat("n", 64), F32, []int64{4}}}},
		"block":            {nil, []TensorInfo{{"t", Q8_0, []int64{33}}}},
	} {
		if _, err := Create(path, c.kv, c.tensors, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	w, err := Create(path, nil, []TensorInfo{one}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteAt(0, make([]byte, 17), 0); err == nil {
		t.Error("a write past the end of a tensor was accepted")
	}
	if err := errors.Join(w.WriteAt(0, make([]byte, 8), 0), w.Commit()); err == nil || !strings.Contains(err.Error(), "tensor t: 8 of 16") {
		t.Errorf("an incomplete file was committed: %v", err)
	}
	empty(t, filepath.Dir(path))
}

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// full is a storage that fails after some bytes, as a full disk does.
type full struct {
	left    int
	aborted bool
	commit  error
}

func (f *full) WriteAt(p []byte, _ int64) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}
func (f *full) Truncate(int64) error { return nil }
func (f *full) Commit() error        { return f.commit }
func (f *full) Abort()               { f.aborted = true }

func TestDiskFull(t *testing.T) {
	tensors := []TensorInfo{{"first", F32, []int64{100}}, {"second", F32, []int64{100}}}
	header, err := encodeHeader(nil, tensors)
	if err != nil {
		t.Fatal(err)
	}
	for left := range len(header) + 1000 {
		disk := &full{left: left}
		w, err := start("out.gguf", disk, header, nil, tensors, nil)
		for i := 0; err == nil && i < len(tensors); i++ {
			err = w.WriteAt(i, make([]byte, 400), 0)
		}
		enough := left >= len(header)+800
		if enough != (err == nil) {
			t.Fatalf("with room for %d bytes: %v", left, err)
		}
		if !enough && (!errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "out.gguf")) {
			t.Fatalf("with room for %d bytes: %v", left, err)
		}
		if left < len(header) && !disk.aborted {
			t.Fatal("the temporary file stayed")
		}
	}
}

func TestCopier(t *testing.T) {
	const n = 3*chunkElements + 64
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(i%2048) / 64
	}
	raw := make([]byte, F16.Bytes(n))
	if err := F16.Encode(raw, values); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.gguf")
	tensors := []TensorInfo{{"same", F16, []int64{n}}, {"wide", F32, []int64{n}}, {"edited", F32, []int64{n}}}
	var last int64
	w, err := Create(path, nil, tensors, func(done, total int64) {
		if done <= last || done > total || total != 10*n {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	c := w.NewCopier(context.Background())
	for i := range tensors {
		var edit Edit
		if i == 2 {
			edit = func(v []float32, start int64) error {
				for j := range v {
					v[j] += float32(start + int64(j))
				}
				return nil
			}
		}
		c.Add(i, bytes.NewReader(raw), F16, edit)
	}
	if err := errors.Join(c.Wait(), w.Commit()); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	same, _ := f.Tensor("same").Raw()
	wide, _ := f.Tensor("wide").Floats()
	edited, _ := f.Tensor("edited").Floats()
	if !bytes.Equal(same, raw) {
		t.Error("a copy of the same type differs")
	}
	for i, v := range values {
		if wide[i] != v || edited[i] != v+float32(i) {
			t.Fatalf("element %d: %g, %g and %g", i, v, wide[i], edited[i])
		}
	}
}

// cancelled readers end a copy.
type cancelReader struct{ cancel func() }

func (r cancelReader) ReadAt(p []byte, _ int64) (int, error) { r.cancel(); return len(p), nil }

func TestCopierErrors(t *testing.T) {
	tensors := []TensorInfo{{"big", F16, []int64{40 * chunkElements}}}
	dir := t.TempDir()
	attempt := func(ctx context.Context, src io.ReaderAt) error {
		w, err := Create(filepath.Join(dir, "x.gguf"), nil, tensors, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		c := w.NewCopier(ctx)
		c.Add(0, src, F32, nil)
		return c.Wait()
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := attempt(ctx, cancelReader{cancel}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := attempt(context.Background(), strings.NewReader("short")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short source: %v", err)
	}
	huge := make([]byte, F32.Bytes(40*chunkElements))
	copy(huge[4*(chunkElements+5):], "\x00\x00\x80\x7e") // 8.5e37
	var r *RangeError
	err := attempt(context.Background(), bytes.NewReader(huge))
	if !errors.As(err, &r) || !strings.Contains(err.Error(), fmt.Sprintf("tensor big: element %d", chunkElements+5)) {
		t.Errorf("overflow: %v", err)
	}
	empty(t, dir)
}
