// What a kernel needs beyond CUDA C++: clusters where the architecture has them, and
// the choice between a GPU and the emulation on the CPU that the tests use.

#ifndef PERSONAPROBE_SIMT_CUH
#define PERSONAPROBE_SIMT_CUH

#ifdef PP_EMULATE
#include "emulate.h"
#else

#include <cooperative_groups.h>
#include <cuda_runtime.h>

#define PP_SHARED(name) extern __shared__ __align__(16) unsigned char name[]

__device__ inline void cluster_sync() {
#if __CUDA_ARCH__ >= 900
    cooperative_groups::this_cluster().sync();
#else
    __syncthreads();
#endif
}

__device__ inline unsigned cluster_rank() {
#if __CUDA_ARCH__ >= 900
    return cooperative_groups::this_cluster().block_rank();
#else
    return 0;
#endif
}

// peer is where the block with a rank has what this block has at p in shared memory.
template <typename T> __device__ inline T * peer(T * p, unsigned rank) {
#if __CUDA_ARCH__ >= 900
    return cooperative_groups::this_cluster().map_shared_rank(p, rank);
#else
    return p;
#endif
}

// launch starts a kernel of grid x threads in clusters of neighbouring blocks.
template <typename... Params, typename... Args>
cudaError_t launch(void (*kernel)(Params...), unsigned grid, unsigned cluster, unsigned threads, size_t shared,
                   cudaStream_t stream, Args... args) {
    cudaError_t err = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
    if (err != cudaSuccess) {
        return err;
    }
    cudaLaunchConfig_t  config = {};
    cudaLaunchAttribute attr   = {};
    config.gridDim             = dim3(grid);
    config.blockDim            = dim3(threads);
    config.dynamicSmemBytes    = shared;
    config.stream              = stream;
    attr.id                    = cudaLaunchAttributeClusterDimension;
    attr.val.clusterDim.x      = cluster;
    attr.val.clusterDim.y      = 1;
    attr.val.clusterDim.z      = 1;
    config.attrs               = &attr;
    config.numAttrs            = cluster > 1 ? 1 : 0;
    return cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...);
}

#endif
#endif
