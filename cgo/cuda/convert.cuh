// Numbers between float32 and the types of weights and activations.

#pragma once

#ifdef PP_EMULATE
#include "emulate.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif

#include <cstdint>

namespace nv {

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
