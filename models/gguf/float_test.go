package gguf

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/x448/float16"
	"pgregory.net/rapid"
)

// fnv is FNV-1a over values of any width, as the C program below computed it.
type fnv uint64

const fnvStart fnv = 1469598103934665603

func (h *fnv) add(v uint32) { *h = (*h ^ fnv(v)) * 1099511628211 }

// The hashes come from a C program that includes ggml-impl.h and ggml-common.h of
// ollama v0.17.4 and runs ggml's own functions on the same inputs: every 97th
// float32 bit pattern, all float16 ones, and 200,000 blocks of Q8_0.
const (
	wantToF16   fnv = 0x1e1a2ef3bbc05be2
	wantToBF16  fnv = 0x2e2d06b139dc2361
	wantFromF16 fnv = 0x4e490a78b9f38383
	wantQ8      fnv = 0x94ca29f1fb68afd7
)

func TestFloatsLikeGGML(t *testing.T) {
	toF16, toBF16, fromF16 := fnvStart, fnvStart, fnvStart
	for i := uint64(0); i < 1<<32; i += 97 {
		f := math.Float32frombits(uint32(i))
		toF16.add(uint32(F32ToF16(f)))
		toBF16.add(uint32(F32ToBF16(f)))
	}
	for i := range uint32(1 << 16) {
		fromF16.add(math.Float32bits(F16ToF32(uint16(i))))
	}
	if toF16 != wantToF16 || toBF16 != wantToBF16 || fromF16 != wantFromF16 {
		t.Errorf("float32 to float16 %x, to bfloat16 %x, float16 to float32 %x", toF16, toBF16, fromF16)
	}
}

// float16.Float16 is another implementation of IEEE 754 half precision.
func TestF16LikeIEEE(t *testing.T) {
	for i := range uint32(1 << 16) {
		want := float16.Frombits(uint16(i)).Float32()
		got := F16ToF32(uint16(i))
		if got != want && !(got != got && want != want) {
			t.Fatalf("F16ToF32(%#x) = %g, want %g", i, got, want)
		}
		if back := F32ToF16(got); got == got && back != uint16(i) {
			t.Fatalf("%#x becomes %g and %#x", i, got, back)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		f := math.Float32frombits(rapid.Uint32().Draw(rt, "bits"))
		if got, want := F32ToF16(f), float16.Fromfloat32(f).Bits(); f == f && got != want {
			rt.Fatalf("F32ToF16(%g) = %#x, want %#x", f, got, want)
		}
	})
}

func TestQ8LikeGGML(t *testing.T) {
	s := uint64(88172645463325252) // xorshift64, as in the C program
	random := func() uint32 {
		s ^= s << 13
		s ^= s >> 7
		s ^= s << 17
		return uint32(s >> 32)
	}
	hash := fnvStart
	raw := make([]byte, q8Bytes)
	for n := range 200000 {
		var x [q8Block]float32
		e := int(random()%40) - 20
		for j := range x {
			x[j] = float32(math.Ldexp(float64(float32(int32(random()))/2147483648), e))
			if n%7 == 0 { // exact halves, where the direction of rounding shows
				x[j] = float32(math.Round(float64(x[j]*8))) / 2 * 127 / 127
			}
		}
		if n%1000 == 0 {
			x = [q8Block]float32{}
		}
		if err := Q8_0.Encode(raw, x[:]); err != nil {
			t.Fatal(err)
		}
		for _, b := range raw {
			hash.add(uint32(b))
		}
	}
	if hash != wantQ8 {
		t.Errorf("Q8_0 blocks hash to %x, ggml's to %x", hash, wantQ8)
	}
}

// A value comes back within half a quantum of its block.
func TestQ8Error(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := rapid.SliceOfN(rapid.Float32Range(-1e4, 1e4), 64, 64).Draw(rt, "x")
		raw, back := make([]byte, Q8_0.Bytes(64)), make([]float32, 64)
		if err := errors.Join(Q8_0.Encode(raw, x), Q8_0.Decode(back, raw)); err != nil {
			rt.Fatal(err)
		}
		for i := range x {
			d := float64(F16ToF32(binary.LittleEndian.Uint16(raw[i/32*q8Bytes:])))
			// The scale itself is rounded to float16, up to 1/2048 of 127 quanta.
			if diff := math.Abs(float64(x[i] - back[i])); diff > d*(0.5+127.0/2048)+1e-7 {
				rt.Fatalf("element %d: %g became %g, quantum %g", i, x[i], back[i], d)
			}
		}
	})
}

func TestEncodeRefusesWhatDoesNotFit(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		t  Type
		x  float32
		ok bool
	}{
		{F16, 65504, true}, {F16, 65519, true}, {F16, 65520, false}, {F16, -1e5, false}, {F16, inf, true}, {F16, nan, true},
		{BF16, 3.38e38, true}, {BF16, math.MaxFloat32, false}, {BF16, -inf, true},
		{F32, inf, true}, {Q8_0, inf, false}, {Q8_0, nan, false}, {Q8_0, 8e6, true}, {Q8_0, 9e6, false}, {Q8_0, 1e-44, true},
	} {
		x := make([]float32, 32)
		x[3] = c.x
		err := c.t.Encode(make([]byte, c.t.Bytes(32)), x)
		var r *RangeError
		if (err == nil) != c.ok || err != nil && !errors.As(err, &r) {
			t.Errorf("%s.Encode(%g): %v", c.t, c.x, err)
		}
	}
	if err := Q8_0.Encode(make([]byte, 34), make([]float32, 31)); err == nil {
		t.Error("a broken block was encoded")
	}
	if err := Type(12).Decode(make([]float32, 256), make([]byte, 144)); err == nil {
		t.Error("Q4_K was decoded")
	}
}

func BenchmarkConvert(b *testing.B) {
	floats := make([]float32, 1<<20)
	for i := range floats {
		floats[i] = float32(i%1000)/500 - 1
	}
	for _, t := range []Type{F32, F16, BF16, Q8_0} {
		raw := make([]byte, t.Bytes(int64(len(floats))))
		b.Run("encode "+t.String(), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				_ = t.Encode(raw, floats)
			}
		})
		b.Run("decode "+t.String(), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				_ = t.Decode(floats, raw)
			}
		})
	}
}
