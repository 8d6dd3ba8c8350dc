// Matrix products: out (B, N) = x (B, K) times w (N, K) transposed.

#pragma once

#include <cublasLt.h>

#include <map>
#include <string>
#include <tuple>

#include "common.cuh"

namespace nv {

constexpr size_t workspace_bytes = 64 << 20; // for products of one stream

// products multiplies with cuBLASLt. For each shape its first heuristic is taken, or what
// tuned.cuh has; both depend on the library, the GPU and the shape alone. It is kept, so a
// row's bits do not depend on the other rows nor on its place.
class products {
  public:
    ~products();

    // open takes workspace_bytes of the device's memory, or nullptr to describe only.
    int open(cudaDataType type, void * workspace);

    // half writes out in the operands' type; full adds to out, float32, if add is set.
    int half(void * out, const void * x, const void * w, int b, int n, int k, cudaStream_t s);
    int full(float * out, const void * x, const void * w, int b, int n, int k, bool add, cudaStream_t s);

    // describe adds to text what was chosen for a product: B x N x K, f if out is float32,
    // then cuBLASLt's numbers of algorithm, tile, stages and cluster and the parts of K.
    int describe(std::string * text, int b, int n, int k, bool full);

  private:
    struct plan {
        cublasLtMatmulDesc_t   op = nullptr;
        cublasLtMatrixLayout_t w = nullptr, x = nullptr, out = nullptr;
        cublasLtMatmulAlgo_t   algo = {};

        plan()             = default;
        plan(const plan &) = delete;
        ~plan();
    };
    using shape = std::tuple<int, int, int, bool>; // b, n, k, float32

    int  find(plan ** out, int b, int n, int k, bool full);
    int  search(plan & p, const shape & key);
    void tune(plan & p, const shape & key);
    int  run(void * out, const void * x, const void * w, int b, int n, int k, bool full, float beta, cudaStream_t s);

    cublasLtHandle_t      handle_     = nullptr;
    cudaDataType          type_       = CUDA_R_16BF;
    void *                workspace_  = nullptr;
    int                   processors_ = 0;
    std::map<shape, plan> plans_;
};

} // namespace nv
