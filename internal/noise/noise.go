// Package noise makes random weights as fast as a disk takes them.
//
// A weight is drawn by looking 16 random bits up in a table of 65,536 quantiles
// of a normal distribution that are already in the type to be stored. The bits
// come from SplitMix64 (Steele, Lea, Flood 2014) used as a counter, so that any
// part of a tensor can be made alone: the bytes do not depend on how the work was
// divided.
package noise

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"gonum.org/v1/gonum/stat/distuv"

	"personaprobe/models/gguf"
)

// entries of a table, addressed by 16 bits.
const entries = 1 << 16

// Tables builds each table once.
type Tables struct {
	mu     sync.Mutex
	tables map[key][]byte
}

type key struct {
	kind            gguf.Type
	mean, deviation float64
}

// NewTables returns an empty set of tables.
func NewTables() *Tables { return &Tables{tables: map[key][]byte{}} }

// Source returns the elements of a tensor as stored bytes, drawn from a normal
// distribution. kind is F32, F16 or BF16; for Q8_0 the elements are F32. seed and
// tensor select the random numbers.
func (t *Tables) Source(kind gguf.Type, seed, tensor uint64, mean, deviation float64) io.ReaderAt {
	if kind == gguf.Q8_0 {
		kind = gguf.F32
	}
	return &source{t.table(key{kind, mean, deviation}), int(kind.Bytes(1)), mix(seed) + mix(^tensor)}
}

func (t *Tables) table(k key) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if table, ok := t.tables[k]; ok {
		return table
	}
	normal := distuv.Normal{Mu: k.mean, Sigma: k.deviation}
	values := make([]float32, entries)
	for i := range values {
		values[i] = float32(normal.Quantile((float64(i) + 0.5) / entries))
	}
	table := make([]byte, k.kind.Bytes(entries))
	if err := k.kind.Encode(table, values); err != nil {
		panic(fmt.Sprintf("noise: %v", err)) // deviations here are near 1, types are the three above
	}
	t.tables[k] = table
	return table
}

// source is an endless io.ReaderAt over one tensor's elements.
type source struct {
	table []byte
	width int    // bytes per element
	key   uint64 // of the counter
}

// ReadAt fills p with whole elements; p and offset must be multiples of the
// width of an element times four, the elements per random number, except that p
// may end within the four.
func (s *source) ReadAt(p []byte, offset int64) (int, error) {
	first := offset / int64(s.width)
	if first%4 != 0 || offset%int64(s.width) != 0 {
		return 0, fmt.Errorf("noise: read at %d is not aligned to four elements", offset)
	}
	counter := uint64(first / 4)
	n := len(p)
	for len(p) > 0 {
		bits := mix(s.key + counter*golden)
		counter++
		for range 4 {
			if len(p) < s.width {
				break
			}
			i := bits & (entries - 1)
			if s.width == 2 {
				binary.LittleEndian.PutUint16(p, binary.LittleEndian.Uint16(s.table[2*i:]))
			} else {
				binary.LittleEndian.PutUint32(p, binary.LittleEndian.Uint32(s.table[4*i:]))
			}
			p, bits = p[s.width:], bits>>16
		}
	}
	return n, nil
}

// golden is SplitMix64's increment, 2^64 divided by the golden ratio.
const golden = 0x9E3779B97F4A7C15

// mix is SplitMix64's output function.
func mix(z uint64) uint64 {
	z += golden
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}
