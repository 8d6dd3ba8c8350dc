#include "measure.h"

#include <cuda_bf16.h>

#include "gemm.cuh"
#include "native.h"
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

// cuda_error is what the products' NV_* codes mean in CUDA's own words, which this file
// returns.
int cuda_error(int code) {
    switch (code) {
    case NV_OK:
        return cudaSuccess;
    case NV_MEMORY:
        return cudaErrorMemoryAllocation;
    case NV_UNSUPPORTED:
        return cudaErrorNotSupported;
    default: {
        const cudaError_t last = cudaGetLastError();
        return last == cudaSuccess ? cudaErrorUnknown : last;
    }
    }
}

// timer gives the seconds that a turn of queued work takes.
struct timer {
    cudaEvent_t from = nullptr, to = nullptr;
    timer() { cudaEventCreate(&from), cudaEventCreate(&to); }
    ~timer() { cudaEventDestroy(from), cudaEventDestroy(to); }

    template <typename F> int time(double & seconds, F work) {
        int err = work(); // once beforehand
        if (err != cudaSuccess) {
            return err;
        }
        cudaEventRecord(from);
        for (int i = 0; i < kRepeat && err == cudaSuccess; i++) {
            err = work();
        }
        cudaEventRecord(to);
        if (err == cudaSuccess) {
            err = cudaEventSynchronize(to);
        }
        float ms = 0;
        if (err == cudaSuccess) {
            err = cudaEventElapsedTime(&ms, from, to);
        }
        seconds = ms * 1e-3 / kRepeat;
        return err;
    }
};

// memory is device memory that goes when it is left.
struct memory {
    void * p = nullptr;
    ~memory() { cudaFree(p); }
    int get(size_t n) { return cudaMalloc(&p, n); }
};

int measure_copy(timer & t, double & rate) {
    memory a, b;
    int    err = a.get(kCopy);
    err        = err ? err : b.get(kCopy);
    if (err != cudaSuccess) {
        return err;
    }
    double seconds = 0;
    err  = t.time(seconds, [&] { return (int)cudaMemcpyAsync(b.p, a.p, kCopy, cudaMemcpyDeviceToDevice, 0); });
    rate = err ? 0 : 2.0 * kCopy / seconds;
    return err;
}

int measure_matrix(timer & t, double & rate) {
    constexpr size_t kBytes = (size_t)kSide * kSide * sizeof(__nv_bfloat16);
    memory           x, w, out, scratch;
    int              err = x.get(kBytes);
    err                  = err ? err : w.get(kBytes);
    err                  = err ? err : out.get(kBytes);
    err                  = err ? err : scratch.get(nv::workspace_bytes);
    nv::products products;
    err = err ? err : cuda_error(products.open(CUDA_R_16BF, scratch.p));
    if (err != cudaSuccess) {
        return err;
    }
    randomize<<<1024, 256>>>(static_cast<__nv_bfloat16 *>(x.p), kBytes / 2, 1);
    randomize<<<1024, 256>>>(static_cast<__nv_bfloat16 *>(w.p), kBytes / 2, 2);
    err                = cudaGetLastError();
    double     seconds = 0;
    const auto product = [&] { return cuda_error(products.half(out.p, x.p, w.p, kSide, kSide, kSide, 0)); };
    err                = err ? err : t.time(seconds, product);
    rate               = err ? 0 : 2.0 * kSide * kSide * kSide / seconds;
    return err;
}

} // namespace

int pp_measure(pp_rates * out) {
    timer t;
    int   err = measure_copy(t, out->copy);
    return err ? err : measure_matrix(t, out->matrix);
}
