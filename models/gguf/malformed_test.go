package gguf

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"personaprobe/internal/allocs"
	"personaprobe/internal/fault"
)

// A file cut anywhere is an error, except within the padding after the last
// tensor, which llama.cpp does not need either.
func TestTruncated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.gguf")
	write(t, path, everyType, []TensorInfo{{"a", F32, []int64{3}}, {"b", F16, []int64{9}}})
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Parse(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	last := whole.Tensors[1]
	for n := range raw {
		_, err := Parse(bytes.NewReader(raw[:n]), int64(n))
		if int64(n) >= last.Offset+last.Bytes() {
			if err != nil {
				t.Errorf("cut to %d of %d bytes: %v", n, len(raw), err)
			}
		} else if !errors.Is(err, fault.ErrFormat) {
			t.Errorf("cut to %d of %d bytes: error %v, want a format error", n, len(raw), err)
		}
	}
}

func TestMalformed(t *testing.T) {
	header := func(tensors, pairs uint64, rest ...byte) []byte {
		b := []byte("GGUF\x03\x00\x00\x00")
		for _, n := range []uint64{tensors, pairs} {
			for i := range 8 {
				b = append(b, byte(n>>(8*i)))
			}
		}
		return append(b, rest...)
	}
	encode := func(kv []KV, tensors []TensorInfo) []byte {
		b, err := encodeHeader(kv, tensors)
		if err != nil {
			t.Fatal(err)
		}
		return append(b, make([]byte, 4096)...)
	}
	replace := func(b []byte, from, to string) []byte {
		if !bytes.Contains(b, []byte(from)) {
			t.Fatalf("%q is not in the file", from)
		}
		return bytes.Replace(b, []byte(from), []byte(to), 1)
	}
	two := encode([]KV{{"aa", uint32(1)}, {"bb", uint32(2)}}, []TensorInfo{{"t1", F32, []int64{8}}, {"t2", F32, []int64{8}}})
	for name, c := range map[string]struct {
		raw  []byte
		want string
		kind error
	}{
		"empty":            {nil, "truncated", fault.ErrFormat},
		"other format":     {bytes.Repeat([]byte("PK\x03\x04"), 16), "not a GGUF file", fault.ErrFormat},
		"version 1":        {replace(two, "GGUF\x03", "GGUF\x01"), "version 1", fault.ErrUnsupported},
		"version 4":        {replace(two, "GGUF\x03", "GGUF\x04"), "version 4", fault.ErrUnsupported},
		"big endian":       {replace(two, "GGUF\x03\x00\x00\x00", "GGUF\x00\x00\x00\x03"), "big-endian", fault.ErrUnsupported},
		"many tensors":     {header(1<<62, 0), "announces", fault.ErrFormat},
		"many keys":        {header(0, 1<<62), "announces", fault.ErrFormat},
		"long key":         {header(0, 1, append([]byte{255, 255, 255, 255, 255, 255, 255, 127}, make([]byte, 99)...)...), "string of", fault.ErrFormat},
		"duplicate key":    {replace(two, "bb", "aa"), `"aa" occurs twice`, fault.ErrFormat},
		"duplicate tensor": {replace(two, "t2", "t1"), "t1 occurs twice", fault.ErrFormat},
		"alignment 0":      {encode([]KV{{"xeneral.alignment", uint32(0)}}, nil), "", nil},
		"offset":           {replace(two, "t2\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20", "t2\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), "tensor t2: data at offset 0, expected 32", fault.ErrFormat},
		"type":             {replace(two, "t1\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00", "t1\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x63"), "tensor t1: unknown ggml type 99", fault.ErrFormat},
		"dimensions":       {replace(two, "t1\x01", "t1\x05"), "5 dimensions", fault.ErrFormat},
		"zero dimension":   {replace(two, "t1\x01\x00\x00\x00\x08", "t1\x01\x00\x00\x00\x00"), "empty or too large", fault.ErrFormat},
		"huge dimension":   {replace(two, "t1\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00", "t1\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x7f"), "too large", fault.ErrFormat},
		"block":            {replace(two, "t1\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00", "t1\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x08"), "block of 32", fault.ErrFormat},
		"bool":             {replace(encode([]KV{{"flag", true}}, nil), "flag\x07\x00\x00\x00\x01", "flag\x07\x00\x00\x00\x02"), "truth value", fault.ErrFormat},
		"nested array":     {replace(encode([]KV{{"list", []uint8{1}}}, nil), "list\x09\x00\x00\x00\x00", "list\x09\x00\x00\x00\x09"), "nested", fault.ErrFormat},
		"long array":       {replace(encode([]KV{{"list", []uint8{1}}}, nil), "list\x09\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00", "list\x09\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x10"), "array of", fault.ErrFormat},
		"long strings":     {replace(encode([]KV{{"list", []string{"a"}}}, nil), "list\x09\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00", "list\x09\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x10"), "array of", fault.ErrFormat},
		"value type":       {replace(encode([]KV{{"flag", true}}, nil), "flag\x07", "flag\x0d"), "unknown value type 13", fault.ErrFormat},
	} {
		_, err := Parse(bytes.NewReader(c.raw), int64(len(c.raw)))
		if c.kind == nil {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	for _, bad := range []any{uint32(0), uint32(48), uint64(32), "32", uint32(1 << 31)} {
		raw := encode([]KV{{"xeneral.alignment", bad}}, nil)
		raw = replace(raw, "xeneral", "general")
		if _, err := Parse(bytes.NewReader(raw), int64(len(raw))); !errors.Is(err, fault.ErrFormat) {
			t.Errorf("alignment %v (%T): %v", bad, bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	raw, err := encodeHeader(everyType, []TensorInfo{{"a", F32, []int64{3}}, {"b", Q8_0, []int64{32, 2}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(raw, make([]byte, 256)...))
	f.Add([]byte("GGUF\x02\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var file *File
		var err error
		// What the longest list of the shortest entries needs, and the read buffer.
		bound := 64*uint64(len(raw)) + 8<<20
		if n := allocs.During(func() { file, err = Parse(bytes.NewReader(raw), int64(len(raw))) }); n > bound {
			t.Fatalf("%d bytes allocated for a file of %d", n, len(raw))
		}
		if err != nil {
			return
		}
		for _, x := range file.Tensors {
			if x.Offset < file.DataOffset || x.Bytes() > int64(len(raw))-x.Offset {
				t.Fatalf("tensor %s: %d bytes at %d of %d", x.Name, x.Bytes(), x.Offset, len(raw))
			}
			if data, err := x.Raw(); err != nil || int64(len(data)) != x.Bytes() {
				t.Fatalf("tensor %s: %v", x.Name, err)
			}
		}
		// What was read can be written, and reads the same.
		again, err := encodeHeader(file.Metadata, infos(file))
		if err != nil {
			t.Fatalf("cannot be written again: %v", err)
		}
		again = append(again, make([]byte, file.Size+maxAlignmentSlack(file))...)
		second, err := Parse(bytes.NewReader(again), int64(len(again)))
		if err != nil {
			t.Fatalf("written again: %v", err)
		}
		if len(second.Metadata) != len(file.Metadata) || !cmp.Equal(infos(second), infos(file)) {
			t.Fatal("written again, it differs")
		}
	})
}

// maxAlignmentSlack is room for padding, unless the alignment is absurd.
func maxAlignmentSlack(f *File) int64 { return min(f.alignment, 1<<20) * int64(len(f.Tensors)+1) }
