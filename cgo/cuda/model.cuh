// Weights on the device.

#pragma once

#include <exception>
#include <new>
#include <vector>

#include "common.cuh"
#include "native.h"

namespace nv {

// guarded gives the code of work, and says what it throws: C++ exceptions must not reach
// Go, which they would end. Every function of native.h that allocates works in one.
template <typename F> int guarded(F work) noexcept {
    try {
        return work();
    } catch (const std::bad_alloc &) {
        return fail(NV_MEMORY, "out of the host's memory");
    } catch (const std::exception & e) {
        return fail(NV_CUDA, "%s", e.what());
    } catch (...) {
        return fail(NV_CUDA, "an exception without a message");
    }
}

} // namespace nv

// layer_weights are one layer's matrices in one set.
struct layer_weights {
    void *qkv, *out, *gate_up, *down;
};

struct nv_model {
    nv_shape shape{};
    bool     tied = false;

    // Shared by all sets.
    void *               embed      = nullptr;
    void *               head       = nullptr;
    float *              final_norm = nullptr;
    std::vector<float *> norm1, norm2, qkv_bias; // by layer
    float *              rotation = nullptr;     // (context, D): cosines, then sines

    std::vector<void *>                     memory; // one allocation for what is shared, then one a set
    std::vector<std::vector<layer_weights>> sets;   // by set, by layer
    std::vector<cudaStream_t>               lanes;
    float *                                 factors       = nullptr; // scratch of nv_set_merge
    size_t                                  factors_bytes = 0;

    ~nv_model();
    int  open(const nv_shape & s, bool tied);
    int  add_set();
    int  place(int set, int weight, int layer, void ** at, size_t * bytes) const;
    bool half() const { return shape.type == NV_F16; }
    int  qkv_rows() const { return (shape.heads + 2 * shape.kv_heads) * shape.head_dim; }
};
