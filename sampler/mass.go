package sampler

import "math"

const (
	massBits = 44                  // the most likely token's mass is 1<<massBits
	perOct   = 32                  // buckets an octave, and entries of exp2Table
	buckets  = massBits*perOct + 1 // buckets 0 (the most likely token) to 1408
	maxVocab = 1 << 19             // keeps every sum of masses at or below 1<<63
)

// scale turns the logits of one row into depths: how far a token lies below the
// most likely one, in 1/32 octaves of probability.
type scale struct {
	top  float64 // largest logit of the row
	rate float64 // 32·log2(e) / temperature, in 1/32 octaves a logit
}

func newScale(top, temperature float32) scale {
	const perNat = 0x1.71547652b82fep5 // 32·log2(e)
	return scale{float64(top), perNat / float64(temperature)}
}

// depth never increases with the logit, because each rounding is monotone. So
// ordering tokens by bucket first and by logit within a bucket is ordering by logit.
func (s scale) depth(logit float32) float64 {
	return float64((s.top - float64(logit)) * s.rate)
}

// The mass of a token comes from split and mass, two halves so that the compiler
// inlines both. Every operation is an IEEE binary64 operation rounded to nearest, in
// the order written; the conversions forbid the compiler to fuse a product and a sum.
// So the result has the same bits on every machine. math.Exp cannot serve: its amd64
// assembly takes another path, with other last bits, on a CPU without FMA.

// split returns the bucket that holds a token, round(depth), and the rest by which
// the token lies above it, in [-1/2, 1/2] and exact. Depth must be at most 1408.
func split(depth float64) (bucket uint32, rest float64) {
	// Adding 1.5·2^52 rounds to an integer, ties to even, and leaves it in the low bits.
	t := depth + 0x1.8p52
	return uint32(math.Float64bits(t)), (t - 0x1.8p52) - depth //nolint:gosec // the low half is meant
}

// mass is round(2^(44 − (bucket − rest)/32)), the token's unnormalised probability.
// The power of the rest is its Taylor polynomial, Σ (rest·ln2/32)^i / i! to degree 5,
// in Estrin's order; the first term left out is below 2.3e-15.
func mass(bucket uint32, rest float64) uint64 {
	sq := rest * rest
	a := 1 + float64(rest*c1)
	b := c2 + float64(rest*c3)
	c := c4 + float64(rest*c5)
	p := a + float64(sq*(b+float64(sq*c)))
	return math.Float64bits(0x1p52+float64(p*bucketMass[bucket])) & (1<<52 - 1)
}

// c_i is (ln2/32)^i / i!, correctly rounded.
const (
	c1 = 0x1.62e42fefa39efp-6
	c2 = 0x1.ebfbdff82c58fp-13
	c3 = 0x1.c6b08d704a0c0p-20
	c4 = 0x1.3b2ab6fba4e77p-27
	c5 = 0x1.5d87fe78a6731p-35
)

// bucketMass is the mass in the middle of a bucket b, 2^(44 − b/32): an entry of
// exp2Table times a power of two, which is exact.
var bucketMass = func() (t [buckets]float64) {
	for b := range t {
		t[b] = math.Ldexp(exp2Table[-b&(perOct-1)], massBits+(-b>>5))
	}
	return t
}()

// exp2Table holds 2^(j/32), each correctly rounded.
var exp2Table = [perOct]float64{
	0x1.0000000000000p0, 0x1.059b0d3158574p0, 0x1.0b5586cf9890fp0, 0x1.11301d0125b51p0,
	0x1.172b83c7d517bp0, 0x1.1d4873168b9aap0, 0x1.2387a6e756238p0, 0x1.29e9df51fdee1p0,
	0x1.306fe0a31b715p0, 0x1.371a7373aa9cbp0, 0x1.3dea64c123422p0, 0x1.44e086061892dp0,
	0x1.4bfdad5362a27p0, 0x1.5342b569d4f82p0, 0x1.5ab07dd485429p0, 0x1.6247eb03a5585p0,
	0x1.6a09e667f3bcdp0, 0x1.71f75e8ec5f74p0, 0x1.7a11473eb0187p0, 0x1.82589994cce13p0,
	0x1.8ace5422aa0dbp0, 0x1.93737b0cdc5e5p0, 0x1.9c49182a3f090p0, 0x1.a5503b23e255dp0,
	0x1.ae89f995ad3adp0, 0x1.b7f76f2fb5e47p0, 0x1.c199bdd85529cp0, 0x1.cb720dcef9069p0,
	0x1.d5818dcfba487p0, 0x1.dfc97337b9b5fp0, 0x1.ea4afa2a490dap0, 0x1.f50765b6e4540p0,
}
