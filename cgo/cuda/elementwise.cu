// Kernels that are bound by memory: embedding, norms, gathers, gating, rotation.

#include "kernels.cuh"
#include "cache.cuh"

namespace nv {

namespace {

constexpr int norm_threads = 256;
constexpr int norm_vectors = 8; // of 4 floats a thread: E is at most 8192

template <typename T>
__global__ void embed_kernel(float * out, const T * table, const nv_row * rows, const pp_choice * chosen, int e) {
    begin();
    const nv_row row   = rows[blockIdx.x];
    int          token = row.pos < 0 ? 0 : row.token;
    if (token < 0) {
        token = max(chosen[-token - 1].token, 0); // -1: that draw failed, and the host will say so
    }
    const uint4 * src = reinterpret_cast<const uint4 *>(table + (int64_t)token * e);
    float4 *      dst = reinterpret_cast<float4 *>(out + (int64_t)blockIdx.x * e);
    for (int i = threadIdx.x; i < e / 8; i += blockDim.x) {
        const uint4  w = src[i];
        const float2 a = unpack2<T>(w.x), b = unpack2<T>(w.y), c = unpack2<T>(w.z), d = unpack2<T>(w.w);
        dst[2 * i]     = make_float4(a.x, a.y, b.x, b.y);
        dst[2 * i + 1] = make_float4(c.x, c.y, d.x, d.y);
    }
}

// sum adds one value of every thread, in a fixed order.
__device__ float block_sum(float x) {
    __shared__ float parts[norm_threads / 32];
    for (int d = 16; d > 0; d /= 2) {
        x += __shfl_xor_sync(~0u, x, d);
    }
    if (threadIdx.x % 32 == 0) {
        parts[threadIdx.x / 32] = x;
    }
    __syncthreads();
    float total = 0;
    for (int i = 0; i < norm_threads / 32; i++) {
        total += parts[i];
    }
    return total;
}

template <typename T>
__global__ void __launch_bounds__(norm_threads)
    norm_kernel(T * out, const float * x, const int32_t * index, int n, const float * w, float eps, int e) {
    float4 g[norm_vectors]; // no kernel writes weights, so they can be read before the last one ends
#pragma unroll
    for (int k = 0; k < norm_vectors; k++) {
        const int i = threadIdx.x + k * norm_threads;
        if (i < e / 4) {
            g[k] = reinterpret_cast<const float4 *>(w)[i];
        }
    }
    begin();
    int row = blockIdx.x;
    if (index) {
        row = row < n ? index[row] : 0;
    }
    const float4 * src = reinterpret_cast<const float4 *>(x + (int64_t)row * e);
    float4         v[norm_vectors];
    float          sum = 0;
#pragma unroll
    for (int k = 0; k < norm_vectors; k++) {
        const int i = threadIdx.x + k * norm_threads;
        if (i < e / 4) {
            v[k] = src[i];
            sum += v[k].x * v[k].x + v[k].y * v[k].y + v[k].z * v[k].z + v[k].w * v[k].w;
        }
    }
    const float scale = rsqrtf(block_sum(sum) / e + eps);
    uint2 *     dst   = reinterpret_cast<uint2 *>(out + (int64_t)blockIdx.x * e);
#pragma unroll
    for (int k = 0; k < norm_vectors; k++) {
        const int i = threadIdx.x + k * norm_threads;
        if (i < e / 4) {
            dst[i] = make_uint2(pack2<T>(v[k].x * scale * g[k].x, v[k].y * scale * g[k].y),
                                pack2<T>(v[k].z * scale * g[k].z, v[k].w * scale * g[k].w));
        }
    }
}

__global__ void gather_kernel(float * out, const float * x, const int32_t * index, int e) {
    begin();
    const float4 * src = reinterpret_cast<const float4 *>(x + (int64_t)index[blockIdx.x] * e);
    float4 *       dst = reinterpret_cast<float4 *>(out + (int64_t)blockIdx.x * e);
    for (int i = threadIdx.x; i < e / 4; i += blockDim.x) {
        dst[i] = src[i];
    }
}

template <typename T> __device__ uint32_t gated(uint32_t gate, uint32_t up) {
    const float2 g = unpack2<T>(gate);
    const float2 u = unpack2<T>(up);
    return pack2<T>(g.x / (1 + __expf(-g.x)) * u.x, g.y / (1 + __expf(-g.y)) * u.y);
}

template <typename T> __global__ void silu_mul_kernel(T * out, const T * gate_up, int f) {
    begin();
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= f / 8) {
        return;
    }
    const int64_t row = blockIdx.y;
    const uint4   g   = reinterpret_cast<const uint4 *>(gate_up + row * 2 * f)[i];
    const uint4   u   = reinterpret_cast<const uint4 *>(gate_up + row * 2 * f + f)[i];
    reinterpret_cast<uint4 *>(out + row * f)[i] =
        make_uint4(gated<T>(g.x, u.x), gated<T>(g.y, u.y), gated<T>(g.z, u.z), gated<T>(g.w, u.w));
}

// A warp takes one head of one row, so a lane D/32 pairs of its first and second half.
template <typename T, int D>
__global__ void rope_store_kernel(T * q, T * k, T * v, const T * qkv, const float * bias, const float * rotation,
                                  const nv_row * rows, const int32_t * tables, int table, int heads, int kv) {
    begin();
    const int head = blockIdx.y * (blockDim.x / 32) + threadIdx.x / 32;
    if (head >= heads + 2 * kv) {
        return;
    }
    const nv_row row = rows[blockIdx.x];
    if (row.pos < 0 && head >= heads) {
        return;
    }
    const T *     src  = qkv + ((int64_t)blockIdx.x * (heads + 2 * kv) + head) * D;
    const float * turn = rotation + (int64_t)max(row.pos, 0) * D;
    bias += head * D;
    if (head < heads) {
        T * dst = q + ((int64_t)blockIdx.x * heads + head) * D;
        return store_head<T, D>(
            dst, [](int i) { return i; }, src, bias, turn, true);
    }
    const place p = place_of<D>(row, tables + (int64_t)blockIdx.x * table, (head - heads) % kv, kv);
    if (head < heads + kv) {
        store_key<T, D>(k, p, src, bias, turn);
    } else {
        store_value<T, D>(v, p, src, bias);
    }
}

} // namespace

template <typename T>
int embed(float * out, const T * table, const nv_row * rows, const pp_choice * chosen, int b, int e, cudaStream_t s) {
    return launch("embed", embed_kernel<T>, b, 256, 0, s, out, table, rows, chosen, e);
}

template <typename T> int rms_norm(T * out, const float * x, const float * w, float eps, int b, int e, cudaStream_t s) {
    return launch("rms_norm", norm_kernel<T>, b, norm_threads, 0, s, out, x, nullptr, 0, w, eps, e);
}

template <typename T>
int gather_norm(T * out, const float * x, const int32_t * index, int n, const float * w, float eps, int b, int e,
                cudaStream_t s) {
    return launch("gather_norm", norm_kernel<T>, b, norm_threads, 0, s, out, x, index, n, w, eps, e);
}

int gather(float * out, const float * x, const int32_t * index, int n, int e, cudaStream_t s) {
    return n == 0 ? NV_OK : launch("gather", gather_kernel, n, 256, 0, s, out, x, index, e);
}

template <typename T> int silu_mul(T * out, const T * gate_up, int b, int f, cudaStream_t s) {
    const int threads = 256;
    return launch("silu_mul", silu_mul_kernel<T>, dim3((f / 8 + threads - 1) / threads, b), threads, 0, s, out, gate_up,
                  f);
}

template <typename T>
int rope_store(T * q, T * k, T * v, const T * qkv, const float * bias, const float * rotation, const nv_row * rows,
               const int32_t * tables, int table, const nv_shape & shape, int b, cudaStream_t s) {
    const int  warps = 4;
    const dim3 grid(b, (shape.heads + 2 * shape.kv_heads + warps - 1) / warps);
    auto *     kernel = shape.head_dim == 64 ? rope_store_kernel<T, 64> : rope_store_kernel<T, 128>;
    return launch("rope_store", kernel, grid, 32 * warps, 0, s, q, k, v, qkv, bias, rotation, rows, tables, table,
                  shape.heads, shape.kv_heads);
}

#define NV_INSTANTIATE(T)                                                                                              \
    template int embed(float *, const T *, const nv_row *, const pp_choice *, int, int, cudaStream_t);                 \
    template int rms_norm(T *, const float *, const float *, float, int, int, cudaStream_t);                           \
    template int gather_norm(T *, const float *, const int32_t *, int, const float *, float, int, int, cudaStream_t);  \
    template int silu_mul(T *, const T *, int, int, cudaStream_t);                                                     \
    template int rope_store(T *, T *, T *, const T *, const float *, const float *, const nv_row *, const int32_t *,   \
                            int, const nv_shape &, int, cudaStream_t);

NV_INSTANTIATE(__nv_bfloat16)
NV_INSTANTIATE(__half)

} // namespace nv
