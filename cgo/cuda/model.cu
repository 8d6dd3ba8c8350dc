#include "model.cuh"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>

#include "kernels.cuh"
#include "merge.h"

namespace nv {

static thread_local char message[512];

int fail(int code, const char * format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return code;
}

int check(cudaError_t status, const char * what) {
    if (status == cudaSuccess) {
        return NV_OK;
    }
    cudaGetLastError(); // forget it, unless it sticks
    return fail(status == cudaErrorMemoryAllocation ? NV_MEMORY : NV_CUDA, "%.300s: %s", what,
                cudaGetErrorString(status));
}

bool overlaps() {
    static const bool can = [] {
        int device = 0, major = 0;
        return cudaGetDevice(&device) == cudaSuccess &&
               cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess && major >= 9;
    }();
    return can;
}

} // namespace nv

using nv::fail;

const char * nv_error(void) { return nv::message; }

namespace {

constexpr size_t alignment = 256;
constexpr int    n_lanes   = 16;

size_t aligned(size_t n) { return (n + alignment - 1) / alignment * alignment; }

struct sizes {
    size_t embed, norm, bias, qkv, out, gate_up, down, rotation;

    explicit sizes(const nv_shape & s) {
        const size_t e = s.hidden, rows = (size_t)(s.heads + 2 * s.kv_heads) * s.head_dim;
        embed    = aligned(2 * (size_t)s.vocab * e);
        norm     = aligned(4 * e);
        bias     = aligned(4 * rows);
        qkv      = aligned(2 * rows * e);
        out      = aligned(2 * e * s.heads * s.head_dim);
        gate_up  = aligned(2 * 2 * (size_t)s.ffn * e);
        down     = aligned(2 * e * s.ffn);
        rotation = aligned(4 * (size_t)s.context * s.head_dim);
    }

    size_t shared(const nv_shape & s, bool tied) const {
        return embed * (tied ? 1 : 2) + norm * (1 + 2 * s.layers) + bias * s.layers + rotation;
    }

    size_t set(const nv_shape & s) const { return (qkv + out + gate_up + down) * s.layers; }
};

int check_shape(const nv_shape & s) {
    const bool positive =
        s.layers > 0 && s.hidden > 0 && s.ffn > 0 && s.heads > 0 && s.kv_heads > 0 && s.vocab > 0 && s.context > 0;
    if (!positive || s.heads % s.kv_heads != 0) {
        return fail(NV_ARGUMENT, "the model's shape makes no sense");
    }
    if (s.heads / s.kv_heads > 16 || (s.head_dim != 64 && s.head_dim != 128) || s.hidden > 8192 || s.hidden % 8 != 0 ||
        s.ffn % 8 != 0 || s.vocab > PP_SAMPLE_MAX_VOCAB || (s.type != NV_F16 && s.type != NV_BF16)) {
        return fail(
            NV_UNSUPPORTED,
            "heads of 64 or 128, at most 16 a group, and widths of 8 n up to 8192 are covered; the model has heads of "
            "%d, %d a group, width %d, feed-forward %d",
            s.head_dim, s.heads / s.kv_heads, s.hidden, s.ffn);
    }
    return NV_OK;
}

int upload_rotation(float * device, const nv_shape & s) {
    const int          half = s.head_dim / 2;
    std::vector<float> host((size_t)s.context * s.head_dim);
    for (int pos = 0; pos < s.context; pos++) {
        for (int i = 0; i < half; i++) {
            const double angle                        = pos * std::pow((double)s.rope_base, -2.0 * i / s.head_dim);
            host[(size_t)pos * s.head_dim + i]        = (float)std::cos(angle);
            host[(size_t)pos * s.head_dim + half + i] = (float)std::sin(angle);
        }
    }
    NV_CU(cudaMemcpy(device, host.data(), host.size() * sizeof(float), cudaMemcpyHostToDevice));
    return NV_OK;
}

} // namespace

nv_model::~nv_model() {
    for (auto s : lanes) {
        cudaStreamDestroy(s);
    }
    for (void * p : memory) {
        cudaFree(p);
    }
    cudaFree(factors);
}

int nv_model::open(const nv_shape & s, bool is_tied) {
    NV_TRY(check_shape(s));
    shape = s;
    tied  = is_tied;
    const sizes size(s);
    char *      at = nullptr;
    NV_CU(cudaMalloc(&at, size.shared(s, tied)));
    memory.push_back(at);
    NV_CU(cudaMemset(at, 0, size.shared(s, tied)));
    auto take = [&at](size_t n) {
        char * p = at;
        at += n;
        return p;
    };
    embed      = take(size.embed);
    head       = tied ? embed : take(size.embed);
    final_norm = (float *)take(size.norm);
    for (int i = 0; i < s.layers; i++) {
        norm1.push_back((float *)take(size.norm));
        norm2.push_back((float *)take(size.norm));
        qkv_bias.push_back((float *)take(size.bias));
    }
    rotation = (float *)take(size.rotation);
    NV_TRY(upload_rotation(rotation, s));
    NV_TRY(add_set());
    for (int i = 0; i < n_lanes; i++) {
        cudaStream_t lane;
        NV_CU(cudaStreamCreateWithFlags(&lane, cudaStreamNonBlocking));
        lanes.push_back(lane);
    }
    return NV_OK;
}

int nv_model::add_set() {
    const sizes size(shape);
    char *      at = nullptr;
    NV_CU(cudaMalloc(&at, size.set(shape)));
    memory.push_back(at);
    std::vector<layer_weights> layers;
    for (int i = 0; i < shape.layers; i++) {
        layer_weights w;
        w.qkv     = at;
        w.out     = at += size.qkv;
        w.gate_up = at += size.out;
        w.down    = at += size.gate_up;
        at += size.down;
        layers.push_back(w);
    }
    sets.push_back(std::move(layers));
    return NV_OK;
}

int nv_model::place(int set, int weight, int layer, void ** at, size_t * bytes) const {
    const size_t e = shape.hidden;
    if (set < 0 || set >= (int)sets.size() || layer < 0 || layer >= shape.layers) {
        return fail(NV_ARGUMENT, "no weights of set %d, layer %d", set, layer);
    }
    switch (weight) {
    case NV_EMBED:
        *at = embed, *bytes = 2 * e * shape.vocab;
        break;
    case NV_HEAD:
        *at = head, *bytes = 2 * e * shape.vocab;
        break;
    case NV_FINAL_NORM:
        *at = final_norm, *bytes = 4 * e;
        break;
    case NV_NORM1:
        *at = norm1[layer], *bytes = 4 * e;
        break;
    case NV_NORM2:
        *at = norm2[layer], *bytes = 4 * e;
        break;
    case NV_QKV_BIAS:
        *at = qkv_bias[layer], *bytes = 4 * (size_t)qkv_rows();
        break;
    case NV_QKV:
        *at = sets[set][layer].qkv, *bytes = 2 * e * qkv_rows();
        break;
    case NV_OUT:
        *at = sets[set][layer].out, *bytes = 2 * e * shape.heads * shape.head_dim;
        break;
    case NV_GATE_UP:
        *at = sets[set][layer].gate_up, *bytes = 4 * e * shape.ffn;
        break;
    case NV_DOWN:
        *at = sets[set][layer].down, *bytes = 2 * e * shape.ffn;
        break;
    default:
        return fail(NV_ARGUMENT, "no weight %d", weight);
    }
    return NV_OK;
}

int nv_model_new(nv_model ** out, const nv_shape * shape, int tied) {
    return nv::guarded([&] {
        auto      m    = std::make_unique<nv_model>();
        const int code = m->open(*shape, tied != 0);
        if (code == NV_OK) {
            *out = m.release();
        }
        return code;
    });
}

void nv_model_free(nv_model * m) { delete m; }

size_t nv_model_bytes(const nv_shape * shape, int tied) {
    const sizes size(*shape);
    return size.shared(*shape, tied != 0) + size.set(*shape);
}

size_t nv_set_bytes(const nv_shape * shape) { return sizes(*shape).set(*shape); }

static int range(const nv_model * m, int set, int weight, int layer, size_t offset, size_t bytes, char ** at) {
    void * start = nullptr;
    size_t size  = 0;
    NV_TRY(m->place(set, weight, layer, &start, &size));
    if (offset > size || bytes > size - offset) {
        return fail(NV_ARGUMENT, "weight %d of layer %d has %zu bytes, not %zu at %zu", weight, layer, size, bytes,
                    offset);
    }
    *at = (char *)start + offset;
    return NV_OK;
}

int nv_model_write(nv_model * m, int weight, int layer, size_t offset, const void * data, size_t bytes, int lane) {
    char * at = nullptr;
    NV_TRY(range(m, 0, weight, layer, offset, bytes, &at));
    if (lane < 0 || lane >= n_lanes) {
        return fail(NV_ARGUMENT, "no lane %d", lane);
    }
    NV_CU(cudaMemcpyAsync(at, data, bytes, cudaMemcpyHostToDevice, m->lanes[lane]));
    return NV_OK;
}

int nv_model_flush(nv_model * m, int lane) {
    if (lane < 0 || lane >= n_lanes) {
        return fail(NV_ARGUMENT, "no lane %d", lane);
    }
    NV_CU(cudaStreamSynchronize(m->lanes[lane]));
    return NV_OK;
}

int nv_model_read(nv_model * m, int set, int weight, int layer, size_t offset, void * data, size_t bytes) {
    char * at = nullptr;
    NV_TRY(range(m, set, weight, layer, offset, bytes, &at));
    NV_CU(cudaMemcpy(data, at, bytes, cudaMemcpyDeviceToHost));
    return NV_OK;
}

void * nv_pinned_new(size_t bytes) {
    void * p = nullptr;
    return nv::check(cudaMallocHost(&p, bytes), "cudaMallocHost") == NV_OK ? p : nullptr;
}

void nv_pinned_free(void * p) { cudaFreeHost(p); }

int nv_set_new(nv_model * m, int * set) {
    NV_TRY(nv::guarded([&] { return m->add_set(); }));
    *set = (int)m->sets.size() - 1;
    return nv_set_reset(m, *set);
}

int nv_set_reset(nv_model * m, int set) {
    if (set < 1 || set >= (int)m->sets.size()) {
        return fail(NV_ARGUMENT, "no set %d to reset", set);
    }
    NV_CU(cudaMemcpyAsync(m->sets[set][0].qkv, m->sets[0][0].qkv, sizes(m->shape).set(m->shape),
                          cudaMemcpyDeviceToDevice, m->lanes[0]));
    return nv_model_flush(m, 0);
}

int nv_set_merge(nv_model * m, int set, int weight, int layer, int row0, int rows, int cols, int rank, const float * a,
                 const float * b) {
    const int cols_of = weight == NV_OUT    ? m->shape.heads * m->shape.head_dim
                        : weight == NV_DOWN ? m->shape.ffn
                                            : m->shape.hidden;
    if (set < 1 || weight < NV_QKV || cols != cols_of || row0 < 0 || rows < 1 || rank < 1) {
        return fail(NV_ARGUMENT, "cannot merge %d rows of %d columns and rank %d into weight %d of set %d", rows, cols,
                    rank, weight, set);
    }
    char * at = nullptr;
    NV_TRY(range(m, set, weight, layer, 2 * (size_t)row0 * cols, 2 * (size_t)rows * cols, &at));
    const size_t na = (size_t)rank * cols, nb = (size_t)rows * rank;
    if (m->factors_bytes < (na + nb) * sizeof(float)) {
        cudaFree(m->factors);
        m->factors       = nullptr;
        m->factors_bytes = 0;
        NV_CU(cudaMalloc(&m->factors, (na + nb) * sizeof(float)));
        m->factors_bytes = (na + nb) * sizeof(float);
    }
    const cudaStream_t s = m->lanes[0];
    NV_CU(cudaMemcpyAsync(m->factors, a, na * sizeof(float), cudaMemcpyHostToDevice, s));
    NV_CU(cudaMemcpyAsync(m->factors + na, b, nb * sizeof(float), cudaMemcpyHostToDevice, s));
    const int merged =
        pp_merge(at, at, m->shape.type, cols, rows, m->factors, PP_F32, m->factors + na, PP_F32, rank, 1, s);
    NV_TRY(nv::check((cudaError_t)merged, "merge"));
    return nv_model_flush(m, 0);
}
