package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"personaprobe/internal/fault"
	"personaprobe/internal/pin"
)

// Open opens a GGUF file and reads its metadata and tensor list. Given any part
// of a split model ("name-00002-of-00005.gguf") it opens all of them.
func Open(path string) (*File, error) {
	first, err := openOne(path)
	if err != nil {
		return nil, err
	}
	count, ok := first.Uint(splitCountKey)
	if !ok || count <= 1 {
		return first, nil
	}
	return openSplit(first, count)
}

func openOne(path string) (*File, error) {
	file, err := pin.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open GGUF file: %w", err)
	}
	f, err := Parse(file, file.Size())
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.Path, f.Parts = path, []string{path}
	f.pins.Take(file)
	return f, nil
}

// Parse reads the metadata and tensor list of a file of the given size. The
// tensors keep r. Parse does not follow a split model's other parts.
func Parse(r io.ReaderAt, size int64) (*File, error) {
	p := &parser{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), int(min(size, 1<<20))), left: size}
	f := &File{Size: size, keys: map[string]int{}, names: map[string]*Tensor{}, alignment: DefaultAlignment}
	tensors, pairs, err := p.header(f)
	if err != nil {
		return nil, err
	}
	if err := p.metadata(f, pairs); err != nil {
		return nil, err
	}
	if err := p.tensorInfos(f, tensors); err != nil {
		return nil, err
	}
	f.DataOffset = align(size-p.left, f.alignment)
	if err := f.placeTensors(r, size); err != nil {
		return nil, err
	}
	return f, nil
}

// placeTensors turns offsets within the data section into file offsets. Like
// llama.cpp it wants the data in the order of the list without gaps, so that
// tensors can neither overlap nor hide anything between them.
func (f *File) placeTensors(r io.ReaderAt, size int64) error {
	next := int64(0)
	for _, t := range f.Tensors {
		if t.Offset != next {
			return fault.Formatf("tensor %s: data at offset %d, expected %d", t.Name, t.Offset, next)
		}
		bytes := t.Bytes()
		if f.DataOffset > size || bytes > size-f.DataOffset-next {
			return fault.Formatf("tensor %s: file is truncated: %d bytes at offset %d, but the file ends at %d",
				t.Name, bytes, f.DataOffset+next, size)
		}
		t.Offset, t.src = f.DataOffset+next, r
		next = align(next+bytes, f.alignment)
	}
	return nil
}

// parser reads the part of a file before the tensor data. left is what the file
// still holds; nothing is allocated that exceeds it.
type parser struct {
	r    *bufio.Reader
	left int64
}

func (p *parser) header(f *File) (tensors, pairs uint64, err error) {
	var raw [24]byte
	if err := p.read(raw[:]); err != nil {
		return 0, 0, fmt.Errorf("header: %w", err)
	}
	if string(raw[:4]) != magic {
		return 0, 0, fault.Formatf("not a GGUF file: it starts with %q", raw[:4])
	}
	f.Version = binary.LittleEndian.Uint32(raw[4:])
	if f.Version&0xffff == 0 && f.Version != 0 {
		return 0, 0, fault.Unsupportedf("big-endian GGUF file")
	}
	if f.Version < 2 || f.Version > 3 {
		return 0, 0, fault.Unsupportedf("GGUF version %d; versions 2 and 3 are known", f.Version)
	}
	tensors, pairs = binary.LittleEndian.Uint64(raw[8:]), binary.LittleEndian.Uint64(raw[16:])
	// The smallest entries: a key's length, type and one byte; a name's length,
	// dimension count, type and offset.
	if left := uint64(p.left); pairs > left/13 || tensors > left/24 {
		return 0, 0, fault.Formatf("header announces %d tensors and %d metadata entries, more than %d bytes can hold", tensors, pairs, f.Size)
	}
	return tensors, pairs, nil
}

func (p *parser) metadata(f *File, pairs uint64) error {
	for i := range pairs {
		key, err := p.str()
		if err != nil {
			return fmt.Errorf("metadata entry %d: key: %w", i, err)
		}
		if _, twice := f.keys[key]; twice {
			return fault.Formatf("metadata key %q occurs twice", key)
		}
		value, err := p.value()
		if err != nil {
			return fmt.Errorf("metadata key %q: %w", key, err)
		}
		f.keys[key] = len(f.Metadata)
		f.Metadata = append(f.Metadata, KV{key, value})
	}
	value, ok := f.Value(alignmentKey)
	if !ok {
		return nil
	}
	a, ok := value.(uint32)
	if !ok || a == 0 || a&(a-1) != 0 || a > maxAlignment {
		return fault.Formatf("metadata key %q: %v (%T) is not a power of two of type uint32", alignmentKey, value, value)
	}
	f.alignment = int64(a)
	return nil
}

func (p *parser) tensorInfos(f *File, count uint64) error {
	for i := range count {
		t, err := p.tensorInfo()
		if err != nil {
			return fmt.Errorf("tensor %d: %w", i, err)
		}
		if err := t.check(); err != nil {
			return fault.Formatf("tensor %s: %w", t.Name, err)
		}
		if f.names[t.Name] != nil {
			return fault.Formatf("tensor %s occurs twice", t.Name)
		}
		f.names[t.Name] = t
		f.Tensors = append(f.Tensors, t)
	}
	return nil
}

func (p *parser) tensorInfo() (*Tensor, error) {
	t := &Tensor{}
	var err error
	if t.Name, err = p.str(); err != nil {
		return nil, fmt.Errorf("name: %w", err)
	}
	dims, err := p.u32()
	if err != nil {
		return nil, err
	}
	if dims > maxDims {
		return nil, fault.Formatf("tensor %s: %d dimensions, more than %d", t.Name, dims, maxDims)
	}
	t.Shape = make([]int64, dims)
	for i := range t.Shape {
		d, err := p.u64()
		if err != nil {
			return nil, err
		}
		if d > math.MaxInt64 {
			return nil, fault.Formatf("tensor %s: dimension %d is %d", t.Name, i, d)
		}
		t.Shape[i] = int64(d)
	}
	kind, err := p.u32()
	if err != nil {
		return nil, err
	}
	t.Type = Type(kind)
	offset, err := p.u64()
	if err != nil {
		return nil, err
	}
	if offset > math.MaxInt64 {
		return nil, fault.Formatf("tensor %s: offset %d", t.Name, offset)
	}
	t.Offset = int64(offset)
	return t, nil
}

// read fills b or reports that the file ends too early.
func (p *parser) read(b []byte) error {
	if int64(len(b)) > p.left {
		return fault.Formatf("file is truncated: %d bytes wanted, %d left", len(b), p.left)
	}
	p.left -= int64(len(b))
	if _, err := io.ReadFull(p.r, b); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

func (p *parser) u32() (uint32, error) {
	var b [4]byte
	err := p.read(b[:])
	return binary.LittleEndian.Uint32(b[:]), err
}

func (p *parser) u64() (uint64, error) {
	var b [8]byte
	err := p.read(b[:])
	return binary.LittleEndian.Uint64(b[:]), err
}

func (p *parser) str() (string, error) {
	n, err := p.u64()
	if err != nil {
		return "", err
	}
	if n > uint64(p.left) {
		return "", fault.Formatf("string of %d bytes, but only %d are left in the file", n, p.left)
	}
	b := make([]byte, n)
	err = p.read(b)
	return string(b), err
}
