package sampler

import (
	"math"
	"testing"
)

// Random123 1.14.0, tests/kat_vectors, rows "philox4x32 10".
func TestPhiloxKnownAnswers(t *testing.T) {
	const all = math.MaxUint32
	for _, kat := range []struct {
		ctr  [4]uint32
		key  [2]uint32
		want [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{all, all, all, all}, [2]uint32{all, all}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{ // the digits of pi
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
			[2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		if got := philox(kat.ctr, kat.key); got != kat.want {
			t.Errorf("philox(%x, %x) = %x, want %x", kat.ctr, kat.key, got, kat.want)
		}
	}
}

// The words of the third known answer, put where Key documents them.
func TestUniformLayout(t *testing.T) {
	k := Key{Seed: 0x299f31d0_a4093822, Prompt: 0x03707344_13198a2e, Completion: 0x85a308d3}
	want := float64(0x94fdcceb_d16cfe09>>11) / (1 << 53)
	if got := k.Uniform(0x243f6a88); got != want {
		t.Errorf("Uniform = %v, want %v", got, want)
	}
}

// Figures from Python: int.from_bytes(sha256(struct.pack("<ni", *ids)).digest()[:8], "little").
func TestPromptHash(t *testing.T) {
	for _, c := range []struct {
		ids  []int32
		want uint64
	}{
		{nil, 0x141cfc9842c4b0e3},
		{[]int32{0}, 0xdb2fa90498613fdf},
		{[]int32{151644, 8948, 198}, 0x3511682e948a688e},
		{[]int32{-1, math.MaxInt32}, 0x63a17374cca6696a},
	} {
		if got := PromptHash(c.ids); got != c.want {
			t.Errorf("PromptHash(%v) = %#x, want %#x", c.ids, got, c.want)
		}
	}
}

// Streams that differ in one word of the key by one must look independent: each is
// uniform, its neighbours uncorrelated with it, and no value comes twice.
func TestUniformStreams(t *testing.T) {
	base := Key{Seed: 42, Prompt: PromptHash([]int32{1, 2, 3}), Completion: 5}
	const n = 50_000
	streams := map[string]func(i uint32) float64{
		"position":   base.Uniform,
		"completion": func(i uint32) float64 { k := base; k.Completion = i; return k.Uniform(0) },
		"prompt":     func(i uint32) float64 { k := base; k.Prompt += uint64(i); return k.Uniform(0) },
		"seed":       func(i uint32) float64 { k := base; k.Seed += uint64(i); return k.Uniform(0) },
		"next seed":  func(i uint32) float64 { k := base; k.Seed++; return k.Uniform(i) },
	}
	for name, at := range streams {
		var pairs [16 * 16]float64
		seen := make(map[float64]bool, n)
		var cov, covBase float64
		for i := range uint32(n) {
			u, v := at(i), at(i+1)
			if u < 0 || u >= 1 || seen[u] {
				t.Fatalf("%s: draw %d is %v: out of range or repeated", name, i, u)
			}
			seen[u] = true
			if i%2 == 0 { // disjoint pairs, or they are not independent
				pairs[int(u*16)*16+int(v*16)]++
			}
			cov += (u - 0.5) * (v - 0.5)
			covBase += (u - 0.5) * (base.Uniform(i+1000) - 0.5)
		}
		expected := make([]float64, len(pairs))
		for i := range expected {
			expected[i] = 1.0 / float64(len(pairs))
		}
		if p := chiSquare(pairs[:], expected); p < alpha {
			t.Errorf("%s: consecutive pairs are not uniform on the square: p = %g", name, p)
		}
		// A product of two independent draws about their mean has variance 1/144.
		for what, c := range map[string]float64{"next": cov, "base": covBase} {
			if z := 12 * c / math.Sqrt(n); math.Abs(z) > 4.5 {
				t.Errorf("%s: correlated with %s: z = %.2f", name, what, z)
			}
		}
	}
}
