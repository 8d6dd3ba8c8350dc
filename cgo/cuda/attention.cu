// Attention over a cache of blocks, on tensor cores, for decode and prompts alike.
//
// A block of W warps takes one key head and a tile of query rows of one sequence.
// The query heads of the group and the rows of the tile are the columns of the
// products, so each key and value is read once for all of them:
//
//     S (tokens, columns) = K (tokens, D) Q^T (D, columns)
//     O (D, columns)     += V^T (D, tokens) P (tokens, columns)
//
// A warp takes every W-th cache block of 16 tokens and goes straight from global
// memory to registers: the order of the D inside a product is free as long as both
// factors agree, and so is the order of the rows of O, so every lane reads 16
// contiguous bytes. The warps' partial softmaxes are joined at the end, in their order.
//
// The result for a row depends on its own sequence only: columns do not mix, and a
// block of tokens that a column may not see leaves its state as it is, bit for bit.

#include "kernels.cuh"
#include "rotate.cuh"

namespace nv {

namespace {

constexpr float lowest = -1e30f; // stands for -inf where differences are taken

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

// partial is one warp's softmax so far. Lane 4g + t holds columns 2t and 2t + 1 of
// each set of eight.
template <int D, int N> struct partial {
    float o[D / 16][N][4]; // [i][n]: dims dim(i, g) and the one after it, by columns 2t and 2t + 1
    float top[N][2];       // largest score, in octaves
    float sum[N][2];       // of this lane's tokens
};

// dim is the first of the two dims that lane group g holds in O's tile i.
template <int D> __device__ __forceinline__ int dim(int i, int g) { return i / 4 * 64 + g * 8 + i % 4 * 2; }

struct span {
    const int32_t * table;
    int             prefix; // positions below are in the first blocks
    int             first;  // number of those blocks
    int             end;    // positions below exist
    int             blocks; // to visit
};

__device__ __forceinline__ span make_span(const int32_t * table, int prefix, int end) {
    span s;
    s.table  = table;
    s.end    = end;
    s.prefix = min(prefix, end);
    s.first  = (s.prefix + NV_BLOCK - 1) / NV_BLOCK;
    s.blocks = s.first + (end - s.prefix + NV_BLOCK - 1) / NV_BLOCK;
    return s;
}

template <typename T, int D, int N>
__device__ __forceinline__ void visit(partial<D, N> & p, const uint4 (&q)[N][D / 32], const T * k, const T * v,
                                      const span & s, int i, const int (&sees)[N][2], float scale) {
    const int lane  = threadIdx.x % 32;
    const int g     = lane / 4;
    const int t     = lane % 4;
    const int base  = i < s.first ? i * NV_BLOCK : s.prefix + (i - s.first) * NV_BLOCK;
    const int limit = (i < s.first ? s.prefix : s.end) - base; // tokens of the block that exist

    uint4 key[2][D / 32];
#pragma unroll
    for (int j = 0; j < D / 32; j++) {
        key[0][j] = *reinterpret_cast<const uint4 *>(k + g * D + 32 * j + 8 * t);
        key[1][j] = *reinterpret_cast<const uint4 *>(k + (g + 8) * D + 32 * j + 8 * t);
    }
    uint4 value[4][D / 64];
#pragma unroll
    for (int x = 0; x < 4; x++) {
        const int token = 2 * t + x % 2 + x / 2 * 8;
#pragma unroll
        for (int j = 0; j < D / 64; j++) {
            value[x][j] = make_uint4(0, 0, 0, 0); // a block's free places hold anything, NaN too
            if (token < limit) {
                value[x][j] = *reinterpret_cast<const uint4 *>(v + token * D + 64 * j + 8 * g);
            }
        }
    }

    uint32_t weight[N][2];
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
            const int seen = min(limit, sees[n][col] - base);
            float     a    = g < seen ? c[col] * scale : -INFINITY;
            float     b    = g + 8 < seen ? c[col + 2] * scale : -INFINITY;
            float     top  = fmaxf(a, b);
            top            = fmaxf(top, __shfl_xor_sync(~0u, top, 4));
            top            = fmaxf(top, __shfl_xor_sync(~0u, top, 8));
            top            = fmaxf(top, __shfl_xor_sync(~0u, top, 16));
            top            = fmaxf(top, p.top[n][col]);
            shrink[col]    = exp2f(p.top[n][col] - top);
            p.top[n][col]  = top;
            c[col]         = exp2f(a - top);
            c[col + 2]     = exp2f(b - top);
            p.sum[n][col]  = p.sum[n][col] * shrink[col] + (c[col] + c[col + 2]);
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

// join adds the warps' partial results and writes the rows.
template <typename T, int D, int N, int W>
__device__ void join(T * out, partial<D, N> & p, int columns, int group, int64_t stride) {
    extern __shared__ float shared[];
    constexpr int           width = D + 1;
    float(*o)[8 * N][width]       = reinterpret_cast<float(*)[8 * N][width]>(shared);
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

// source is where a decode step's queries, keys and values come from, before bias and
// rotation.
template <typename T> struct source {
    const T *     qkv;      // (rows, (H + 2 KV) D)
    const float * bias;     // ((H + 2 KV) D)
    const float * rotation; // (context, D)
};

// rotated reads the lane's part of a query head, biased and rotated: 8 dims from each
// 32, so that both of every pair are the same lane's.
template <typename T, int D>
__device__ __forceinline__ void rotated(uint4 (&q)[D / 32], const T * src, const float * bias, const float * turn,
                                        int t) {
#pragma unroll
    for (int j = 0; j < D / 64; j++) {
        const int   at = 32 * j + 8 * t;
        uint32_t    lo[4], hi[4];
        const uint4 a = *reinterpret_cast<const uint4 *>(src + at);
        const uint4 b = *reinterpret_cast<const uint4 *>(src + at + D / 2);
#pragma unroll
        for (int w = 0; w < 4; w++) {
            const int    i = at + 2 * w;
            const float2 x = unpack2<T>(word(a, w)), y = unpack2<T>(word(b, w));
            const float2 z0 = turned(x.x + bias[i], y.x + bias[i + D / 2], turn[i], turn[i + D / 2]);
            const float2 z1 = turned(x.y + bias[i + 1], y.y + bias[i + 1 + D / 2], turn[i + 1], turn[i + 1 + D / 2]);
            lo[w]           = pack2<T>(z0.x, z1.x);
            hi[w]           = pack2<T>(z0.y, z1.y);
        }
        q[j]          = make_uint4(lo[0], lo[1], lo[2], lo[3]);
        q[j + D / 64] = make_uint4(hi[0], hi[1], hi[2], hi[3]);
    }
}

// With a source the row's key and value go into the cache first; the block is the only
// one that reads them in this step.
template <typename T, int D, int N, int W, bool kSource>
__global__ void __launch_bounds__(32 * W, (N == 1 ? 16 : 8) / W)
    attend_kernel(T * out, const T * q, T * k, T * v, const nv_row * rows, const int32_t * tables, int table,
                  const nv_tile * tiles, int heads, int kv, float scale, source<T> from) {
    begin();
    const nv_tile tile  = tiles ? tiles[blockIdx.x] : nv_tile{ (int)blockIdx.x, 1 };
    const int     head  = blockIdx.y;
    const int     group = heads / kv;
    const nv_row  row   = rows[tile.row];
    int           block = tables[(int64_t)tile.row * table + min((int)threadIdx.x / 32, table - 1)];
    const int64_t width = (int64_t)heads * D;
    out += tile.row * width + head * group * D;
    if (row.pos < 0) { // idle
        for (int i = threadIdx.x; i < group * D; i += blockDim.x) {
            out[i] = from_float<T>(0.f);
        }
        return;
    }
    const int     lane    = threadIdx.x % 32;
    const int     columns = tile.n * group;
    const T *     raw     = from.qkv + (int64_t)tile.row * (heads + 2 * kv) * D;
    const float * turn    = from.rotation + (int64_t)row.pos * D;
    if (kSource && threadIdx.x < 64) {
        const bool    is_key = threadIdx.x < 32;
        const int     h      = heads + (is_key ? 0 : kv) + head;
        const int64_t at     = place<D>(row, tables + (int64_t)tile.row * table, head, kv);
        store_head<T, D>((is_key ? k : v) + at, raw + h * D, from.bias + h * D, turn, is_key, lane);
    }

    uint4 query[N][D / 32];
    int   sees[N][2]; // positions below it
#pragma unroll
    for (int n = 0; n < N; n++) {
        const int c = 8 * n + lane / 4;
#pragma unroll
        for (int j = 0; j < D / 32; j++) {
            query[n][j] = make_uint4(0, 0, 0, 0);
            if (!kSource && c < columns) {
                query[n][j] = *reinterpret_cast<const uint4 *>(
                    q + (tile.row + c / group) * width + (head * group + c % group) * D + 32 * j + 8 * (lane % 4));
            }
        }
        if (kSource && c < columns) {
            const int h = (head * group + c) * D;
            rotated<T, D>(query[n], raw + h, from.bias + h, turn, lane % 4);
        }
        for (int col = 0; col < 2; col++) {
            sees[n][col] = row.pos + 1 + min((8 * n + 2 * (lane % 4) + col) / group, tile.n - 1);
        }
    }
    partial<D, N> p;
#pragma unroll
    for (int n = 0; n < N; n++) {
        p.top[n][0] = p.top[n][1] = lowest;
        p.sum[n][0] = p.sum[n][1] = 0;
#pragma unroll
        for (int d = 0; d < D / 16; d++) {
            p.o[d][n][0] = p.o[d][n][1] = p.o[d][n][2] = p.o[d][n][3] = 0;
        }
    }
    if (kSource) {
        __syncthreads(); // key and value are in the cache
    }
    const span s = make_span(tables + (int64_t)tile.row * table, row.prefix, row.pos + tile.n);
    for (int i = threadIdx.x / 32; i < s.blocks; i += W) {
        const int64_t at = ((int64_t)block * kv + head) * NV_BLOCK * D;
        block            = s.table[min(i + W, table - 1)];
        visit<T, D, N>(p, query, k + at, v + at, s, i, sees, scale);
    }
    join<T, D, N, W>(out, p, columns, group, width);
}

template <typename T, int D, int N, int W, bool kSource>
int run(T * out, const T * q, T * k, T * v, const nv_row * rows, const int32_t * tables, int table,
        const nv_tile * tiles, int n, const nv_shape & shape, source<T> from, cudaStream_t s) {
    constexpr int bytes  = W * 8 * N * (D + 1) * (int)sizeof(float);
    auto *        kernel = attend_kernel<T, D, N, W, kSource>;
    NV_CU(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
    const float scale = 1.4426950408889634f / sqrtf((float)D); // scores in octaves
    return launch("attend", kernel, dim3(n, shape.kv_heads), 32 * W, bytes, s, out, q, k, v, rows, tables, table, tiles,
                  shape.heads, shape.kv_heads, scale, from);
}

} // namespace

// How many warps share a sequence shows in the last bits, so it depends on the declared
// number of rows only, and for prompts on nothing.

template <typename T>
int attend_prompts(T * out, const T * q, const T * k, const T * v, const nv_row * rows, const int32_t * tables,
                   int table, const nv_tile * tiles, int n_tiles, const nv_shape & shape, cudaStream_t s) {
    auto * f = shape.head_dim == 64 ? run<T, 64, 2, 4, false> : run<T, 128, 2, 4, false>;
    return f(out, q, const_cast<T *>(k), const_cast<T *>(v), rows, tables, table, tiles, n_tiles, shape, source<T>{},
             s);
}

template <typename T>
int attend_step(T * out, T * k, T * v, const T * qkv, const float * bias, const float * rotation, const nv_row * rows,
                const int32_t * tables, int table, int b, const nv_shape & shape, cudaStream_t s) {
    const bool wide = shape.heads / shape.kv_heads > 8;
    const bool many = !wide && b >= 128;
    auto *     f    = shape.head_dim == 64 ? (wide   ? run<T, 64, 2, 4, true>
                                              : many ? run<T, 64, 1, 2, true>
                                                     : run<T, 64, 1, 4, true>)
                                           : (wide   ? run<T, 128, 2, 4, true>
                                              : many ? run<T, 128, 1, 2, true>
                                                     : run<T, 128, 1, 4, true>);
    return f(out, nullptr, k, v, rows, tables, table, nullptr, b, shape, source<T>{ qkv, bias, rotation }, s);
}

#define NV_INSTANTIATE(T)                                                                                              \
    template int attend_prompts(T *, const T *, const T *, const T *, const nv_row *, const int32_t *, int,            \
                                const nv_tile *, int, const nv_shape &, cudaStream_t);                                 \
    template int attend_step(T *, T *, T *, const T *, const float *, const float *, const nv_row *, const int32_t *,  \
                             int, int, const nv_shape &, cudaStream_t);

NV_INSTANTIATE(__nv_bfloat16)
NV_INSTANTIATE(__half)

} // namespace nv

int nv_tile_rows(const nv_shape * shape) { return 16 / (shape->heads / shape->kv_heads); }
