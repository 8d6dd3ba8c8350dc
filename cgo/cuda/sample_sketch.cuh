// A rough look at a row, in float32: where may its nucleus end?

#ifndef PERSONAPROBE_SAMPLE_SKETCH_CUH
#define PERSONAPROBE_SAMPLE_SKETCH_CUH

#include "sample_block.cuh"

namespace {

// quad returns the logits of a quad of the warp's, -Inf past the end.
template <bool kStays> __device__ inline float4 quad(const row & r, int q) {
    if (kStays) {
        return reinterpret_cast<const float4 *>(r.x)[q];
    }
    const auto at = [&](int i) { return i < r.n ? r.x[i] : -INFINITY; };
    return make_float4(at(4 * q), at(4 * q + 1), at(4 * q + 2), at(4 * q + 3));
}

// A token counts in its bucket as unit·2^(rest/32), the power to first order, so that
// a bucket's sum times the mass in its middle is its mass to 2^-14 or better.
__device__ inline float sketch_unit(const row & r) {
    return exp2f((float)min(20, __clz(r.part) - 1)); // below 2^32 for a whole part
}

__device__ inline void sketch_token(state & st, float top, float rate, float unit, float v, unsigned times) {
    const float    far    = top - v;
    const float    t      = far * rate + 0x1.8p23f;
    const float    rest   = (t - 0x1.8p23f) - far * rate;
    const float    w      = rest * (unit * 0x1.62e43p-6f) + (unit + 0x1p23f);
    const unsigned bucket = min(__float_as_uint(t) - 0x4b400000u, (unsigned)(kBuckets + 1 + lane_id()));
    atomicAdd(&st.sketch[bucket], times * (__float_as_uint(w) - 0x4b000000u));
}

// sketch_mass is the mass in the buckets i and i+1 over all peers, or in this block.
template <int kOf> __device__ inline two sketch_mass(const state & st, int i, double one) {
    if (i >= kBuckets) {
        return two{ 0, 0 };
    }
    const two v = sum_pair(st.sketch + i, kOf);
    return two{ __double2ull_rz((double)v.a * (power(st.exp2, (unsigned)i) * one)),
                i + 1 < kBuckets ? __double2ull_rz((double)v.b * (power(st.exp2, (unsigned)i + 1) * one)) : 0 };
}

// sketch guesses the bracket in which the nucleus ends: st.lo to st.hi. Nothing depends
// on it but the time, for weigh notices a bad one.
template <bool kStays> __device__ void sketch(state & st, const row & r, float top_p) {
    const float top  = (float)r.s.top;
    const float rate = (float)r.s.rate;
    const float unit = sketch_unit(r);
    if (threadIdx.x == 0) { // in case that the sketch shows nothing
        st.lo = -FLT_MAX;
        st.hi = top;
    }
#pragma unroll 2
    for (int j = 0; j < r.steps; j++) {
        const float4 v = quad<kStays>(r, r.quad + 32 * j);
        if (v.x == v.y && v.x == v.z && v.x == v.w) { // in rows of ties lanes wait for each other
            sketch_token(st, top, rate, unit, v.x, 4);
            continue;
        }
        sketch_token(st, top, rate, unit, v.x, 1);
        sketch_token(st, top, rate, unit, v.y, 1);
        sketch_token(st, top, rate, unit, v.z, 1);
        sketch_token(st, top, rate, unit, v.w, 1);
    }
    __syncthreads();
    const double one = 1 / (double)unit;
    sum_chunks(st.sketch_chunks, kBuckets, [&](int i) { return sketch_mass<1>(st, i, one); });
    cluster_sync();
    if (warp_id() < 2) { // the first finds the upper end of the bracket, the second the lower
        const bool   upper = warp_id() == 0;
        const u64    chunk = merged(st.sketch_chunks, kBuckets);
        const u64    total = warp_sum(chunk);
        const u64    need  = nucleus_mass(top_p, total);
        const u64    error = need >> 13;
        const place  p     = seek(chunk, 0, upper ? need - error : min(total, need + error),
                                  [&](int i) { return sketch_mass<kPeers>(st, i, one); });
        const double slack = 0.5 + 0x1p-6;
        const double depth = upper ? p.bin - slack : p.bin + slack;
        const float  end   = depth < 0 ? top : fmaxf(-FLT_MAX, (float)(r.s.top - depth / r.s.rate));
        if (p.bin != kAll) {
            (upper ? st.hi : st.lo) = end;
        }
    }
    __syncthreads();
}

} // namespace

#endif
