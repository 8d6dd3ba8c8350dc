// Attention of prompts' rows, whose keys and values are in the cache already.

#include "attention.cuh"
#include "kernels.cuh"

namespace nv {

namespace {

constexpr int tile_columns = 2; // times 8
constexpr int tile_warps   = 4; // the same for every prompt: it shows in the last bits

template <typename T, int D>
__global__ void __launch_bounds__(32 * tile_warps, 2)
    attend_prompts_kernel(T * out, const T * q, const T * k, const T * v, const nv_row * rows, const int32_t * tables,
                          int table, const nv_tile * tiles, int heads, int kv, float scale) {
    constexpr int     N = tile_columns, W = tile_warps;
    extern __shared__ __align__(16) float shared[];
    begin();
    const nv_tile tile = tiles[blockIdx.x];
    const task    t    = make_task<D>(tile.row, rows, tables, table, heads, kv);
    if (t.row.pos < 0) { // idle
        return clear_row<T, D>(out + t.at, t.group);
    }
    const int lane    = threadIdx.x % 32;
    const int columns = tile.n * t.group;
    uint4     query[N][D / 32];
    seen<N>   sees;
#pragma unroll
    for (int n = 0; n < N; n++) {
        const int c = 8 * n + lane / 4;
#pragma unroll
        for (int j = 0; j < D / 32; j++) {
            query[n][j] = make_uint4(0, 0, 0, 0);
            if (c < columns) {
                query[n][j] = *reinterpret_cast<const uint4 *>(q + t.at + c / t.group * t.stride + c % t.group * D +
                                                               32 * j + 8 * (lane % 4));
            }
        }
        for (int col = 0; col < 2; col++) {
            sees[n][col] = t.row.pos + 1 + min((8 * n + 2 * (lane % 4) + col) / t.group, tile.n - 1);
        }
    }
    partial<D, N> p;
    clear(p);
    attend<T, D, N, W>(p, query, sees, k, v, t, tile.n, scale);
    join<T, D, N, W>(out + t.at, p, shared, columns, t.group, t.stride);
}

template <typename T, int D>
int run(T * out, const T * q, const T * k, const T * v, const nv_row * rows, const int32_t * tables, int table,
        const nv_tile * tiles, int n, const nv_shape & shape, cudaStream_t s) {
    constexpr int bytes  = join_bytes<D, tile_columns, tile_warps>;
    auto *        kernel = attend_prompts_kernel<T, D>;
    NV_CU(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
    return launch("attend_prompts", kernel, dim3(n, shape.kv_heads), 32 * tile_warps, bytes, s, out, q, k, v, rows,
                  tables, table, tiles, shape.heads, shape.kv_heads, octaves(D));
}

} // namespace

template <typename T>
int attend_prompts(T * out, const T * q, const T * k, const T * v, const nv_row * rows, const int32_t * tables,
                   int table, const nv_tile * tiles, int n_tiles, const nv_shape & shape, cudaStream_t s) {
    auto * f = shape.head_dim == 64 ? run<T, 64> : run<T, 128>;
    return f(out, q, k, v, rows, tables, table, tiles, n_tiles, shape, s);
}

#define NV_INSTANTIATE(T)                                                                                              \
    template int attend_prompts(T *, const T *, const T *, const T *, const nv_row *, const int32_t *, int,            \
                                const nv_tile *, int, const nv_shape &, cudaStream_t);

NV_INSTANTIATE(__nv_bfloat16)
NV_INSTANTIATE(__half)

} // namespace nv

int nv_tile_rows(const nv_shape * shape) { return 8 * nv::tile_columns / (shape->heads / shape->kv_heads); }
