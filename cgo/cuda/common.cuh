// What the native path's files share: checks and launches.

#pragma once

#include <cuda_runtime.h>

#include "convert.cuh"

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

} // namespace nv
