package sampler

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// same fails unless the two versions agree in everything, errors included.
func same(t interface {
	Helper()
	Fatalf(string, ...any)
}, s *Sampler, logits []float32, p Params, u float64) {
	t.Helper()
	want, wantErr := Reference(logits, p, u)
	got, err := s.Sample(logits, p, u)
	if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("%d logits, %+v, u=%v: Sample = %+v, %v; Reference = %+v, %v", len(logits), p, u, got, err, want, wantErr)
	}
}

var (
	temperatures = []float32{0, 1e-30, 0.01, 0.3, 0.7, 1, 1.5, 10, 1e4, 1e30}
	topPs        = []float32{0, 1e-40, 1e-6, 0.05, 0.5, 0.9, 0.95, 0.999, 1 - 0x1p-24, 1}
)

func TestSampleEqualsReferenceOnShapes(t *testing.T) {
	var s Sampler // one for all, so that stale buffers would show
	rng := rand.New(rand.NewPCG(5, 6))
	for _, vocab := range []int{1, 2, 5, 63, 64, 65, 1000, 2048} {
		for shape := range rows {
			logits := makeRow(shape, vocab, uint64(vocab))
			for _, temperature := range temperatures {
				for _, topP := range topPs {
					same(t, &s, logits, Params{temperature, topP}, rng.Float64())
				}
			}
		}
	}
}

func TestSampleEqualsReferenceOnFullVocabulary(t *testing.T) {
	if testing.Short() {
		t.Skip("sorts 152,064 tokens again and again")
	}
	var s Sampler
	rng := rand.New(rand.NewPCG(7, 8))
	for shape := range rows {
		for range 3 {
			logits := makeRow(shape, 152064, rng.Uint64())
			for _, p := range []Params{{1, 0.95}, {1, 1}, {0.7, 0.5}, {100, 0.9}} {
				same(t, &s, logits, p, rng.Float64())
			}
		}
	}
}

// Rows with what goes wrong: few distinct values, both zeros, neighbours in the last
// bit, extremes, values that are not allowed. The generator picks how a row is made and
// leaves its many values to a seed, or nearly all rows would be short.
func TestSampleEqualsReferenceProperty(t *testing.T) {
	special := []float32{
		0, float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32,
		math.MaxFloat32, -math.MaxFloat32, float32(math.Inf(-1)), 1, math.Nextafter32(1, 2),
	}
	kinds := []func(rng *rand.Rand) float32{
		func(rng *rand.Rand) float32 { return special[rng.IntN(len(special))] },
		func(rng *rand.Rand) float32 { return special[rng.IntN(4)] },
		func(rng *rand.Rand) float32 { return math.Float32frombits(0x40000000 + rng.Uint32N(300)) },
		func(rng *rand.Rand) float32 { return float32(10 * rng.NormFloat64()) },
		func(rng *rand.Rand) float32 { return float32(rng.IntN(4)) },
		func(rng *rand.Rand) float32 { // any finite value
			return math.Float32frombits(rng.Uint32N(0x7f800000) | rng.Uint32N(2)<<31)
		},
	}
	var s Sampler
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		other := rapid.SampledFrom(kinds).Draw(t, "other kind")
		logits := make([]float32, rapid.SampledFrom([]int{0, 1, 2, 3, 7, 64, 150, 400}).Draw(t, "vocab"))
		for i := range logits {
			logits[i] = kind(rng)
			if rng.IntN(20) == 0 {
				logits[i] = other(rng)
			}
		}
		if rapid.IntRange(0, 20).Draw(t, "break") == 20 && len(logits) > 0 {
			bad := rapid.SampledFrom([]float64{math.NaN(), math.Inf(1)}).Draw(t, "bad")
			logits[rng.IntN(len(logits))] = float32(bad)
		}
		for _, temperature := range append(temperatures, rapid.Float32Range(0.05, 5).Draw(t, "temperature")) {
			for _, topP := range append(topPs, rapid.Float32Range(0.1, 1).Draw(t, "top-p")) {
				for _, u := range []float64{0, rng.Float64(), 1 - 0x1p-53} {
					same(t, &s, logits, Params{temperature, topP}, u)
				}
			}
		}
	})
}

func FuzzSampleEqualsReference(f *testing.F) {
	f.Add([]byte{0, 0, 128, 63, 0, 0, 0, 0, 0, 0, 0, 128}, float32(1), float32(0.95), 0.5)
	f.Add([]byte{0, 0, 192, 127}, float32(-1), float32(2), 1.0)
	f.Fuzz(func(t *testing.T, row []byte, temperature, topP float32, u float64) {
		logits := make([]float32, len(row)/4)
		for i := range logits {
			logits[i] = math.Float32frombits(binary.LittleEndian.Uint32(row[4*i:]))
		}
		var s Sampler
		same(t, &s, logits, Params{temperature, topP}, u)
	})
}

// The two products of a fraction and a sum of masses, against rational arithmetic.
func TestExactProducts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sum := rapid.Uint64Range(1<<massBits, 1<<63-1).Draw(t, "sum")
		sum |= rapid.SampledFrom([]uint64{0, 1 << 62}).Draw(t, "high bit") // small sums prevail
		topP := rapid.Float32Range(1e-9, 1).Draw(t, "top-p")
		u := float64(rapid.Uint64Range(0, 1<<53-1).Draw(t, "u")) / (1 << 53)

		floor := func(x float64) (q *big.Int, whole bool) {
			r := new(big.Rat).SetFloat64(x)
			r.Mul(r, new(big.Rat).SetInt(new(big.Int).SetUint64(sum)))
			return new(big.Int).Quo(r.Num(), r.Denom()), r.IsInt()
		}
		if want, _ := floor(u); target(u, sum) != want.Uint64() {
			t.Fatalf("target = %d, want %d", target(u, sum), want)
		}
		want, whole := floor(float64(topP))
		if !whole {
			want.Add(want, big.NewInt(1))
		}
		if got := (Params{TopP: topP}).nucleusMass(sum); got != want.Uint64() {
			t.Fatalf("nucleus mass = %d, want %d", got, want)
		}
	})
}

// The nucleus where plain arithmetic gives it: equal logits have equal masses.
func TestNucleusBoundary(t *testing.T) {
	third := float32(2.0 / 3) // rounds up, so two tokens of three do not reach it
	for _, c := range []struct {
		logits []float32
		topP   float32
		size   int
		last   int32 // the token at the largest draw
	}{
		{[]float32{5, 5, 5, 5}, 0.25, 1, 0},
		{[]float32{5, 5, 5, 5}, 0.5, 2, 1},
		{[]float32{5, 5, 5, 5}, math.Nextafter32(0.5, 1), 3, 2},
		{[]float32{5, 5, 5, 5}, math.Nextafter32(0.5, 0), 2, 1},
		{[]float32{5, 5, 5, 5}, 1 - 0x1p-24, 4, 3},
		{[]float32{5, 5, 5, 5}, math.SmallestNonzeroFloat32, 1, 0},
		{[]float32{-1, -1, -1}, third, 3, 2},
		{[]float32{-1, -1, -1}, math.Nextafter32(third, 0), 2, 1},
		{[]float32{0, float32(math.Copysign(0, -1)), 0}, 0.5, 2, 1}, // zeros are equal
		{[]float32{1, 9, 1, 9, 1}, 0.5, 2, 3},                       // e^-8 more than half: both nines
		{[]float32{1, 90, 1}, 1, 1, 1},                              // out of reach without truncation, too
		{[]float32{0, -30.4, -30.6}, 1, 2, 1},                       // just inside and outside of 44 octaves
	} {
		for _, u := range []float64{0, 1 - 0x1p-53} {
			p := Params{1, c.topP}
			got, err := Reference(c.logits, p, u)
			if err != nil {
				t.Fatal(err)
			}
			if got.NucleusSize != c.size || u > 0 && got.Token != c.last && c.logits[0] == c.logits[c.last] {
				t.Errorf("%v, top-p %v, u=%v: %+v, want %d tokens up to %d", c.logits, c.topP, u, got, c.size, c.last)
			}
			same(t, new(Sampler), c.logits, p, u)
		}
	}
}

// At the largest row the sums reach exactly 2^63.
func TestLargestRow(t *testing.T) {
	logits := make([]float32, maxVocab)
	for _, c := range []struct {
		u    float64
		want int32
	}{{0, 0}, {0.5, maxVocab / 2}, {1 - 0x1p-53, maxVocab - 1}} {
		got, err := new(Sampler).Sample(logits, Params{Temperature: 1}, c.u)
		if err != nil || got.Token != c.want || got.NucleusSize != maxVocab || got.NucleusMass != 1 {
			t.Errorf("u=%v: %+v, %v, want token %d", c.u, got, err, c.want)
		}
	}
	if _, err := new(Sampler).Sample(make([]float32, maxVocab+1), Params{Temperature: 1}, 0); !errors.Is(err, ErrLogits) {
		t.Errorf("one more logit: %v, want ErrLogits", err)
	}
}

func TestGreedy(t *testing.T) {
	for _, c := range []struct {
		logits []float32
		want   int32
	}{
		{[]float32{1, 3, 2, 3}, 1},
		{[]float32{float32(math.Inf(-1)), -math.MaxFloat32}, 1},
		{[]float32{float32(math.Copysign(0, -1)), 0}, 0},
	} {
		want := Choice{Token: c.want, NucleusSize: 1, NucleusMass: 1}
		for name, f := range map[string]func([]float32, Params, float64) (Choice, error){
			"Reference": Reference, "Sample": new(Sampler).Sample,
		} {
			if got, err := f(c.logits, Params{}, 0.9); err != nil || got != want {
				t.Errorf("%s(%v) = %+v, %v, want %+v", name, c.logits, got, err, want)
			}
		}
	}
}

// A row moved by a constant is the same distribution, so it gives the same token.
// Steps of 1/256 keep the move exact.
func TestShiftInvariance(t *testing.T) {
	var s Sampler
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(-5000, 5000), 1, 50).Draw(t, "steps")
		shift := rapid.IntRange(-100, 100).Draw(t, "shift")
		u := rapid.Float64Range(0, 0.999).Draw(t, "u")
		a, b := make([]float32, len(steps)), make([]float32, len(steps))
		for i, n := range steps {
			a[i] = float32(n) / 256
			b[i] = a[i] + float32(shift)
		}
		ca, _ := s.Sample(a, Params{1, 0.9}, u)
		cb, _ := s.Sample(b, Params{1, 0.9}, u)
		if ca != cb {
			t.Fatalf("%+v, moved by %d: %+v", ca, shift, cb)
		}
	})
}

func TestOrder(t *testing.T) {
	last := uint32(0)
	for _, l := range []float32{
		-math.MaxFloat32, -2, -1, -math.SmallestNonzeroFloat32, 0,
		math.SmallestNonzeroFloat32, 1, math.Nextafter32(1, 2), math.MaxFloat32,
	} {
		k := order(l)
		if k <= last || unorder(k) != l || k != order(math.Nextafter32(l, -math.MaxFloat32))+1 && l != -math.MaxFloat32 {
			t.Errorf("order(%v) = %#x after %#x, back to %v", l, k, last, unorder(k))
		}
		last = k
	}
	if order(float32(math.Copysign(0, -1))) != order(0) {
		t.Error("the zeros differ")
	}
}

func TestErrors(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	good, one := []float32{1, 2}, Params{Temperature: 1}
	for _, c := range []struct {
		logits []float32
		p      Params
		u      float64
		want   error
		text   string
	}{
		{[]float32{1, 2, nan, inf}, one, 0, ErrLogits, "logit 2 of 4 is NaN"},
		{[]float32{1, inf, nan}, one, 0, ErrLogits, "logit 1 of 3 is +Inf"},
		{[]float32{nan}, Params{}, 0, ErrLogits, "logit 0"},
		{[]float32{-inf, -inf, -inf}, one, 0, ErrLogits, "all 2 others are -Inf"},
		{nil, one, 0, ErrLogits, "empty"},
		{good, Params{Temperature: -1}, 0, ErrParams, "temperature is -1"},
		{good, Params{Temperature: nan}, 0, ErrParams, "temperature is NaN"},
		{good, Params{Temperature: inf}, 0, ErrParams, "temperature is +Inf"},
		{good, Params{1, -0.1}, 0, ErrParams, "top-p is -0.1"},
		{good, Params{1, 1.5}, 0, ErrParams, "top-p is 1.5"},
		{good, Params{0, nan}, 0, ErrParams, "top-p is NaN"},
		{good, one, 1, ErrUniform, "1 is not in [0, 1)"},
		{good, one, -0.5, ErrUniform, "-0.5"},
		{good, Params{}, math.NaN(), ErrUniform, "NaN"},
	} {
		if _, err := Reference(c.logits, c.p, c.u); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("Reference(%v, %+v, %v): %v, want %v with %q", c.logits, c.p, c.u, err, c.want, c.text)
		}
		same(t, new(Sampler), c.logits, c.p, c.u)
	}
}

func TestSampleDoesNotAllocate(t *testing.T) {
	logits := makeRow(1, 2048, 1)
	var s Sampler
	key := Key{Seed: 42}
	position := uint32(0)
	for _, p := range []Params{{1, 0.95}, {1, 1}, {0, 0}} {
		if n := testing.AllocsPerRun(50, func() {
			position++
			if _, err := s.Sample(logits, p, key.Uniform(position)); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%+v: %v allocations per call", p, n)
		}
	}
}
