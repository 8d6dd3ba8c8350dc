// What the native path's files share: checks, types, vectors.

#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace nv {

// fail notes a message for nv_error and returns code.
int fail(int code, const char * format, ...) __attribute__((format(printf, 2, 3)));

// overlaps reports whether the GPU can set a kernel up before the one before it ends.
bool overlaps();

// check turns a CUDA status into a code.
int check(cudaError_t status, const char * what);

#define NV_TRY(expr)                                                                                                   \
    do {                                                                                                               \
        const int nv_code_ = (expr);                                                                                   \
        if (nv_code_ != 0) {                                                                                           \
            return nv_code_;                                                                                           \
        }                                                                                                              \
    } while (0)

#define NV_CU(expr) NV_TRY(::nv::check((expr), #expr))

// begin waits for the kernels before this one, which launch lets it overlap, and lets the
// one after it be set up as soon as there is room.
__device__ __forceinline__ void begin() {
#if __CUDA_ARCH__ >= 900
    cudaGridDependencySynchronize();
    cudaTriggerProgrammaticLaunchCompletion();
#endif
}

// launch queues a kernel that calls begin before it reads what others wrote: on GPUs
// that can, its blocks are set up while the kernel before it ends.
template <typename... Params, typename... Args>
int launch(const char * what, void (*kernel)(Params...), dim3 grid, unsigned threads, size_t shared, cudaStream_t s,
           Args... args) {
    cudaLaunchConfig_t  config                       = {};
    cudaLaunchAttribute early                        = {};
    config.gridDim                                   = grid;
    config.blockDim                                  = dim3(threads);
    config.dynamicSmemBytes                          = shared;
    config.stream                                    = s;
    early.id                                         = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    config.attrs                                     = &early;
    config.numAttrs                                  = overlaps() ? 1 : 0;
    return check(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...), what);
}

// Conversions that round to nearest; a float16 saturates instead of becoming
// infinite, because Qwen's activations can leave its range. A NaN stays one, so that the
// sampler sees it: fminf and fmaxf would make it the end of the range.
template <typename T> __device__ __forceinline__ T from_float(float x);

template <> __device__ __forceinline__ __nv_bfloat16 from_float(float x) { return __float2bfloat16_rn(x); }

template <> __device__ __forceinline__ __half from_float(float x) {
    return __float2half_rn(x > 65504.f ? 65504.f : x < -65504.f ? -65504.f : x);
}

__device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

__device__ __forceinline__ float to_float(__half x) { return __half2float(x); }

// pack2 and unpack2 move two values through one 32-bit word, the first one low.
template <typename T> __device__ __forceinline__ uint32_t pack2(float x, float y) {
    const T a = from_float<T>(x);
    const T b = from_float<T>(y);
    return (uint32_t) reinterpret_cast<const uint16_t &>(a) | (uint32_t) reinterpret_cast<const uint16_t &>(b) << 16;
}

template <typename T> __device__ __forceinline__ float2 unpack2(uint32_t w) {
    const uint16_t a = (uint16_t)w;
    const uint16_t b = (uint16_t)(w >> 16);
    return make_float2(to_float(reinterpret_cast<const T &>(a)), to_float(reinterpret_cast<const T &>(b)));
}

} // namespace nv
