package safetensors

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"personaprobe/internal/fault"
	"personaprobe/internal/jsonobj"
)

// maxHeader is the reference implementation's limit on the JSON header.
const maxHeader = 100_000_000

const metadataKey = "__metadata__"

// File is an open safetensors file, or all shards of a checkpoint.
type File struct {
	Path string
	// Metadata is the free-form string map of the header. For a sharded
	// checkpoint it is the first shard's.
	Metadata map[string]string
	// Tensors in the order of their data.
	Tensors []*Tensor
	// Size of all files, in bytes.
	Size int64

	names   map[string]*Tensor
	closers []io.Closer
}

// Tensor returns the named tensor, or nil.
func (f *File) Tensor(name string) *Tensor { return f.names[name] }

// Close closes the files. Tensors cannot be read afterwards.
func (f *File) Close() error {
	var errs []error
	for _, c := range f.closers {
		errs = append(errs, c.Close())
	}
	f.closers = nil
	return errors.Join(errs...)
}

// Open opens one safetensors file and checks its header.
func Open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open safetensors file: %w", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("open safetensors file: %w", err)
	}
	f, err := Parse(file, info.Size())
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.Path, f.closers = path, []io.Closer{file}
	for _, t := range f.Tensors {
		t.Path = path
	}
	return f, nil
}

// Parse reads the header of a file of the given size. The tensors keep r.
func Parse(r io.ReaderAt, size int64) (*File, error) {
	header, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	members, err := jsonobj.Parse(header)
	if err != nil {
		return nil, fault.Formatf("header: %w", err)
	}
	start := 8 + int64(len(header))
	f := &File{Size: size, names: make(map[string]*Tensor, len(members))}
	for _, m := range members {
		if m.Key == metadataKey {
			if err := json.Unmarshal(m.Value, &f.Metadata); err != nil {
				return nil, fault.Formatf("header: %s: %w", metadataKey, err)
			}
			continue
		}
		t, err := parseEntry(m.Key, m.Value, size-start)
		if err != nil {
			return nil, fault.Formatf("tensor %s: %w", m.Key, err)
		}
		f.names[t.Name] = t
		f.Tensors = append(f.Tensors, t)
	}
	return f, f.place(r, start, size)
}

func readHeader(r io.ReaderAt, size int64) ([]byte, error) {
	var raw [8]byte
	if size < int64(len(raw)) {
		return nil, fault.Formatf("file of %d bytes is too short for a safetensors header", size)
	}
	if _, err := r.ReadAt(raw[:], 0); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	n := binary.LittleEndian.Uint64(raw[:])
	if n > maxHeader {
		return nil, fault.Formatf("header length %d exceeds the limit of %d; not a safetensors file?", n, maxHeader)
	}
	if n > uint64(size)-8 {
		return nil, fault.Formatf("file is truncated: header of %d bytes, but the file has %d", n, size)
	}
	if n == 0 {
		return nil, fault.Formatf("header is empty; not a safetensors file?")
	}
	header := make([]byte, n)
	if _, err := r.ReadAt(header, 8); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	if header[0] != '{' {
		return nil, fault.Formatf("header does not start with '{'; not a safetensors file?")
	}
	return header, nil
}

// place sorts the tensors by position and checks that their data covers the
// file without a gap or an overlap.
func (f *File) place(r io.ReaderAt, start, size int64) error {
	slices.SortStableFunc(f.Tensors, func(a, b *Tensor) int {
		// An empty tensor shares its offset with the next one and comes first.
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.size, b.size))
	})
	next := int64(0)
	for _, t := range f.Tensors {
		if t.offset < next {
			return fault.Formatf("tensor %s: its data at %d overlaps the tensor before it, which ends at %d", t.Name, t.offset, next)
		}
		if t.offset > next {
			return fault.Formatf("tensor %s: its data starts at %d, but the tensor before it ends at %d", t.Name, t.offset, next)
		}
		next += t.size
		t.offset, t.src = start+t.offset, r
	}
	if start+next != size {
		return fault.Formatf("the header describes %d bytes of data, but the file holds %d", next, size-start)
	}
	return nil
}
