// A rough look at a row, in float32, while it is read for the first time: where may its
// nucleus end?

#ifndef PERSONAPROBE_SAMPLE_SKETCH_CUH
#define PERSONAPROBE_SAMPLE_SKETCH_CUH

#include "sample_block.cuh"

namespace {

// view is how a sketch sees logits: in buckets below a reference. The row's largest
// logit, which masses are relative to, is not yet known.
struct view {
    float reference, rate;
    float unit; // what a token counts in the middle of its bucket
};

__device__ inline view make_view(const row & r, float reference) {
    return view{ reference, (float)r.s.rate, exp2f((float)min(20, __clz(r.n) - 1)) }; // below 2^32 for a whole row
}

// sketch_bucket is the bucket of a logit, at kAbove that of the reference, and from
// kSketch on if the sketch does not have it; t is its depth rounded.
__device__ inline unsigned sketch_bucket(const view & w, float v, float & t) {
    t = (w.reference - v) * w.rate + 0x1.8p23f;
    return __float_as_uint(t) - (0x4b400000u - kAbove);
}

// A token counts in its bucket as unit·2^(rest/32), the power to first order, so that
// a bucket's sum times the mass in its middle is its mass to 2^-13 or better.
__device__ inline void sketch_token(state & st, const view & w, float v, unsigned times) {
    float          t;
    const unsigned bucket = min(sketch_bucket(w, v, t), (unsigned)(kSketch + lane_id()));
    const float    rest   = (t - 0x1.8p23f) - (w.reference - v) * w.rate;
    const float    weight = rest * (w.unit * 0x1.62e43p-6f) + (w.unit + 0x1p23f);
    atomicAdd(&st.sketch[bucket], times * (__float_as_uint(weight) - 0x4b000000u));
}

__device__ inline void sketch_quad(state & st, const view & w, const float4 & v) {
    if (v.x == v.y && v.x == v.z && v.x == v.w) { // in rows of ties lanes wait for each other
        sketch_token(st, w, v.x, 4);
        return;
    }
    sketch_token(st, w, v.x, 1);
    sketch_token(st, w, v.y, 1);
    sketch_token(st, w, v.z, 1);
    sketch_token(st, w, v.w, 1);
}

__device__ inline void clear_sketch(state & st) {
    for (int i = (int)threadIdx.x; i < kSketch; i += kThreads) {
        st.sketch[i] = 0;
    }
}

// sketch_again is for rows whose largest logit lies too far above the reference.
template <bool kQuads> __device__ view sketch_again(state & st, const row & r) {
    const view w = make_view(r, (float)r.s.top);
    __syncthreads();
    clear_sketch(st);
    __syncthreads();
    stream<kQuads, 2>(r).each(r, [&](const float4 & v, int) { sketch_quad(st, w, v); });
    __syncthreads();
    return w;
}

// guess_bracket guesses the bracket in which the nucleus ends: st.lo to st.hi. Nothing
// depends on it but the time, for weigh notices a bad one.
template <bool kQuads> __device__ void guess_bracket(state & st, const row & r, view w, float top_p) {
    float    t;
    unsigned zero = sketch_bucket(w, (float)r.s.top, t); // bucket of the largest logit
    if (zero > kAbove) {
        w    = sketch_again<kQuads>(st, r);
        zero = kAbove;
    }
    const double one  = 1 / (double)w.unit;
    const auto   mass = [&](int i) {
        return i < kBuckets && zero + i < kSketch
                     ? __double2ull_rz((double)st.sketch[zero + i] * (power(st.exp2, (unsigned)i) * one))
                     : 0;
    };
    const auto masses = [&](int i) { return two{ mass(i), mass(i + 1) }; };
    if (threadIdx.x == 0) { // in case that the sketch shows nothing
        st.lo = -FLT_MAX;
        st.hi = (float)r.s.top;
    }
    sum_chunks(st.sketch_chunks, kBuckets, masses);
    __syncthreads();
    if (warp_id() < 2) { // the first finds the upper end of the bracket, the second the lower
        const bool   upper = warp_id() == 0;
        const u64    chunk = chunk_of(st.sketch_chunks, kBuckets);
        const u64    total = warp_sum(chunk);
        const u64    need  = nucleus_mass(top_p, total);
        const u64    error = need >> 13;
        const place  p     = seek(chunk, 0, upper ? need - error : min(total, need + error), masses);
        const double slack = 0.5 + 0x1p-6;
        const double depth = (double)(int)(zero + p.bin) - kAbove + (upper ? -slack : slack);
        const double end   = (double)w.reference - depth / r.s.rate;
        if (p.bin != kAll) {
            (upper ? st.hi : st.lo) = (float)fmin(r.s.top, fmax(end, (double)-FLT_MAX));
        }
    }
    __syncthreads();
}

} // namespace

#endif
