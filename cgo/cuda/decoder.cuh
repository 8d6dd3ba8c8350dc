// A decoder: a cache, the buffers of a step, and the order of the kernels.

#pragma once

#include <map>
#include <vector>

#include "gemm.cuh"
#include "model.cuh"

namespace nv {

// timer notes an event before and after each kind of kernel; off, it costs nothing.
struct timer {
    std::vector<std::pair<int, cudaEvent_t>> marks; // kind of what follows
    bool                                     on = false;

    ~timer();
    int mark(int kind, cudaStream_t s);
    int read(float * ms); // adds up the kinds, forgets the marks
};

// inputs of a pass on the device.
struct inputs {
    nv_row *  rows;
    int32_t * tables;
    pp_draw * draws;
};

} // namespace nv

struct nv_decoder {
    nv_model *   model = nullptr;
    nv_sizes     size{};
    int          set    = 0;
    cudaStream_t stream = nullptr;

    nv::products products;
    nv::timer    timer;

    std::vector<void *> memory; // device
    std::vector<void *> pinned;

    // Activations; B is the larger of rows and chunk.
    float * residual    = nullptr; // (B, E)
    void *  normed      = nullptr; // (B, E)
    void *  qkv         = nullptr; // (B, (H + 2 KV) D)
    void *  query       = nullptr; // (B, H D)
    void *  attended    = nullptr; // (B, H D)
    void *  gate_up     = nullptr; // (B, 2 F)
    void *  gated       = nullptr; // (B, F)
    float * logits      = nullptr; // (max(rows, NV_HEAD_ROWS), V)
    char *  keys        = nullptr; // (layers, blocks, KV, 16, D)
    char *  values      = nullptr;
    size_t  cache_layer = 0; // bytes of one layer's keys

    // Decode steps: what is in pinned memory twice, for two steps under way.
    nv::inputs                                     step{};
    nv_step                                        host[2]{};
    pp_choice *                                    choice[2]{};      // device
    char *                                         step_pinned[2]{}; // rows, tables and draws in one piece
    char *                                         step_device = nullptr;
    size_t                                         step_bytes  = 0;
    cudaEvent_t                                    done[2]{};
    std::map<std::pair<int, int>, cudaGraphExec_t> graphs; // by set and slot

    // Prompt passes.
    nv::inputs  prompt{};
    nv_tile *   tiles         = nullptr; // device
    int32_t *   logit_rows    = nullptr;
    int32_t *   tap_rows      = nullptr;
    float *     taps          = nullptr; // (taps, E)
    pp_choice * prompt_choice = nullptr;

    ~nv_decoder();
    int                       open(nv_model * m, const nv_sizes & s);
    template <typename T> int device(T ** out, size_t bytes);
    template <typename T> int host_pinned(T ** out, size_t bytes);

    template <typename T> int layer(int l, int b, const nv::inputs & in, const nv_tile * tiles, int n_tiles);
    template <typename T> int decode(int slot, bool products_only);
    template <typename T> int prompt_pass(const nv_prompt & p);
    template <typename T> int head(const nv_prompt & p);
    int                       run_prompt(const nv_prompt & p);
    int                       queue_decode(int slot, bool products_only);
    int                       copy_in(int slot);
    int                       graph(int slot, cudaGraphExec_t * out);
    int                       capture(int slot, bool products_only, cudaGraphExec_t * out);
    int                       check_prompt(const nv_prompt & p) const;
};
