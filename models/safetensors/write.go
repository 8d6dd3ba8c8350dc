package safetensors

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"personaprobe/internal/atomicfile"
)

// Array is an array to be stored.
type Array struct {
	Name  string
	Shape []int64 // slowest-varying dimension first
	// DType of the stored elements; the zero value means F32.
	DType DType
	// Values are rounded to DType; a finite value that overflows is an error.
	Values []float32
	// Raw holds the stored bytes as they are, instead of Values.
	Raw []byte
	// Data gives the stored bytes as they are, for an array that is not held in memory.
	// It must end with the array.
	Data io.Reader
}

// Write stores arrays in the given order, with free-form metadata, as one file
// that appears whole or not at all.
func Write(path string, arrays []Array, metadata map[string]string) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := Encode(f, arrays, metadata); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.Commit()
}

// Encode is Write to anything else than a file of its own.
func Encode(w io.Writer, arrays []Array, metadata map[string]string) error {
	header, err := encodeHeader(arrays, metadata)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 1<<20)
	if _, err := b.Write(header); err != nil {
		return err
	}
	for _, a := range arrays {
		if err := a.write(b); err != nil {
			return fmt.Errorf("tensor %s: %w", a.Name, err)
		}
	}
	return b.Flush()
}

func (a Array) dtype() DType {
	if a.DType == "" {
		return F32
	}
	return a.DType
}

func (a Array) write(w io.Writer) error {
	if a.Raw != nil {
		_, err := w.Write(a.Raw)
		return err
	}
	if a.Data != nil {
		return a.copy(w)
	}
	kind, _ := a.dtype().GGML()
	const piece = 1 << 16
	buf := make([]byte, kind.Bytes(piece))
	for chunk := range slices.Chunk(a.Values, piece) {
		out := buf[:kind.Bytes(int64(len(chunk)))]
		if err := kind.Encode(out, chunk); err != nil {
			return err
		}
		if _, err := w.Write(out); err != nil {
			return err
		}
	}
	return nil
}

// copy writes Data, which must have the array's size.
func (a Array) copy(w io.Writer) error {
	want, err := a.size()
	if err != nil {
		return err
	}
	n, err := io.Copy(w, a.Data)
	if err == nil && n != want {
		err = fmt.Errorf("%d bytes of data for shape %v of %s", n, a.Shape, a.dtype())
	}
	return err
}

// size checks the array and returns its stored bytes.
func (a Array) size() (int64, error) {
	width, ok := bits[a.dtype()]
	if !ok {
		return 0, fmt.Errorf("unknown dtype %q", a.DType)
	}
	count := int64(1)
	for _, d := range a.Shape {
		if d < 0 || d > 0 && count > math.MaxInt64/64/d {
			return 0, fmt.Errorf("shape %v is negative or too large", a.Shape)
		}
		count *= d
	}
	size := count * width / 8
	if a.Data != nil {
		return size, nil
	}
	if a.Raw != nil {
		if int64(len(a.Raw)) != size || count*width%8 != 0 {
			return 0, fmt.Errorf("%d bytes for shape %v of %s", len(a.Raw), a.Shape, a.dtype())
		}
		return size, nil
	}
	if _, ok := a.dtype().GGML(); !ok {
		return 0, fmt.Errorf("no conversion from float32 to %s", a.DType)
	}
	if int64(len(a.Values)) != count {
		return 0, fmt.Errorf("%d values for shape %v", len(a.Values), a.Shape)
	}
	return size, nil
}

// encodeHeader returns the length and the JSON header, padded with spaces to 8
// bytes as the reference implementation does.
func encodeHeader(arrays []Array, metadata map[string]string) ([]byte, error) {
	b := append(make([]byte, 8), '{')
	if len(metadata) > 0 {
		raw, err := json.Marshal(map[string]any{metadataKey: metadata})
		if err != nil {
			return nil, err
		}
		b = append(b, raw[1:len(raw)-1]...)
	}
	seen := map[string]bool{metadataKey: true}
	offset := int64(0)
	for _, a := range arrays {
		if seen[a.Name] {
			return nil, fmt.Errorf("tensor %s occurs twice", a.Name)
		}
		seen[a.Name] = true
		size, err := a.size()
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", a.Name, err)
		}
		if len(b) > 9 {
			b = append(b, ',')
		}
		if b, err = appendEntry(b, a, offset, offset+size); err != nil {
			return nil, err
		}
		offset += size
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8))
	return b, nil
}

func appendEntry(b []byte, a Array, begin, end int64) ([]byte, error) {
	name, err := json.Marshal(a.Name)
	if err != nil {
		return nil, err
	}
	shape := a.Shape
	if shape == nil {
		shape = []int64{}
	}
	dtype := a.dtype()
	raw, err := json.Marshal(entry{DType: &dtype, Shape: &shape, Offsets: &[]int64{begin, end}})
	if err != nil {
		return nil, err
	}
	b = append(append(b, name...), ':')
	return append(b, raw...), nil
}
