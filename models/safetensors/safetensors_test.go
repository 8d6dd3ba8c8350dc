package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"personaprobe/internal/allocs"
	"personaprobe/internal/fault"
)

// file is a header with its length in front and data behind.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func parse(raw []byte) (*File, error) { return Parse(bytes.NewReader(raw), int64(len(raw))) }

// The example of the format's own documentation, and what the reference
// implementation accepts besides.
func TestParse(t *testing.T) {
	f, err := parse(file(`{"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2,2],"data_offsets":[4,12]},"a":{"dtype":"I32","shape":[],"data_offsets":[0,4]}}  `, 12))
	if err != nil {
		t.Fatal(err)
	}
	if f.Metadata["format"] != "pt" || len(f.Tensors) != 2 || f.Tensors[0].Name != "a" || f.Tensor("b").Bytes() != 8 {
		t.Errorf("read %v, %v", f.Metadata, f.Tensors)
	}
	for _, ok := range [][]byte{
		file(`{}`, 0),
		file(`{"e":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`, 8),
		file(`{"q":{"dtype":"F4","shape":[3,2],"data_offsets":[0,3]}}`, 3),
	} {
		if _, err := parse(ok); err != nil {
			t.Errorf("%s: %v", ok[8:], err)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, c := range []struct {
		raw  []byte
		want string
	}{
		{nil, "too short"},
		{file(`{}`, 0)[:9], "truncated"},
		{append(binary.LittleEndian.AppendUint64(nil, 1<<62), '{'), "exceeds the limit"},
		{file(``, 0), "empty"},
		{file(`[]`, 0), "does not start"},
		{file(`{"a":`, 0), "header"},
		{file(`{} x`, 0), "after its end"},
		{file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), `"a" occurs twice`},
		{file(`{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}`, 4), `tensor a: unknown dtype "F33"`},
		{file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4), "tensor a: data_offsets [0, 4] hold 4 bytes, but shape [2] of F32 needs 8"},
		{file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4), "negative"},
		{file(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, 0), "too large"},
		{file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4), "outside"},
		{file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, 4), "outside"},
		{file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}`, 4), "data_offsets [begin, end] is missing"},
		{file(`{"a":{"dtype":"F32","shape":[1]}}`, 4), "missing"},
		{file(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, 4), "tensor a"},
		{file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}`, 4), "unknown field"},
		{file(`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, 1), "tensor a"},
		{file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "tensor b: its data at 4 overlaps"},
		{file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "tensor a: its data starts at 4"},
		{file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 5), "4 bytes of data, but the file holds 5"},
		{file(`{"__metadata__":{"n":1}}`, 0), "__metadata__"},
		{file(`{"a":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+`}`, 0), "header"},
	} {
		_, err := parse(c.raw)
		if !errors.Is(err, fault.ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.120q: error %v, want one with %q", c.raw, err, c.want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	rapid.Check(t, func(rt *rapid.T) {
		var arrays []Array
		for i := range rapid.IntRange(0, 5).Draw(rt, "arrays") {
			shape := rapid.SliceOfN(rapid.Int64Range(0, 4), 0, 3).Draw(rt, "shape")
			count := int64(1)
			for _, d := range shape {
				count *= d
			}
			a := Array{Name: fmt.Sprintf("t.%d\"é", i), Shape: shape, DType: rapid.SampledFrom([]DType{"", F32, F16, BF16, F64}).Draw(rt, "dtype")}
			for range count {
				a.Values = append(a.Values, float32(rapid.IntRange(-128, 128).Draw(rt, "value")))
			}
			arrays = append(arrays, a)
		}
		metadata := rapid.MapOf(rapid.String(), rapid.String()).Draw(rt, "metadata")
		if err := Write(path, arrays, metadata); err != nil {
			rt.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			rt.Fatal(err)
		}
		defer f.Close()
		if len(f.Tensors) != len(arrays) || len(metadata) > 0 && !sameKeys(metadata, f.Metadata) {
			rt.Fatalf("%d tensors of %d, metadata %v of %v", len(f.Tensors), len(arrays), f.Metadata, metadata)
		}
		for _, a := range arrays {
			got, err := f.Tensor(a.Name).Floats()
			if err != nil || len(got) != len(a.Values) || len(got) > 0 && !cmp.Equal(got, a.Values) {
				rt.Fatalf("tensor %s: %v of %v, %v", a.Name, got, a.Values, err)
			}
		}
	})
}

// sameKeys compares counts only: JSON replaces invalid UTF-8.
func sameKeys(a, b map[string]string) bool { return len(a) >= len(b) && len(b) > 0 }

func TestWriteRefusals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	for _, arrays := range [][]Array{
		{{Name: "a", Shape: []int64{2}, Values: []float32{1}}},
		{{Name: "a", Shape: []int64{1}, Values: []float32{1}}, {Name: "a", Shape: []int64{1}, Values: []float32{1}}},
		{{Name: "a", Shape: []int64{1}, DType: "I8", Values: []float32{1}}},
		{{Name: "a", Shape: []int64{1}, DType: F16, Values: []float32{1e6}}},
		{{Name: "a", Shape: []int64{2}, DType: "I8", Raw: []byte{1}}},
		{{Name: "__metadata__", Shape: []int64{1}, Values: []float32{1}}},
	} {
		if err := Write(path, arrays, nil); err == nil {
			t.Errorf("%+v was written", arrays)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFloatsOfIntegers(t *testing.T) {
	f, err := parse(file(`{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}`, 8))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Tensor("a").Floats(); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("error %v", err)
	}
}

// shards writes a two-shard checkpoint with the given weight_map.
func shards(t *testing.T, where map[string]string) string {
	dir := t.TempDir()
	one := []Array{{Name: "a", Shape: []int64{1}, Values: []float32{1}}}
	two := []Array{{Name: "b", Shape: []int64{1}, Values: []float32{2}}, {Name: "c", Shape: []int64{1}, Values: []float32{3}}}
	index, err := json.Marshal(map[string]any{"weight_map": where})
	if err := errors.Join(err, Write(filepath.Join(dir, "s1.safetensors"), one, nil), Write(filepath.Join(dir, "s2.safetensors"), two, nil),
		os.WriteFile(filepath.Join(dir, IndexName), index, 0o666)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestShards(t *testing.T) {
	good := map[string]string{"a": "s1.safetensors", "b": "s2.safetensors", "c": "s2.safetensors"}
	f, err := OpenDir(shards(t, good))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if v, err := f.Tensor("c").Floats(); err != nil || v[0] != 3 || len(f.Tensors) != 3 {
		t.Errorf("c = %v, %v", v, err)
	}
	with := func(name, shard string) map[string]string {
		m := map[string]string{}
		for k, v := range good {
			m[k] = v
		}
		if m[name] = shard; shard == "" {
			delete(m, name)
		}
		return m
	}
	for _, c := range []struct {
		where map[string]string
		want  string
		kind  error
	}{
		{with("a", "s3.safetensors"), "shard s3.safetensors is missing", os.ErrNotExist},
		{with("a", "s2.safetensors"), "a", fault.ErrFormat},
		{with("d", "s2.safetensors"), "tensor d is not in s2.safetensors", fault.ErrFormat},
		{with("c", ""), "tensor c is not assigned", fault.ErrFormat},
		{with("a", "../s1.safetensors"), "not a path inside", fault.ErrFormat},
		{with("a", "/etc/passwd"), "not a path inside", fault.ErrFormat},
		{map[string]string{}, "names no tensors", fault.ErrFormat},
	} {
		_, err := OpenDir(shards(t, c.where))
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want one with %q", c.where, err, c.want)
		}
	}
	dir := shards(t, good)
	if err := Write(filepath.Join(dir, "s1.safetensors"), []Array{
		{Name: "a", Shape: []int64{1}, Values: []float32{1}}, {Name: "b", Shape: []int64{1}, Values: []float32{1}}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(dir); !errors.Is(err, fault.ErrFormat) {
		t.Errorf("a tensor in two shards: %v", err)
	}
	raw := []byte(`{"weight_map":{"a":"s1.safetensors","a":"s2.safetensors"}}`)
	if err := os.WriteFile(filepath.Join(dir, IndexName), raw, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(dir); !errors.Is(err, fault.ErrFormat) || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a tensor twice in the index: %v", err)
	}
}

func TestOpenDirWithoutWeights(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenDir(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty directory: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pytorch_model.bin"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(dir); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("pickled weights: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(file(`{"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2,2],"data_offsets":[4,12]},"a":{"dtype":"I32","shape":[],"data_offsets":[0,4]}}  `, 12))
	f.Add(file(`{"e":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]}}`, 0))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var file *File
		var err error
		if n := allocs.During(func() { file, err = parse(raw) }); n > 64*uint64(len(raw))+8<<20 {
			t.Fatalf("%d bytes allocated for a file of %d", n, len(raw))
		}
		if err != nil {
			return
		}
		total := int64(0)
		for _, x := range file.Tensors {
			data, err := x.Raw()
			if err != nil {
				t.Fatalf("tensor %s: %v", x.Name, err)
			}
			total += int64(len(data))
		}
		if total > int64(len(raw)) {
			t.Fatalf("%d bytes of tensors in a file of %d", total, len(raw))
		}
	})
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":1},"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		where, list, err := parseIndex(raw)
		if err != nil {
			return
		}
		if len(where) == 0 || len(list) > len(where) {
			t.Fatalf("%d shards of %d tensors", len(list), len(where))
		}
		for _, shard := range list {
			if !filepath.IsLocal(shard) {
				t.Fatalf("shard %q", shard)
			}
		}
	})
}
