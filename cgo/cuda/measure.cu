#include "measure.h"

#include <cuda_bf16.h>

#include "gemm.cuh"
#include "model.cuh"
#include "noise.cuh"

namespace {

constexpr size_t kCopy   = 1ull << 30;
constexpr int    kSide   = 8192;
constexpr int    kRepeat = 20;

// randomize fills with numbers from -1 to 1.
__global__ void randomize(__nv_bfloat16 * p, size_t n, unsigned seed) {
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
        p[i] = __float2bfloat16_rn(noise((unsigned)i * 2654435761u + seed));
    }
}

// cuda_error is what an NV_* code means in CUDA's own words. All here return a cudaError_t
// and not an int, so that the compiler refuses a code of the other kind.
cudaError_t cuda_error(int code) {
    switch (code) {
    case NV_OK:
        return cudaSuccess;
    case NV_MEMORY:
        return cudaErrorMemoryAllocation;
    case NV_UNSUPPORTED:
        return cudaErrorNotSupported;
    default:
        return cudaErrorUnknown; // CUDA's own code is in nv_error's words
    }
}

#define TRY(expr)                                                                                                      \
    do {                                                                                                               \
        const cudaError_t status_ = (expr);                                                                            \
        if (status_ != cudaSuccess) {                                                                                  \
            return status_;                                                                                            \
        }                                                                                                              \
    } while (0)

// timer gives the seconds that a turn of queued work takes.
struct timer {
    cudaEvent_t from = nullptr, to = nullptr;

    cudaError_t open() {
        TRY(cudaEventCreate(&from));
        return cudaEventCreate(&to);
    }
    ~timer() { cudaEventDestroy(from), cudaEventDestroy(to); }

    template <typename F> cudaError_t time(double & seconds, F work) {
        float ms = 0;
        TRY(work()); // once beforehand
        TRY(cudaEventRecord(from));
        for (int i = 0; i < kRepeat; i++) {
            TRY(work());
        }
        TRY(cudaEventRecord(to));
        TRY(cudaEventSynchronize(to));
        TRY(cudaEventElapsedTime(&ms, from, to));
        seconds = ms * 1e-3 / kRepeat;
        return cudaSuccess;
    }
};

// memory is device memory that goes when it is left.
struct memory {
    void * p = nullptr;
    ~memory() { cudaFree(p); }
    cudaError_t get(size_t n) { return cudaMalloc(&p, n); }
};

cudaError_t measure_copy(timer & t, double & rate) {
    memory a, b;
    double seconds = 0;
    TRY(a.get(kCopy));
    TRY(b.get(kCopy));
    TRY(t.time(seconds, [&] { return cudaMemcpyAsync(b.p, a.p, kCopy, cudaMemcpyDeviceToDevice, 0); }));
    rate = 2.0 * kCopy / seconds;
    return cudaSuccess;
}

cudaError_t measure_matrix(timer & t, double & rate) {
    constexpr size_t kBytes = (size_t)kSide * kSide * sizeof(__nv_bfloat16);
    memory           x, w, out, scratch;
    nv::products     products;
    double           seconds = 0;
    TRY(x.get(kBytes));
    TRY(w.get(kBytes));
    TRY(out.get(kBytes));
    TRY(scratch.get(nv::workspace_bytes));
    TRY(cuda_error(products.open(CUDA_R_16BF, scratch.p)));
    randomize<<<1024, 256>>>(static_cast<__nv_bfloat16 *>(x.p), kBytes / 2, 1);
    TRY(cudaGetLastError());
    randomize<<<1024, 256>>>(static_cast<__nv_bfloat16 *>(w.p), kBytes / 2, 2);
    TRY(cudaGetLastError());
    TRY(t.time(seconds, [&] { return cuda_error(products.half(out.p, x.p, w.p, kSide, kSide, kSide, 0)); }));
    rate = 2.0 * kSide * kSide * kSide / seconds;
    return cudaSuccess;
}

cudaError_t measure(pp_rates & out) {
    timer t;
    TRY(t.open());
    TRY(measure_copy(t, out.copy));
    return measure_matrix(t, out.matrix);
}

} // namespace

int pp_measure(pp_rates * out) {
    *out             = {};
    cudaError_t err  = cudaSuccess;
    const int   code = nv::guarded([&] { return err = measure(*out), NV_OK; });
    return err != cudaSuccess ? err : cuda_error(code);
}
