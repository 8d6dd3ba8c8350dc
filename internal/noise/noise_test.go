package noise

import (
	"bytes"
	"testing"

	"personaprobe/models/gguf"
)

// A piece holds what the whole holds at its place, and nothing repeats.
func TestPieces(t *testing.T) {
	tables := NewTables()
	for _, kind := range []gguf.Type{gguf.F32, gguf.F16, gguf.BF16} {
		const n = 1 << 16
		read := func(from, to, seed, tensor int64) []byte {
			raw := make([]byte, kind.Bytes(to-from))
			if _, err := tables.Source(kind, uint64(seed), uint64(tensor), 0, 1).ReadAt(raw, kind.Bytes(from)); err != nil {
				t.Fatal(err)
			}
			return raw
		}
		whole := read(0, n, 1, 2)
		for _, piece := range [][2]int64{{0, 4}, {4, 9}, {1024, n}, {n - 4, n - 1}} {
			if !bytes.Equal(read(piece[0], piece[1], 1, 2), whole[kind.Bytes(piece[0]):kind.Bytes(piece[1])]) {
				t.Errorf("%s: elements %v differ from the whole", kind, piece)
			}
		}
		half := kind.Bytes(n / 2)
		for name, other := range map[string][]byte{"second half": whole[half:], "seed": read(0, n/2, 2, 2), "tensor": read(0, n/2, 1, 3), "swapped": read(0, n/2, 2, 1)} {
			if bytes.Equal(whole[:half], other) {
				t.Errorf("%s: the %s repeats the numbers", kind, name)
			}
		}
	}
	if _, err := tables.Source(gguf.F32, 0, 0, 0, 1).ReadAt(make([]byte, 4), 4); err == nil {
		t.Error("a read between random numbers was accepted")
	}
}
