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
    const nv_tile   tile   = tiles[blockIdx.x];
    const int       head   = blockIdx.y;
    const int       group  = heads / kv;
    const nv_row    row    = rows[tile.row];
    const int32_t * own    = tables + (int64_t)tile.row * table;
    int             block  = own[min((int)threadIdx.x / 32, table - 1)];
    const int64_t   stride = (int64_t)heads * D;
    out += tile.row * stride + head * group * D;
    if (row.pos < 0) { // idle
        return clear_row<T, D>(out, group);
    }
    const int lane    = threadIdx.x % 32;
    const int columns = tile.n * group;
    uint4     query[N][D / 32];
    seen<N>   sees;
#pragma unroll
    for (int n = 0; n < N; n++) {
        const int c = 8 * n + lane / 4;
#pragma unroll
        for (int j = 0; j < D / 32; j++) {
            query[n][j] = make_uint4(0, 0, 0, 0);
            if (c < columns) {
                query[n][j] = *reinterpret_cast<const uint4 *>(
                    q + (tile.row + c / group) * stride + (head * group + c % group) * D + 32 * j + 8 * (lane % 4));
            }
        }
        for (int col = 0; col < 2; col++) {
            sees[n][col] = row.pos + 1 + min((8 * n + 2 * (lane % 4) + col) / group, tile.n - 1);
        }
    }
    partial<D, N> p;
    clear(p);
    attend<T, D, N, W>(p, query, sees, k, v, own, table, block, make_span(row.prefix, row.pos + tile.n), head, kv,
                       scale);
    join<T, D, N, W>(out, p, shared, columns, group, stride);
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
