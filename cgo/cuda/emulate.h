// Runs kernels on the CPU, for tests: the part of CUDA C++ that ours use, with the
// threads of one block as fibers that take turns at barriers and warp intrinsics.
// Slow, and blind to races; it checks the logic where there is no GPU.

#ifndef PERSONAPROBE_EMULATE_H
#define PERSONAPROBE_EMULATE_H

#include <immintrin.h>
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

#define __device__
#define __global__
#define __host__
#define __constant__
#define __launch_bounds__(...)
#define __forceinline__ inline

using std::max;
using std::min;

typedef int                  cudaError_t;
typedef struct CUstream_st * cudaStream_t;
enum { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2 };
struct float2 {
    float x, y;
};

struct float4 {
    float x, y, z, w;
};

inline float2 make_float2(float x, float y) { return { x, y }; }
inline float4 make_float4(float x, float y, float z, float w) { return { x, y, z, w }; }
inline void * emulated_alloc(size_t n) { return std::malloc(n ? n : 1); }

// The runtime's calls: device memory is host memory, and nothing runs later.
typedef struct CUevent_st * cudaEvent_t;
enum { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice, cudaStreamNonBlocking = 1 };
struct cudaDeviceProp {
    char name[256];
    int  major, minor, multiProcessorCount, l2CacheSize;
};

inline const char * cudaGetErrorString(cudaError_t e) { return e ? "emulated error" : "no error"; }
inline int          cudaGetDeviceCount(int * n) { return *n = 1, cudaSuccess; }
inline int          cudaGetDeviceProperties(cudaDeviceProp * p, int) {
             *p = { "emulation on the CPU", 0, 0, 1, 0 };
             return cudaSuccess;
}
inline int cudaDriverGetVersion(int * v) { return *v = 0; }
inline int cudaRuntimeGetVersion(int * v) { return *v = 0; }
inline int cudaMemGetInfo(size_t * free, size_t * total) { return *free = *total = 0, cudaSuccess; }
inline int cudaMalloc(void ** p, size_t n) {
    return (*p = emulated_alloc(n)) ? cudaSuccess : cudaErrorMemoryAllocation;
}
inline int cudaMallocHost(void ** p, size_t n) { return cudaMalloc(p, n); }
inline int cudaFree(void * p) { return std::free(p), cudaSuccess; }
inline int cudaFreeHost(void * p) { return cudaFree(p); }
inline int cudaMemcpyAsync(void * d, const void * s, size_t n, int, cudaStream_t) {
    return std::memcpy(d, s, n), cudaSuccess;
}
inline int cudaStreamCreateWithFlags(cudaStream_t * s, int) { return *s = nullptr, cudaSuccess; }
inline int cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
inline int cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline int cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, int) { return cudaSuccess; }
inline int cudaEventCreate(cudaEvent_t * e) { return *e = nullptr, cudaSuccess; }
inline int cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
inline int cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
inline int cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline int cudaEventElapsedTime(float * ms, cudaEvent_t, cudaEvent_t) { return *ms = 0, cudaSuccess; }

inline int cudaGetDevice(int * device) { return *device = 0; }

namespace emulate {

struct barrier {
    int      need = 0, arrived = 0;
    unsigned turn = 0;
};

constexpr size_t kStack = 128 << 10;

struct fiber {
    ucontext_t              context; // to start it
    jmp_buf                 at;      // where it waits; no system call, unlike swapcontext
    bool                    started = false;
    std::unique_ptr<char[]> stack{ new char[kStack] };
    unsigned                thread = 0, block = 0;
    bool                    done = false;
};

struct block {
    std::vector<std::unique_ptr<fiber>> fibers;
    std::vector<barrier>                warps;
    std::vector<unsigned char>          shared;
    std::vector<uint64_t>               slots; // two per thread: turns take them alternately
    barrier                             all;
    size_t                              running = 0;
    ucontext_t                          home;
    std::function<void()>               kernel;
};

inline block *& now() {
    static block * b = nullptr;
    return b;
}
inline fiber & self() { return *now()->fibers[now()->running]; }

// yield lets the next fiber run.
inline void yield() {
    block &      c    = *now();
    const size_t from = c.running;
    do {
        c.running = (c.running + 1) % c.fibers.size();
    } while (c.fibers[c.running]->done && c.running != from);
    if (c.running == from) {
        if (c.fibers[from]->done) {
            setcontext(&c.home);
        }
        return;
    }
    fiber & next = *c.fibers[c.running];
    if (_setjmp(c.fibers[from]->at) == 0) {
        if (next.started) {
            _longjmp(next.at, 1);
        }
        next.started = true;
        setcontext(&next.context);
    }
}

inline void wait(barrier & b) {
    const unsigned turn = b.turn;
    if (++b.arrived == b.need) {
        b.arrived = 0;
        b.turn++;
    }
    while (b.turn == turn) {
        yield();
    }
}

inline void body() {
    now()->kernel();
    self().done = true;
    yield();
}

inline unsigned char * shared() { return now()->shared.data(); }

// gather hands out the values of a warp's lanes, indexed by lane.
template <typename T> inline std::array<T, 32> gather(T value) {
    block &        c    = *now();
    const unsigned me   = self().thread;
    barrier &      b    = c.warps[me / 32];
    const size_t   base = (size_t)(b.turn % 2) * c.fibers.size();
    std::memcpy(&c.slots[base + me], &value, sizeof value);
    wait(b);
    std::array<T, 32> out;
    for (unsigned l = 0; l < 32; l++) {
        std::memcpy(&out[l], &c.slots[base + me / 32 * 32 + l], sizeof(T));
    }
    return out;
}

inline void run(unsigned grid, unsigned threads, size_t shared, const std::function<void()> & kernel) {
    static std::mutex one; // launch at a time
    std::lock_guard   lock(one);
    block             c;
    now()      = &c;
    c.kernel   = kernel;
    c.all.need = (int)threads;
    c.warps.resize(threads / 32, barrier{ 32 });
    c.slots.resize(2 * threads);
    for (unsigned i = 0; i < threads; i++) {
        c.fibers.push_back(std::make_unique<fiber>());
    }
    for (unsigned b = 0; b < grid; b++) {
        c.shared.assign(shared + 16, 0xA5);
        for (unsigned i = 0; i < threads; i++) {
            fiber & f = *c.fibers[i];
            f.thread  = i;
            f.block   = b;
            f.done = f.started = false;
            getcontext(&f.context);
            f.context.uc_stack.ss_sp   = f.stack.get();
            f.context.uc_stack.ss_size = kStack;
            makecontext(&f.context, body, 0);
        }
        c.running            = 0;
        c.fibers[0]->started = true;
        swapcontext(&c.home, &c.fibers[0]->context);
    }
    now() = nullptr;
}

struct index {
    unsigned x;
};

} // namespace emulate

#define threadIdx (emulate::index{ emulate::self().thread })
#define blockIdx (emulate::index{ emulate::self().block })
#define PP_SHARED(name) unsigned char * name = emulate::shared()

inline void __syncthreads() { emulate::wait(emulate::now()->all); }

inline unsigned __ballot_sync(unsigned, bool v) {
    unsigned   mask = 0;
    const auto all  = emulate::gather<uint64_t>(v);
    for (int l = 0; l < 32; l++) {
        mask |= (unsigned)all[l] << l;
    }
    return mask;
}
template <typename T> inline T __shfl_sync(unsigned, T v, int lane) { return emulate::gather(v)[lane % 32]; }
template <typename T> inline T __shfl_xor_sync(unsigned, T v, int d) {
    return emulate::gather(v)[(emulate::self().thread % 32) ^ d];
}
template <typename T> inline T __shfl_up_sync(unsigned, T v, int d) {
    const int lane = (int)emulate::self().thread % 32;
    return emulate::gather(v)[lane >= d ? lane - d : lane];
}
inline unsigned __reduce_add_sync(unsigned, unsigned v) {
    unsigned sum = 0;
    for (unsigned x : emulate::gather(v))
        sum += x;
    return sum;
}
inline unsigned __reduce_max_sync(unsigned, unsigned v) {
    const auto all = emulate::gather(v);
    return *std::max_element(all.begin(), all.end());
}
inline unsigned __reduce_min_sync(unsigned, unsigned v) {
    const auto all = emulate::gather(v);
    return *std::min_element(all.begin(), all.end());
}

inline void __syncwarp() { emulate::gather(0); }

inline unsigned atomicAdd(unsigned * p, unsigned v) { return (*p += v) - v; }
inline void     atomicMax(unsigned * p, unsigned v) { *p = std::max(*p, v); }
inline void     atomicMin(unsigned * p, unsigned v) { *p = std::min(*p, v); }

inline int                __popc(unsigned v) { return __builtin_popcount(v); }
inline int                __ffs(int v) { return __builtin_ffs(v); }
inline int                __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
inline double             __dadd_rn(double a, double b) { return a + b; } // build with -ffp-contract=off
inline double             __dsub_rn(double a, double b) { return a - b; }
inline double             __dmul_rn(double a, double b) { return a * b; }
inline unsigned long long __double2ull_rz(double v) { return (unsigned long long)v; }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}

template <typename To, typename From> inline To emulate_bits(From v) {
    To out;
    static_assert(sizeof out == sizeof v, "same size");
    std::memcpy(&out, &v, sizeof out);
    return out;
}
inline unsigned  __float_as_uint(float v) { return emulate_bits<unsigned>(v); }
inline float     __uint_as_float(unsigned v) { return emulate_bits<float>(v); }
inline long long __double_as_longlong(double v) { return emulate_bits<long long>(v); }
inline double    __longlong_as_double(long long v) { return emulate_bits<double>(v); }

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }

struct __half {
    unsigned short bits;
};
struct __nv_bfloat16 {
    unsigned short bits;
};

// Build with -mf16c.
inline float         __half2float(__half h) { return _cvtsh_ss(h.bits); }
inline __half        __float2half_rn(float v) { return { _cvtss_sh(v, _MM_FROUND_TO_NEAREST_INT) }; }
inline float         __bfloat162float(__nv_bfloat16 h) { return __uint_as_float((unsigned)h.bits << 16); }
inline __nv_bfloat16 __float2bfloat16_rn(float v) {
    const unsigned b = __float_as_uint(v);
    return { (unsigned short)(v != v ? b >> 16 | 64 : (b + 0x7fff + (b >> 16 & 1)) >> 16) };
}

template <typename... Params, typename... Args>
cudaError_t launch(void (*kernel)(Params...), unsigned grid, unsigned threads, size_t shared, cudaStream_t,
                   Args... args) {
    emulate::run(grid, threads, shared, [=] { kernel(args...); });
    return cudaSuccess;
}

#endif
