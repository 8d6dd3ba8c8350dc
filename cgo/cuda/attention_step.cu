// Attention of a decode step: rows with one token each, whose keys and values are
// rotated and put into the cache on the way.

#include "attention.cuh"
#include "kernels.cuh"

namespace nv {

namespace {

// source is where a step's queries, keys and values come from, before bias and
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

template <typename T, int D, int N, int W>
__global__ void __launch_bounds__(32 * W, 16 / N / W)
    attend_step_kernel(T * out, T * k, T * v, const nv_row * rows, const int32_t * tables, int table, int heads, int kv,
                       float scale, source<T> from) {
    extern __shared__ __align__(16) float shared[];
    begin();
    const int  warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const task t = make_task<D>(blockIdx.x, rows, tables, table, heads, kv);
    if (t.row.pos < 0) { // idle
        return clear_row<T, D>(out + t.at, t.group);
    }
    const T *     qkv  = from.qkv + (int64_t)blockIdx.x * (heads + 2 * kv) * D;
    const float * turn = from.rotation + (int64_t)t.row.pos * D;
    if (warp < 2) { // this block is the only one that reads the row's key and value in this step
        const place p = place_of<D>(t.row, t.blocks, t.head, kv);
        const int   h = (heads + warp * kv + t.head) * D;
        if (warp == 0) {
            store_key<T, D>(k, p, qkv + h, from.bias + h, turn);
        } else {
            store_value<T, D>(v, p, qkv + h, from.bias + h);
        }
    }
    uint4   query[N][D / 32];
    seen<N> sees;
#pragma unroll
    for (int n = 0; n < N; n++) {
        const int c = 8 * n + lane / 4;
#pragma unroll
        for (int j = 0; j < D / 32; j++) {
            query[n][j] = make_uint4(0, 0, 0, 0);
        }
        if (c < t.group) {
            const int h = (t.head * t.group + c) * D;
            rotated<T, D>(query[n], qkv + h, from.bias + h, turn, lane % 4);
        }
        sees[n][0] = sees[n][1] = t.row.pos + 1;
    }
    partial<D, N> p;
    clear(p);
    __syncthreads(); // key and value are in the cache
    attend<T, D, N, W>(p, query, sees, k, v, t, 1, scale);
    join<T, D, N, W>(out + t.at, p, shared, t.group, t.group, t.stride);
}

template <typename T, int D, int N, int W>
int run(T * out, T * k, T * v, const nv_row * rows, const int32_t * tables, int table, int b, const nv_shape & shape,
        source<T> from, cudaStream_t s) {
    constexpr int bytes  = join_bytes<D, N, W>;
    auto *        kernel = attend_step_kernel<T, D, N, W>;
    NV_CU(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
    return launch("attend_step", kernel, dim3(b, shape.kv_heads), 32 * W, bytes, s, out, k, v, rows, tables, table,
                  shape.heads, shape.kv_heads, octaves(D), from);
}

// How many warps share a sequence shows in the last bits, so it depends on the declared
// number of rows only.
template <typename T, int D> auto choose(int group, int b) {
    return group > 8 ? run<T, D, 2, 4> : b >= 128 ? run<T, D, 1, 2> : run<T, D, 1, 4>;
}

} // namespace

template <typename T>
int attend_step(T * out, T * k, T * v, const T * qkv, const float * bias, const float * rotation, const nv_row * rows,
                const int32_t * tables, int table, int b, const nv_shape & shape, cudaStream_t s) {
    const int group = shape.heads / shape.kv_heads;
    auto *    f     = shape.head_dim == 64 ? choose<T, 64>(group, b) : choose<T, 128>(group, b);
    return f(out, k, v, rows, tables, table, b, shape, source<T>{ qkv, bias, rotation }, s);
}

#define NV_INSTANTIATE(T)                                                                                              \
    template int attend_step(T *, T *, T *, const T *, const float *, const float *, const nv_row *, const int32_t *,  \
                             int, int, const nv_shape &, cudaStream_t);

NV_INSTANTIATE(__nv_bfloat16)
NV_INSTANTIATE(__half)

} // namespace nv
