// The cache of keys and values: where a row's go, in which order, and their rotation.
//
// A layer's cache is (blocks, KV, 16 tokens x D). Inside, keys and values are in pieces
// of 8 dims, in the order in which attention's lanes take them: a warp reads 512 bytes
// in a row, and the copy engine brings a whole tile.

#pragma once

#include "common.cuh"
#include "native.h"

namespace nv {

// key_at and value_at are where a dim of a token lies in a block's tile.
template <int D> __host__ __device__ __forceinline__ int key_at(int token, int dim) {
    const int half = token / 8, g = token % 8; // of the block; row of a product
    const int j = dim / 32, t = dim % 32 / 8;
    return ((half * (D / 32) + j) * 32 + 4 * g + t) * 8 + dim % 8;
}

template <int D> __host__ __device__ __forceinline__ int value_at(int token, int dim) {
    const int x = token % 2 + token / 8 * 2, t = token % 8 / 2;
    const int j = dim / 64, g = dim % 64 / 8;
    return ((x * (D / 64) + j) * 32 + 4 * g + t) * 8 + dim % 8;
}

// tile_at is the offset of a head's part of a cache block.
template <int D> __device__ __forceinline__ int64_t tile_at(int block, int head, int kv) {
    return ((int64_t)block * kv + head) * NV_BLOCK * D;
}

// place is where a row's key or value of a head goes: a tile's offset, and a token in it.
struct place {
    int64_t tile;
    int     token;
};

template <int D> __device__ __forceinline__ place place_of(const nv_row & row, const int32_t * table, int h, int kv) {
    const bool shared = row.pos < row.prefix;
    const int  first  = (row.prefix + NV_BLOCK - 1) / NV_BLOCK; // block of position prefix
    const int  at     = shared ? row.pos : row.pos - row.prefix;
    const int  entry  = (shared ? 0 : first) + at / NV_BLOCK;
    return place{ tile_at<D>(table[entry], h, kv), at % NV_BLOCK };
}

// turned rotates the pair (x, y) = (i, i + D/2), as NeoX does, with its biases added.
__device__ __forceinline__ float2 turned(float x, float y, float c, float s) {
    return make_float2(__fmaf_rn(x, c, -__fmul_rn(y, s)), __fmaf_rn(y, c, __fmul_rn(x, s)));
}

// store_head writes a head's D values, biased and rotated, dim i to dst[at(i)]; a warp
// calls it. turn holds D/2 cosines and D/2 sines.
template <typename T, int D, typename At>
__device__ __forceinline__ void store_head(T * dst, At at, const T * src, const float * bias, const float * turn,
                                           bool rotates) {
#pragma unroll
    for (int i = threadIdx.x % 32; i < D / 2; i += 32) {
        const float  x     = to_float(src[i]) + bias[i];
        const float  y     = to_float(src[i + D / 2]) + bias[i + D / 2];
        const float2 z     = rotates ? turned(x, y, turn[i], turn[i + D / 2]) : make_float2(x, y);
        dst[at(i)]         = from_float<T>(z.x);
        dst[at(i + D / 2)] = from_float<T>(z.y);
    }
}

// store_key and store_value write to a place of the cache.
template <typename T, int D>
__device__ __forceinline__ void store_key(T * keys, const place & p, const T * src, const float * bias,
                                          const float * turn) {
    store_head<T, D>(
        keys + p.tile, [&](int i) { return key_at<D>(p.token, i); }, src, bias, turn, true);
}

template <typename T, int D>
__device__ __forceinline__ void store_value(T * values, const place & p, const T * src, const float * bias) {
    store_head<T, D>(
        values + p.tile, [&](int i) { return value_at<D>(p.token, i); }, src, bias, nullptr, false);
}

} // namespace nv
