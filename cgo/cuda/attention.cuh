// Attention over a cache of blocks, on tensor cores.
//
// A block of W warps takes one key head and a tile of query rows of one sequence.
// The query heads of the group and the rows of the tile are the columns of the
// products, so each key and value is read once for all of them:
//
//     S (tokens, columns) = K (tokens, D) Q^T (D, columns)
//     O (D, columns)     += V^T (D, tokens) P (tokens, columns)
//
// A warp takes every W-th cache block of 16 tokens. The order of the D inside a product
// is free as long as both factors agree, and so is the order of the rows of O; the cache
// has them in the order in which a warp's lanes take them, see cache.cuh. The warps'
// partial softmaxes are joined at the end, in their order.
//
// The result for a row depends on its own sequence only: columns do not mix, and a
// block of tokens that a column may not see leaves its state as it is, bit for bit.

#pragma once

#include "cache.cuh"
#include "common.cuh"
#include "native.h"

namespace nv {

constexpr float lowest = -1e30f; // stands for -inf where differences are taken

// octaves is what makes scores octaves: log2(e) / sqrt(D).
inline float octaves(int d) { return 1.4426950408889634f / sqrtf((float)d); }

template <typename T>
__device__ __forceinline__ void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);

template <>
__device__ __forceinline__ void mma<__nv_bfloat16>(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

template <>
__device__ __forceinline__ void mma<__half>(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// transpose8 transposes an 8 x 8 matrix of 16-bit values held by a warp.
__device__ __forceinline__ uint32_t transpose8(uint32_t x) {
    uint32_t y;
    asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(y) : "r"(x));
    return y;
}

__device__ __forceinline__ uint32_t word(const uint4 & v, int i) {
    return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

// Lane 4g + t of a warp holds, of the products' matrices, rows g and g + 8 and columns
// 2t and 2t + 1 of each set of eight.

// partial is one warp's softmax so far.
template <int D, int N> struct partial {
    float o[D / 16][N][4]; // [i][n]: dims dim(i, g) and the one after it, by columns 2t and 2t + 1
    float top[N][2];       // largest score, in octaves
    float sum[N][2];       // of this lane's tokens
};

template <int D, int N> __device__ __forceinline__ void clear(partial<D, N> & p) {
#pragma unroll
    for (int n = 0; n < N; n++) {
        p.top[n][0] = p.top[n][1] = lowest;
        p.sum[n][0] = p.sum[n][1] = 0;
#pragma unroll
        for (int d = 0; d < D / 16; d++) {
            p.o[d][n][0] = p.o[d][n][1] = p.o[d][n][2] = p.o[d][n][3] = 0;
        }
    }
}

// dim is the first of the two dims that lane group g holds in O's tile i.
template <int D> __device__ __forceinline__ int dim(int i, int g) { return i / 4 * 64 + g * 8 + i % 4 * 2; }

// span is the cache blocks of a sequence.
struct span {
    int prefix; // positions below are in the first blocks
    int first;  // number of those blocks
    int end;    // positions below exist
    int blocks; // to visit
};

__device__ __forceinline__ span make_span(int prefix, int end) {
    span s;
    s.end    = end;
    s.prefix = min(prefix, end);
    s.first  = (s.prefix + NV_BLOCK - 1) / NV_BLOCK;
    s.blocks = s.first + (end - s.prefix + NV_BLOCK - 1) / NV_BLOCK;
    return s;
}

// tokens is what a cache block holds.
struct tokens {
    int base;  // position of the first
    int limit; // how many exist
};

__device__ __forceinline__ tokens tokens_of(const span & s, int i) {
    tokens b;
    b.base  = i < s.first ? i * NV_BLOCK : s.prefix + (i - s.first) * NV_BLOCK;
    b.limit = (i < s.first ? s.prefix : s.end) - b.base;
    return b;
}

// seen is up to which positions a lane's columns see.
template <int N> using seen = int[N][2];

template <int D> using keys   = uint4[2][D / 32];
template <int D> using values = uint4[4][D / 64];

// read_keys and read_values read the lane's part of a block. Nobody reads it again soon
// on this multiprocessor, so it does not go through the first cache.
template <typename T, int D> __device__ __forceinline__ void read_keys(keys<D> & key, const T * k) {
    const uint4 * src = reinterpret_cast<const uint4 *>(k) + threadIdx.x % 32;
#pragma unroll
    for (int h = 0; h < 2; h++) {
#pragma unroll
        for (int j = 0; j < D / 32; j++) {
            key[h][j] = src[32 * (h * (D / 32) + j)];
        }
    }
}

template <typename T, int D>
__device__ __forceinline__ void read_values(values<D> & value, const T * v, const tokens & b) {
    const uint4 * src = reinterpret_cast<const uint4 *>(v) + threadIdx.x % 32;
    const int     t   = threadIdx.x % 4;
#pragma unroll
    for (int x = 0; x < 4; x++) {
        const bool there = 2 * t + x % 2 + x / 2 * 8 < b.limit;
#pragma unroll
        for (int j = 0; j < D / 64; j++) {
            value[x][j] = make_uint4(0, 0, 0, 0); // a block's free places hold anything, NaN too
            if (there) {
                value[x][j] = src[32 * (x * (D / 64) + j)];
            }
        }
    }
}

// score turns the scores of a block into weights, and shrinks what there is so far.
template <typename T, int D, int N>
__device__ __forceinline__ void score(uint32_t (&weight)[N][2], partial<D, N> & p, const uint4 (&q)[N][D / 32],
                                      const keys<D> & key, const tokens & b, const seen<N> & sees, float scale) {
    const int g = threadIdx.x % 32 / 4;
#pragma unroll
    for (int n = 0; n < N; n++) {
        float c[4] = { 0, 0, 0, 0 };
#pragma unroll
        for (int j = 0; j < D / 32; j++) {
            const uint32_t lo[4] = { key[0][j].x, key[1][j].x, key[0][j].y, key[1][j].y };
            mma<T>(c, lo, q[n][j].x, q[n][j].y);
            const uint32_t hi[4] = { key[0][j].z, key[1][j].z, key[0][j].w, key[1][j].w };
            mma<T>(c, hi, q[n][j].z, q[n][j].w);
        }
        float shrink[2];
#pragma unroll
        for (int col = 0; col < 2; col++) {
            const int end = min(b.limit, sees[n][col] - b.base);
            float     x   = g < end ? c[col] * scale : -INFINITY;
            float     y   = g + 8 < end ? c[col + 2] * scale : -INFINITY;
            float     top = fmaxf(x, y);
            top           = fmaxf(top, __shfl_xor_sync(~0u, top, 4));
            top           = fmaxf(top, __shfl_xor_sync(~0u, top, 8));
            top           = fmaxf(top, __shfl_xor_sync(~0u, top, 16));
            top           = fmaxf(top, p.top[n][col]);
            shrink[col]   = exp2f(p.top[n][col] - top);
            p.top[n][col] = top;
            c[col]        = exp2f(x - top);
            c[col + 2]    = exp2f(y - top);
            p.sum[n][col] = p.sum[n][col] * shrink[col] + (c[col] + c[col + 2]);
        }
        weight[n][0] = transpose8(pack2<T>(c[0], c[1]));
        weight[n][1] = transpose8(pack2<T>(c[2], c[3]));
#pragma unroll
        for (int d = 0; d < D / 16; d++) {
            p.o[d][n][0] *= shrink[0];
            p.o[d][n][1] *= shrink[1];
            p.o[d][n][2] *= shrink[0];
            p.o[d][n][3] *= shrink[1];
        }
    }
}

// add_values adds the values of a block by their weights.
template <typename T, int D, int N>
__device__ __forceinline__ void add_values(partial<D, N> & p, const uint32_t (&weight)[N][2], const values<D> & value) {
#pragma unroll
    for (int d = 0; d < D / 16; d++) {
        const uint32_t a0 = word(value[0][d / 4], d % 4), a1 = word(value[1][d / 4], d % 4);
        const uint32_t a2 = word(value[2][d / 4], d % 4), a3 = word(value[3][d / 4], d % 4);
        const uint32_t a[4] = { __byte_perm(a0, a1, 0x5410), __byte_perm(a0, a1, 0x7632), __byte_perm(a2, a3, 0x5410),
                                __byte_perm(a2, a3, 0x7632) };
#pragma unroll
        for (int n = 0; n < N; n++) {
            mma<T>(p.o[d][n], a, weight[n][0], weight[n][1]);
        }
    }
}

// task is what a block of threads computes: one key head's part of some rows.
struct task {
    nv_row          row;             // the first
    const int32_t * blocks;          // of the sequence's cache, table of them
    int             table, block;    // block: the warp's first
    int             head, kv, group; // the key head, of how many, and its query heads
    int64_t         stride, at;      // of a row's heads; where the first row's part of them is
};

template <int D>
__device__ __forceinline__ task make_task(int r, const nv_row * rows, const int32_t * tables, int table, int heads,
                                          int kv) {
    task t;
    t.head   = blockIdx.y;
    t.kv     = kv;
    t.group  = heads / kv;
    t.row    = rows[r];
    t.blocks = tables + (int64_t)r * table;
    t.table  = table;
    t.block  = t.blocks[min((int)threadIdx.x / 32, table - 1)];
    t.stride = (int64_t)heads * D;
    t.at     = r * t.stride + t.head * t.group * D;
    return t;
}

// attend takes the warp's cache blocks of so many rows.
template <typename T, int D, int N, int W>
__device__ __forceinline__ void attend(partial<D, N> & p, const uint4 (&q)[N][D / 32], const seen<N> & sees,
                                       const T * k, const T * v, const task & t, int rows, float scale) {
    const span s     = make_span(t.row.prefix, t.row.pos + rows);
    int        block = t.block;
    for (int i = threadIdx.x / 32; i < s.blocks; i += W) {
        const int64_t at = tile_at<D>(block, t.head, t.kv);
        const tokens  b  = tokens_of(s, i);
        block            = t.blocks[min(i + W, t.table - 1)];
        keys<D>   key;
        values<D> value;
        read_keys<T, D>(key, k + at);
        read_values<T, D>(value, v + at, b);
        uint32_t weight[N][2];
        score<T, D, N>(weight, p, q, key, b, sees, scale);
        add_values<T, D, N>(p, weight, value);
    }
}

// join_bytes is the shared memory that join needs.
template <int D, int N, int W> constexpr int join_bytes = W * 8 * N *(D + 1) * (int)sizeof(float);

// join adds the warps' partial results and writes the rows; shared has join_bytes.
template <typename T, int D, int N, int W>
__device__ void join(T * out, partial<D, N> & p, void * shared, int columns, int group, int64_t stride) {
    constexpr int width     = D + 1;
    float(*o)[8 * N][width] = reinterpret_cast<float(*)[8 * N][width]>(shared);
    __shared__ float top[W][8 * N];
    __shared__ float sum[W][8 * N];
    const int        warp = threadIdx.x / 32;
    const int        g    = threadIdx.x % 32 / 4;
    const int        t    = threadIdx.x % 4;
#pragma unroll
    for (int n = 0; n < N; n++) {
#pragma unroll
        for (int col = 0; col < 2; col++) {
            float x = p.sum[n][col];
            x += __shfl_xor_sync(~0u, x, 4);
            x += __shfl_xor_sync(~0u, x, 8);
            x += __shfl_xor_sync(~0u, x, 16);
            if (g == 0) {
                top[warp][8 * n + 2 * t + col] = p.top[n][col];
                sum[warp][8 * n + 2 * t + col] = x;
            }
#pragma unroll
            for (int d = 0; d < D / 16; d++) {
                o[warp][8 * n + 2 * t + col][dim<D>(d, g)]     = p.o[d][n][col];
                o[warp][8 * n + 2 * t + col][dim<D>(d, g) + 1] = p.o[d][n][col + 2];
            }
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < columns * D; i += 32 * W) {
        const int c   = i / D;
        float     max = top[0][c];
        for (int w = 1; w < W; w++) {
            max = fmaxf(max, top[w][c]);
        }
        float total = 0, value = 0;
        for (int w = 0; w < W; w++) {
            const float f = exp2f(top[w][c] - max);
            total += f * sum[w][c];
            value += f * o[w][c][i % D];
        }
        out[c / group * stride + c % group * D + i % D] = from_float<T>(value / total);
    }
}

// clear_row writes zeros for an idle row.
template <typename T, int D> __device__ void clear_row(T * out, int group) {
    for (int i = threadIdx.x; i < group * D; i += blockDim.x) {
        out[i] = from_float<T>(0.f);
    }
}

} // namespace nv
