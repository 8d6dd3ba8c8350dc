// The arithmetic of package sampler: depth, mass, order, Philox. Every float64
// operation is rounded by itself; see sampler/mass.go for what and why.

#ifndef PERSONAPROBE_SAMPLE_MATH_CUH
#define PERSONAPROBE_SAMPLE_MATH_CUH

#include <cfloat>
#include <cmath>
#include <cstdint>

#include "simt.cuh"

using u64 = unsigned long long;

constexpr int kMassBits  = 44;
constexpr int kPerOctave = 32;
constexpr int kBuckets   = kMassBits * kPerOctave + 1;

// exp2_table is 2^(j/32), correctly rounded.
__constant__ const double exp2_table[kPerOctave] = {
    0x1.0000000000000p0, 0x1.059b0d3158574p0, 0x1.0b5586cf9890fp0, 0x1.11301d0125b51p0, 0x1.172b83c7d517bp0,
    0x1.1d4873168b9aap0, 0x1.2387a6e756238p0, 0x1.29e9df51fdee1p0, 0x1.306fe0a31b715p0, 0x1.371a7373aa9cbp0,
    0x1.3dea64c123422p0, 0x1.44e086061892dp0, 0x1.4bfdad5362a27p0, 0x1.5342b569d4f82p0, 0x1.5ab07dd485429p0,
    0x1.6247eb03a5585p0, 0x1.6a09e667f3bcdp0, 0x1.71f75e8ec5f74p0, 0x1.7a11473eb0187p0, 0x1.82589994cce13p0,
    0x1.8ace5422aa0dbp0, 0x1.93737b0cdc5e5p0, 0x1.9c49182a3f090p0, 0x1.a5503b23e255dp0, 0x1.ae89f995ad3adp0,
    0x1.b7f76f2fb5e47p0, 0x1.c199bdd85529cp0, 0x1.cb720dcef9069p0, 0x1.d5818dcfba487p0, 0x1.dfc97337b9b5fp0,
    0x1.ea4afa2a490dap0, 0x1.f50765b6e4540p0,
};

// powers is exp2_table in halves, so that the lanes of a warp read it from shared memory
// without waiting for each other: an entry has a bank of its own. Entry j is the mass
// in the middle of bucket j, but for what power takes off the high half.
struct powers {
    unsigned high[kPerOctave], low[kPerOctave];
};

// fill_power sets entry j.
__device__ inline void fill_power(powers & p, unsigned j) {
    const u64 bits = (u64)__double_as_longlong(exp2_table[(0u - j) % kPerOctave]);
    p.high[j]      = (unsigned)(bits >> 32) + ((unsigned)(kMassBits - (j > 0)) << 20) + (j << 15);
    p.low[j]       = (unsigned)bits;
}

// power is 2^(44 - bucket/32), from entry bucket % 32: one octave less, 1 << 20 in the
// high half, for each 32 buckets.
__device__ inline double power(unsigned high, unsigned low, unsigned bucket) {
    return __longlong_as_double((long long)((u64)(high - (bucket << 15)) << 32 | low));
}

__device__ inline double power(const powers & p, unsigned bucket) {
    return power(p.high[bucket % kPerOctave], p.low[bucket % kPerOctave], bucket);
}

// scale turns the logits of one row into depths.
struct scale {
    double         top;  // largest logit of the row
    double         rate; // 32·log2(e) / temperature
    const powers * exp2; // in shared memory
};

__device__ inline double depth(const scale & s, float logit) {
    return __dmul_rn(__dsub_rn(s.top, (double)logit), s.rate);
}

__device__ inline bool has_mass(double depth) {
    return depth <= (double)(kBuckets - 1); // false for -Inf logits
}

// split returns a token's bucket and the rest by which it lies above it.
__device__ inline unsigned split(double depth, double & rest) {
    const double t = __dadd_rn(depth, 0x1.8p52);
    rest           = __dsub_rn(__dsub_rn(t, 0x1.8p52), depth);
    return (unsigned)__double_as_longlong(t);
}

// taylor is (ln2/32)^i / i!, correctly rounded. It is not const, for then instructions
// take it from constant memory instead of moving it to registers.
static __constant__ double taylor[6] = {
    1, 0x1.62e42fefa39efp-6, 0x1.ebfbdff82c58fp-13, 0x1.c6b08d704a0c0p-20, 0x1.3b2ab6fba4e77p-27, 0x1.5d87fe78a6731p-35,
};

// mass_bits is, as a float64's bits, 2^52 + round(power·2^(rest/32)). kNoMass is that of
// mass 0, and the least float64 with the exponent; sums of up to 128 have the masses'
// in the low 52 bits, and the rest is a sum of kNoMass.
constexpr u64 kNoMass = 0x433ull << 52;

__device__ inline u64 mass_bits(double power, double rest) {
    const double sq = __dmul_rn(rest, rest);
    const double a  = __dadd_rn(1.0, __dmul_rn(rest, taylor[1]));
    const double b  = __dadd_rn(taylor[2], __dmul_rn(rest, taylor[3]));
    const double c  = __dadd_rn(taylor[4], __dmul_rn(rest, taylor[5]));
    const double p  = __dadd_rn(a, __dmul_rn(sq, __dadd_rn(b, __dmul_rn(sq, c))));
    return (u64)__double_as_longlong(__dadd_rn(0x1p52, __dmul_rn(p, power)));
}

// mass is round(2^(44 - (bucket - rest)/32)), if the bucket is one.
__device__ inline u64 mass(const scale & s, unsigned bucket, double rest) {
    return mass_bits(power(*s.exp2, bucket), rest) - kNoMass;
}

__device__ inline u64 mass_of(const scale & s, float logit) {
    double         rest;
    const unsigned bucket = split(depth(s, logit), rest);
    return mass(s, bucket, rest);
}

// order maps a float to an integer with the same order, -0 and +0 to one; unorder
// is its inverse.
__device__ inline unsigned order(float l) {
    const unsigned b    = __float_as_uint(l);
    const unsigned sign = (unsigned)((int)b >> 31);
    return 0x80000000u + ((b & 0x7fffffffu) ^ sign) - sign;
}

__device__ inline float unorder(unsigned k) {
    return k < 0x80000000u ? -__uint_as_float(0x80000000u - k) : __uint_as_float(k - 0x80000000u);
}

// is_whole tells of a nucleus that is all that has mass.
__device__ inline bool is_whole(float top_p) { return top_p == 0 || top_p == 1; }

// nucleus_mass is ⌈top_p × total⌉.
__device__ inline u64 nucleus_mass(float top_p, u64 total) {
    if (is_whole(top_p)) {
        return total;
    }
    const u64 p  = __double2ull_rz((double)top_p * 0x1p64);
    u64       hi = __umul64hi(p, total);
    hi += p * total != 0;
    return hi > 1 ? hi : 1;
}

// uniform is sampler.Key.Uniform in units of 2^-64, the low 11 bits zero.
__device__ inline u64 uniform(u64 seed, u64 prompt, unsigned completion, unsigned position) {
    unsigned c0 = position, c1 = completion, c2 = (unsigned)prompt, c3 = (unsigned)(prompt >> 32);
    unsigned k0 = (unsigned)seed, k1 = (unsigned)(seed >> 32);
    for (int i = 0; i < 10; i++) {
        const u64 p0 = (u64)0xD2511F53u * c0;
        const u64 p1 = (u64)0xCD9E8D57u * c2;
        c0           = (unsigned)(p1 >> 32) ^ c1 ^ k0;
        c1           = (unsigned)p1;
        c2           = (unsigned)(p0 >> 32) ^ c3 ^ k1;
        c3           = (unsigned)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return ((u64)c1 << 32 | c0) & ~0x7ffull;
}

#endif
