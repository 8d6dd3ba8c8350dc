package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"personaprobe/internal/atomicfile"
)

// Progress is called with the tensor bytes written so far and their total.
// Calls do not overlap.
type Progress func(done, total int64)

// storage is what a Writer needs of an atomicfile.File; tests fail its methods.
type storage interface {
	io.WriterAt
	Truncate(size int64) error
	Commit() error
	Abort()
}

// Writer writes a GGUF file whose metadata and tensor list are known at the
// start. Tensor data may arrive in any order, also from several goroutines.
// The file appears under its name at Commit; until then it is temporary.
type Writer struct {
	path     string
	file     storage
	tensors  []TensorInfo
	offsets  []int64 // of each tensor's data in the file
	progress Progress

	mu      sync.Mutex
	written []int64 // bytes written of each tensor
	done    int64
	total   int64
}

// Create starts a file with the metadata in the given order. progress may be
// nil. The caller must call Commit, and Abort when it gives up; a deferred Abort
// after Commit does nothing.
func Create(path string, metadata []KV, tensors []TensorInfo, progress Progress) (*Writer, error) {
	header, err := encodeHeader(metadata, tensors)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	file, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	return start(path, file, header, metadata, tensors, progress)
}

func start(path string, file storage, header []byte, metadata []KV, tensors []TensorInfo, progress Progress) (*Writer, error) {
	w := &Writer{path: path, file: file, tensors: tensors, progress: progress,
		offsets: make([]int64, len(tensors)), written: make([]int64, len(tensors))}
	a := alignmentOf(metadata)
	next := align(int64(len(header)), a)
	for i, t := range tensors {
		w.offsets[i] = next
		next = align(next+t.Bytes(), a)
		w.total += t.Bytes()
	}
	// Truncate makes the padding zero without writing it.
	err := file.Truncate(next)
	if err == nil {
		_, err = file.WriteAt(header, 0)
	}
	if err != nil {
		file.Abort()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return w, nil
}

// encodeHeader returns everything before the tensor data.
func encodeHeader(metadata []KV, tensors []TensorInfo) ([]byte, error) {
	b := binary.LittleEndian.AppendUint32([]byte(magic), Version)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(tensors)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(metadata)))
	keys := make(map[string]bool, len(metadata))
	for _, kv := range metadata {
		if keys[kv.Key] {
			return nil, fmt.Errorf("metadata key %q occurs twice", kv.Key)
		}
		keys[kv.Key] = true
		var err error
		if b, err = appendValue(appendString(b, kv.Key), kv.Value); err != nil {
			return nil, fmt.Errorf("metadata key %q: %w", kv.Key, err)
		}
	}
	a := alignmentOf(metadata)
	if keys[alignmentKey] && (a <= 0 || a&(a-1) != 0 || a > maxAlignment) {
		return nil, fmt.Errorf("metadata key %q must be a power of two of type uint32", alignmentKey)
	}
	names := make(map[string]bool, len(tensors))
	offset := int64(0)
	for _, t := range tensors {
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		if names[t.Name] {
			return nil, fmt.Errorf("tensor %s occurs twice", t.Name)
		}
		names[t.Name] = true
		b = appendInfo(b, t, offset)
		offset = align(offset+t.Bytes(), a)
	}
	return b, nil
}

func appendInfo(b []byte, t TensorInfo, offset int64) []byte {
	b = appendString(b, t.Name)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Shape)))
	for _, d := range t.Shape {
		b = binary.LittleEndian.AppendUint64(b, uint64(d))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(t.Type))
	return binary.LittleEndian.AppendUint64(b, uint64(offset))
}

func alignmentOf(metadata []KV) int64 {
	for _, kv := range metadata {
		if kv.Key == alignmentKey {
			a, _ := kv.Value.(uint32)
			return int64(a)
		}
	}
	return DefaultAlignment
}

// WriteAt writes a piece of tensor i at the given offset within its data. The
// pieces of a tensor must not overlap, because Commit counts bytes.
func (w *Writer) WriteAt(i int, p []byte, offset int64) error {
	t := w.tensors[i]
	if offset < 0 || int64(len(p)) > t.Bytes()-offset {
		return fmt.Errorf("write %s: tensor %s: %d bytes at %d exceed its %d", w.path, t.Name, len(p), offset, t.Bytes())
	}
	if _, err := w.file.WriteAt(p, w.offsets[i]+offset); err != nil {
		return fmt.Errorf("write %s: tensor %s: %w", w.path, t.Name, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written[i] += int64(len(p))
	w.done += int64(len(p))
	if w.progress != nil {
		w.progress(w.done, w.total)
	}
	return nil
}

// Commit checks that every tensor was written, makes the file durable and gives
// it its name.
func (w *Writer) Commit() error {
	for i, t := range w.tensors {
		if w.written[i] != t.Bytes() {
			w.file.Abort()
			return fmt.Errorf("write %s: tensor %s: %d of %d bytes were written", w.path, t.Name, w.written[i], t.Bytes())
		}
	}
	return w.file.Commit()
}

// Abort removes the temporary file.
func (w *Writer) Abort() { w.file.Abort() }
