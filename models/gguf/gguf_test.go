package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	gp "github.com/gpustack/gguf-parser-go"
	"pgregory.net/rapid"

	"personaprobe/internal/fault"
)

// everyType is metadata with each type of value, and a plain tensor list.
var everyType = []KV{
	{"general.architecture", "qwen2"}, {"u8", uint8(1)}, {"i8", int8(-2)}, {"u16", uint16(3)}, {"i16", int16(-4)},
	{"u32", uint32(5)}, {"i32", int32(-6)}, {"u64", uint64(7)}, {"i64", int64(-8)}, {"f32", float32(1.5)}, {"f64", -2.5},
	{"yes", true}, {"no", false}, {"text", "hé\x00llo"}, {"empty", ""},
	{"a.u8", []uint8{1, 2}}, {"a.i8", []int8{-1}}, {"a.u16", []uint16{1}}, {"a.i16", []int16{-1, 4}}, {"a.u32", []uint32{}},
	{"a.i32", []int32{-9}}, {"a.u64", []uint64{1 << 63}}, {"a.i64", []int64{-1 << 62}}, {"a.f32", []float32{0.1}},
	{"a.f64", []float64{0.1}}, {"a.bool", []bool{true, false}}, {"a.str", []string{"x", "", "ß"}},
}

// write stores tensors whose data is the byte i, repeated.
func write(t testing.TB, path string, kv []KV, tensors []TensorInfo) {
	t.Helper()
	w, err := Create(path, kv, tensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i, info := range tensors {
		if err := w.WriteAt(i, bytes.Repeat([]byte{byte(i + 1)}, int(info.Bytes())), 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func infos(f *File) []TensorInfo {
	var list []TensorInfo
	for _, t := range f.Tensors {
		list = append(list, t.TensorInfo)
	}
	return list
}

func TestRoundTrip(t *testing.T) {
	tensors := []TensorInfo{
		{"a", F32, []int64{3}}, {"b", F16, []int64{5, 7}}, {"c", Q8_0, []int64{64, 2, 3, 1}}, {"scalar", F32, []int64{}}, {"k", 14, []int64{256}},
	}
	for _, a := range []uint32{32, 1, 256} {
		kv := append([]KV{{alignmentKey, a}}, everyType...)
		path := filepath.Join(t.TempDir(), "x.gguf")
		write(t, path, kv, tensors)
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if diff := cmp.Diff(kv, f.Metadata); diff != "" {
			t.Errorf("metadata:\n%s", diff)
		}
		if diff := cmp.Diff(tensors, infos(f)); diff != "" {
			t.Errorf("tensors:\n%s", diff)
		}
		for i, x := range f.Tensors {
			raw, err := x.Raw()
			if err != nil || !bytes.Equal(raw, bytes.Repeat([]byte{byte(i + 1)}, int(x.Bytes()))) || x.Offset%int64(a) != 0 {
				t.Errorf("tensor %s at %d: %v", x.Name, x.Offset, err)
			}
		}
		if n, ok := f.Uint("u16"); !ok || n != 3 {
			t.Errorf("Uint(u16) = %d, %v", n, ok)
		}
		if _, ok := f.Uint("i16"); ok {
			t.Error("a negative number passed for unsigned")
		}
	}
}

// An independent reader sees the same metadata and tensors.
func TestAgreesWithGGUFParser(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kv, tensors := drawFile(rt)
		path := filepath.Join(t.TempDir(), "x.gguf")
		write(t, path, kv, tensors)
		defer os.Remove(path)
		compareWithParser(rt, path)
	})
}

type failer interface {
	Fatalf(format string, args ...any)
}

func compareWithParser(t failer, path string) {
	want, err := gp.ParseGGUFFile(path)
	if err != nil {
		t.Fatalf("gguf-parser: %v", err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer f.Close()
	if len(want.Header.MetadataKV) != len(f.Metadata) || len(want.TensorInfos) != len(f.Tensors) {
		t.Fatalf("%d keys and %d tensors, gguf-parser has %d and %d", len(f.Metadata), len(f.Tensors), len(want.Header.MetadataKV), len(want.TensorInfos))
	}
	for i, kv := range want.Header.MetadataKV {
		value := kv.Value
		if array, ok := value.(gp.GGUFMetadataKVArrayValue); ok {
			value = array.Array
		}
		if kv.Key != f.Metadata[i].Key || flat(value) != flat(f.Metadata[i].Value) {
			t.Fatalf("key %s: %v, gguf-parser has %s: %v", f.Metadata[i].Key, f.Metadata[i].Value, kv.Key, value)
		}
	}
	for i, info := range want.TensorInfos {
		x := f.Tensors[i]
		same := info.Name == x.Name && uint32(info.Type) == uint32(x.Type) && int64(info.Bytes()) == x.Bytes() &&
			want.TensorDataStartOffset+int64(info.Offset) == x.Offset && int(info.NDimensions) == len(x.Shape)
		for d := range x.Shape {
			same = same && int64(info.Dimensions[d]) == x.Shape[d]
		}
		if !same {
			t.Fatalf("tensor %s: %v at %d, gguf-parser has %+v", x.Name, x.TensorInfo, x.Offset, info)
		}
	}
}

// flat prints a value; an empty list and nil print alike.
func flat(v any) string {
	return strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%v", v), "["), "]")
}

func drawFile(rt *rapid.T) ([]KV, []TensorInfo) {
	var kv []KV
	if rapid.Bool().Draw(rt, "aligned") {
		kv = append(kv, KV{alignmentKey, rapid.SampledFrom([]uint32{8, 32, 64, 4096}).Draw(rt, "alignment")})
	}
	for i := range rapid.IntRange(0, 8).Draw(rt, "keys") {
		v := everyType[rapid.IntRange(0, len(everyType)-1).Draw(rt, "kv")].Value
		kv = append(kv, KV{fmt.Sprintf("key.%d", i), v})
	}
	var tensors []TensorInfo
	for i := range rapid.IntRange(0, 6).Draw(rt, "tensors") {
		kind := rapid.SampledFrom([]Type{F32, F16, BF16, Q8_0, F64, 2, 12, 14}).Draw(rt, "type")
		shape := []int64{kind.BlockSize() * rapid.Int64Range(1, 5).Draw(rt, "columns")}
		for range rapid.IntRange(0, 3).Draw(rt, "dims") {
			shape = append(shape, rapid.Int64Range(1, 4).Draw(rt, "rows"))
		}
		tensors = append(tensors, TensorInfo{fmt.Sprintf("t.%d", i), kind, shape})
	}
	return kv, tensors
}

func TestSplit(t *testing.T) {
	dir := t.TempDir()
	part := func(i int) string { return filepath.Join(dir, fmt.Sprintf("m-%05d-of-00003.gguf", i+1)) }
	for i := range 3 {
		kv := []KV{{splitNoKey, uint16(i)}, {splitCountKey, uint16(3)}, {splitTotalKey, int32(4)}}
		tensors := []TensorInfo{{fmt.Sprintf("t%d", i), F32, []int64{int64(i + 1)}}}
		if i == 0 {
			kv = append(kv, everyType...)
			tensors = append(tensors, TensorInfo{"u", F16, []int64{3}})
		}
		write(t, part(i), kv, tensors)
	}
	for i := range 3 {
		f, err := Open(part(i))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if len(f.Tensors) != 4 || len(f.Parts) != 3 || f.Tensor("t2").Part != 2 {
			t.Errorf("from part %d: %d tensors in %d parts", i, len(f.Tensors), len(f.Parts))
		}
		if s, _ := f.String("text"); s != "hé\x00llo" {
			t.Errorf("from part %d: metadata is not the first part's", i)
		}
		if raw, err := f.Tensor("t2").Raw(); err != nil || !bytes.Equal(raw, bytes.Repeat([]byte{1}, 12)) {
			t.Errorf("from part %d: t2 is %v, %v", i, raw, err)
		}
	}
	write(t, part(1), []KV{{splitNoKey, uint16(1)}, {splitCountKey, uint16(3)}}, []TensorInfo{{"t0", F32, []int64{1}}})
	if _, err := Open(part(0)); !errors.Is(err, fault.ErrFormat) || !strings.Contains(err.Error(), "t0") {
		t.Errorf("duplicate tensor: %v", err)
	}
	if err := os.Remove(part(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(part(0)); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "m-00002-of-00003") {
		t.Errorf("missing part: %v", err)
	}
	other := filepath.Join(dir, "other.gguf")
	if err := os.Rename(part(2), other); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(other); !errors.Is(err, fault.ErrFormat) {
		t.Errorf("renamed part: %v", err)
	}
}
