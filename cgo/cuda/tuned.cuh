// Algorithms that multiply faster than cuBLASLt's first heuristic.

#pragma once

#include <cublasLt.h>

namespace nv {

// tuned is an algorithm for a product: the heuristic's, but for its tile and cluster.
struct tuned {
    int                    b, n, k;
    bool                   full; // float32 out
    cublasLtMatmulTile_t   tile;
    cublasLtClusterShape_t cluster;
};

// For Qwen2.5-7B on 132 multiprocessors (H100, H200), measured by test/tune_products.cu at
// the clock that a hot device keeps; its figures are in bench/results/products-h200.md.
// Most of them fill whole waves: 37888 / 144 x 512 / 128 tiles are 8 x 132.
constexpr int   tuned_processors = 132;
constexpr tuned all_tuned[]      = {
#if CUBLAS_VER_MAJOR >= 13 // older ones do not have these tiles
    { 256, 4608, 3584, false, CUBLASLT_MATMUL_TILE_144x64, CUBLASLT_CLUSTER_SHAPE_2x1x1 },
    { 256, 3584, 3584, true, CUBLASLT_MATMUL_TILE_112x64, CUBLASLT_CLUSTER_SHAPE_2x1x1 },
    { 256, 37888, 3584, false, CUBLASLT_MATMUL_TILE_144x128, CUBLASLT_CLUSTER_SHAPE_1x2x1 },
    { 256, 3584, 18944, true, CUBLASLT_MATMUL_TILE_112x64, CUBLASLT_CLUSTER_SHAPE_2x1x1 },
    { 256, 152064, 3584, true, CUBLASLT_MATMUL_TILE_144x128, CUBLASLT_CLUSTER_SHAPE_1x2x1 },
    { 512, 4608, 3584, false, CUBLASLT_MATMUL_TILE_144x128, CUBLASLT_CLUSTER_SHAPE_2x1x1 },
    { 512, 37888, 3584, false, CUBLASLT_MATMUL_TILE_144x128, CUBLASLT_CLUSTER_SHAPE_1x2x1 },
    { 512, 152064, 3584, true, CUBLASLT_MATMUL_TILE_160x128, CUBLASLT_CLUSTER_SHAPE_1x2x1 },
    { 1024, 4608, 3584, false, CUBLASLT_MATMUL_TILE_144x128, CUBLASLT_CLUSTER_SHAPE_2x1x1 },
    { 1024, 37888, 3584, false, CUBLASLT_MATMUL_TILE_144x128, CUBLASLT_CLUSTER_SHAPE_2x1x1 },
    { 1024, 152064, 3584, true, CUBLASLT_MATMUL_TILE_176x128, CUBLASLT_CLUSTER_SHAPE_1x2x1 },
#else
    {},
#endif
};

} // namespace nv
