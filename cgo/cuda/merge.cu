#include "merge.h"

#include "simt.cuh"

#ifndef PP_EMULATE
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace {

constexpr int kThreads = 256; // columns of a block
constexpr int kRows    = 8;   // rows of a block: each element of a is read once for all
constexpr int kRank    = 256; // of b's columns that shared memory holds at a time

__device__ inline float read(const void * p, int type, int64_t i) {
    switch (type) {
    case PP_F16:
        return __half2float(static_cast<const __half *>(p)[i]);
    case PP_BF16:
        return __bfloat162float(static_cast<const __nv_bfloat16 *>(p)[i]);
    default:
        return static_cast<const float *>(p)[i];
    }
}

__device__ inline void write(void * p, int type, int64_t i, float v) {
    switch (type) {
    case PP_F16:
        static_cast<__half *>(p)[i] = __float2half_rn(v);
        break;
    case PP_BF16:
        static_cast<__nv_bfloat16 *>(p)[i] = __float2bfloat16_rn(v);
        break;
    default:
        static_cast<float *>(p)[i] = v;
    }
}

struct merge_args {
    void *       dst;
    const void * base;
    const void * a;
    const void * b;
    int          type, a_type, b_type, rank;
    int64_t      n_in, n_out;
    int64_t      row_blocks;
    double       scale;
};

__global__ void __launch_bounds__(kThreads) merge_kernel(merge_args m) {
    PP_SHARED(shared);
    float *       left       = reinterpret_cast<float *>(shared); // (rows, n) of b, scaled
    const int64_t first      = blockIdx.x % m.row_blocks * kRows;
    const int64_t col        = blockIdx.x / m.row_blocks * kThreads + threadIdx.x;
    const int     rows       = (int)min((int64_t)kRows, m.n_out - first);
    float         sum[kRows] = {};
    for (int k0 = 0; k0 < m.rank; k0 += kRank) {
        const int n = min(kRank, m.rank - k0);
        __syncthreads(); // before others' last pieces are overwritten
        for (int i = (int)threadIdx.x; i < rows * n; i += kThreads) {
            const int64_t from = (first + i / n) * m.rank + k0 + i % n;
            left[i]            = (float)((double)read(m.b, m.b_type, from) * m.scale);
        }
        __syncthreads();
        for (int k = 0; k < n && col < m.n_in; k++) {
            const float right = read(m.a, m.a_type, (k0 + k) * m.n_in + col);
#pragma unroll
            for (int r = 0; r < kRows; r++) {
                if (r < rows && left[r * n + k] != 0) {
                    sum[r] = __fadd_rn(sum[r], __fmul_rn(left[r * n + k], right));
                }
            }
        }
    }
#pragma unroll
    for (int r = 0; r < kRows; r++) {
        if (r < rows && col < m.n_in) {
            const int64_t i = (first + r) * m.n_in + col;
            write(m.dst, m.type, i, __fadd_rn(read(m.base, m.type, i), sum[r]));
        }
    }
}

bool known(int type) { return type == PP_F32 || type == PP_F16 || type == PP_BF16; }

} // namespace

int pp_merge(void * dst, const void * base, int type, int64_t n_in, int64_t n_out, const void * a, int a_type,
             const void * b, int b_type, int rank, double scale, cudaStream_t stream) {
    if (!known(type) || !known(a_type) || !known(b_type) || rank < 1 || n_in < 1 || n_out < 1) {
        return cudaErrorInvalidValue;
    }
    merge_args m;
    m.dst              = dst;
    m.base             = base;
    m.a                = a;
    m.b                = b;
    m.type             = type;
    m.a_type           = a_type;
    m.b_type           = b_type;
    m.rank             = rank;
    m.n_in             = n_in;
    m.n_out            = n_out;
    m.row_blocks       = (n_out + kRows - 1) / kRows;
    m.scale            = scale;
    const int64_t grid = m.row_blocks * ((n_in + kThreads - 1) / kThreads);
    return launch(merge_kernel, (unsigned)grid, kThreads, kRows * min(kRank, rank) * sizeof(float), stream, m);
}
