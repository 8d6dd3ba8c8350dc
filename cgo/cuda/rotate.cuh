// Where a row's keys and values go, and their rotation.

#pragma once

#include "common.cuh"
#include "native.h"

namespace nv {

// place is the offset of a row's key or value of head h in a layer's cache
// (blocks, KV, 16, D).
template <int D> __device__ __forceinline__ int64_t place(const nv_row & row, const int32_t * table, int h, int kv) {
    const bool shared = row.pos < row.prefix;
    const int  first  = (row.prefix + NV_BLOCK - 1) / NV_BLOCK; // block of position prefix
    const int  at     = shared ? row.pos : row.pos - row.prefix;
    const int  entry  = (shared ? 0 : first) + at / NV_BLOCK;
    return (((int64_t)table[entry] * kv + h) * NV_BLOCK + at % NV_BLOCK) * D;
}

// turned rotates the pair (x, y) = (i, i + D/2), as NeoX does, with its biases added.
__device__ __forceinline__ float2 turned(float x, float y, float c, float s) {
    return make_float2(__fmaf_rn(x, c, -__fmul_rn(y, s)), __fmaf_rn(y, c, __fmul_rn(x, s)));
}

// store_head writes a head's D values, biased and rotated; a warp calls it. turn holds
// D/2 cosines and D/2 sines.
template <typename T, int D>
__device__ __forceinline__ void store_head(T * dst, const T * src, const float * bias, const float * turn, bool rotates,
                                           int lane) {
#pragma unroll
    for (int i = lane; i < D / 2; i += 32) {
        const float  x = to_float(src[i]) + bias[i];
        const float  y = to_float(src[i + D / 2]) + bias[i + D / 2];
        const float2 z = rotates ? turned(x, y, turn[i], turn[i + D / 2]) : make_float2(x, y);
        dst[i]         = from_float<T>(z.x);
        dst[i + D / 2] = from_float<T>(z.y);
    }
}

} // namespace nv
