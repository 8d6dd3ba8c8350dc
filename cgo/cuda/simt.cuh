// What a kernel needs beyond CUDA C++: the choice between a GPU and the emulation on the
// CPU that the tests use.

#ifndef PERSONAPROBE_SIMT_CUH
#define PERSONAPROBE_SIMT_CUH

#ifdef PP_EMULATE
#include "emulate.h"
#else

#include <cuda_runtime.h>

#define PP_SHARED(name) extern __shared__ __align__(16) unsigned char name[]

// launch starts a kernel of grid x threads.
template <typename... Params, typename... Args>
cudaError_t launch(void (*kernel)(Params...), unsigned grid, unsigned threads, size_t shared, cudaStream_t stream,
                   Args... args) {
    cudaError_t err = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
    if (err != cudaSuccess) {
        return err;
    }
    cudaLaunchConfig_t config = {};
    config.gridDim            = dim3(grid);
    config.blockDim           = dim3(threads);
    config.dynamicSmemBytes   = shared;
    config.stream             = stream;
    return cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...);
}

#endif
#endif
