#include "decoder.cuh"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>

#include "kernels.cuh"

using nv::fail;

namespace nv {

timer::~timer() {
    for (auto & [_, e] : marks) {
        cudaEventDestroy(e);
    }
}

int timer::mark(int kind, cudaStream_t s) {
    if (!on) {
        return NV_OK;
    }
    cudaEvent_t e;
    NV_CU(cudaEventCreate(&e));
    marks.emplace_back(kind, e);
    NV_CU(cudaEventRecord(e, s));
    return NV_OK;
}

int timer::read(float * ms) {
    for (size_t i = 0; i + 1 < marks.size(); i++) {
        float t = 0;
        NV_CU(cudaEventElapsedTime(&t, marks[i].second, marks[i + 1].second));
        if (marks[i].first >= 0) {
            ms[marks[i].first] += t;
        }
    }
    for (auto & [_, e] : marks) {
        cudaEventDestroy(e);
    }
    marks.clear();
    return NV_OK;
}

} // namespace nv

namespace {

size_t up(size_t n) { return (n + 255) / 256 * 256; }

// layout is how many bytes each buffer takes.
struct layout {
    size_t residual, normed, qkv, query, gate_up, gated, logits, cache, rows, tables, draws, choices;
    size_t prompt_rows, prompt_tables, prompt_draws, prompt_choices, tiles, index, taps;

    layout(const nv_shape & s, const nv_sizes & z) {
        const size_t b    = std::max(z.rows, z.chunk);
        const size_t head = std::max<int>(z.rows, NV_HEAD_ROWS);
        residual          = up(4 * b * s.hidden);
        normed            = up(2 * b * s.hidden);
        qkv               = up(2 * b * (s.heads + 2 * s.kv_heads) * s.head_dim);
        query             = up(2 * b * s.heads * s.head_dim);
        gate_up           = up(4 * b * s.ffn);
        gated             = up(2 * b * s.ffn);
        logits            = up(4 * head * s.vocab);
        cache             = up(2 * (size_t)z.blocks * s.kv_heads * NV_BLOCK * s.head_dim) * s.layers;
        rows              = up(sizeof(nv_row) * z.rows);
        tables            = up(sizeof(int32_t) * z.rows * z.table);
        draws             = up(sizeof(pp_draw) * z.rows);
        choices           = up(sizeof(pp_choice) * z.rows);
        prompt_rows       = up(sizeof(nv_row) * z.chunk);
        prompt_tables     = up(sizeof(int32_t) * z.chunk * z.table);
        prompt_draws      = up(sizeof(pp_draw) * z.draws);
        prompt_choices    = up(sizeof(pp_choice) * z.draws);
        tiles             = up(sizeof(nv_tile) * z.chunk);
        index             = up(sizeof(int32_t) * z.chunk);
        taps              = up(4 * (size_t)z.taps * s.hidden);
    }

    size_t step() const { return rows + tables + draws; }

    size_t total() const {
        return residual + normed + qkv + 2 * query + gate_up + gated + logits + 2 * cache + step() + 2 * choices +
               prompt_rows + prompt_tables + prompt_draws + prompt_choices + tiles + 2 * index + taps +
               nv::workspace_bytes;
    }
};

bool sound(const nv_sizes & z) {
    return z.rows > 0 && z.chunk > 0 && z.blocks > 0 && z.table > 0 && z.draws >= 0 && z.taps >= 0;
}

} // namespace

nv_decoder::~nv_decoder() {
    if (stream) {
        cudaStreamSynchronize(stream);
    }
    for (auto & [_, g] : graphs) {
        cudaGraphExecDestroy(g);
    }
    for (auto e : done) {
        if (e) {
            cudaEventDestroy(e);
        }
    }
    for (void * p : memory) {
        cudaFree(p);
    }
    for (void * p : pinned) {
        cudaFreeHost(p);
    }
    if (stream) {
        cudaStreamDestroy(stream);
    }
}

template <typename T> int nv_decoder::device(T ** out, size_t bytes) {
    void * p = nullptr;
    if (bytes > 0) {
        NV_CU(cudaMalloc(&p, bytes));
        memory.push_back(p);
        NV_CU(cudaMemsetAsync(p, 0, bytes, stream));
    }
    *out = (T *)p;
    return NV_OK;
}

template <typename T> int nv_decoder::host_pinned(T ** out, size_t bytes) {
    void * p = nullptr;
    NV_CU(cudaMallocHost(&p, bytes));
    pinned.push_back(p);
    memset(p, 0, bytes);
    *out = (T *)p;
    return NV_OK;
}

int nv_decoder::open(nv_model * m, const nv_sizes & z) {
    if (!sound(z)) {
        return fail(NV_ARGUMENT, "a decoder of %d rows, %d tokens and %d blocks", z.rows, z.chunk, z.blocks);
    }
    model = m;
    size  = z;
    NV_CU(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    const layout n(m->shape, z);
    NV_TRY(device(&residual, n.residual));
    NV_TRY(device(&normed, n.normed));
    NV_TRY(device(&qkv, n.qkv));
    NV_TRY(device(&query, n.query));
    NV_TRY(device(&attended, n.query));
    NV_TRY(device(&gate_up, n.gate_up));
    NV_TRY(device(&gated, n.gated));
    NV_TRY(device(&logits, n.logits));
    NV_TRY(device(&keys, n.cache));
    NV_TRY(device(&values, n.cache));
    cache_layer = n.cache / m->shape.layers;
    step_bytes  = n.step();
    NV_TRY(device(&step_device, step_bytes));
    step = { (nv_row *)step_device, (int32_t *)(step_device + n.rows), (pp_draw *)(step_device + n.rows + n.tables) };
    for (int i = 0; i < 2; i++) {
        char * h = nullptr;
        NV_TRY(device(&choice[i], n.choices));
        NV_TRY(host_pinned(&h, step_bytes + n.choices));
        step_pinned[i] = h;
        host[i]        = { (nv_row *)h, (int32_t *)(h + n.rows), (pp_draw *)(h + n.rows + n.tables),
                           (pp_choice *)(h + step_bytes) };
        NV_CU(cudaEventCreate(&done[i]));
    }
    NV_TRY(device(&prompt.rows, n.prompt_rows));
    NV_TRY(device(&prompt.tables, n.prompt_tables));
    NV_TRY(device(&prompt.draws, n.prompt_draws));
    NV_TRY(device(&prompt_choice, n.prompt_choices));
    NV_TRY(device(&tiles, n.tiles));
    NV_TRY(device(&logit_rows, n.index));
    NV_TRY(device(&tap_rows, n.index));
    NV_TRY(device(&taps, n.taps));
    void * workspace = nullptr;
    NV_TRY(device(&workspace, nv::workspace_bytes));
    NV_TRY(products.open(m->half() ? CUDA_R_16F : CUDA_R_16BF, workspace));
    NV_CU(cudaStreamSynchronize(stream));
    return NV_OK;
}

int nv_decoder_new(nv_decoder ** out, nv_model * m, const nv_sizes * sizes) {
    return nv::guarded([&] {
        auto      d    = std::make_unique<nv_decoder>();
        const int code = d->open(m, *sizes);
        if (code == NV_OK) {
            *out = d.release();
        }
        return code;
    });
}

void nv_decoder_free(nv_decoder * d) { delete d; }

size_t nv_decoder_bytes(const nv_shape * shape, const nv_sizes * sizes) { return layout(*shape, *sizes).total(); }

int nv_decoder_use(nv_decoder * d, int set) {
    if (set < 0 || set >= (int)d->model->sets.size()) {
        return fail(NV_ARGUMENT, "no set %d of weights", set);
    }
    d->set = set;
    return NV_OK;
}

static int check_slot(int slot) { return slot == 0 || slot == 1 ? NV_OK : fail(NV_ARGUMENT, "no slot %d", slot); }

int nv_step_buffers(nv_decoder * d, int slot, nv_step * out) {
    NV_TRY(check_slot(slot));
    *out = d->host[slot];
    return NV_OK;
}

int nv_decode_start(nv_decoder * d, int slot) {
    NV_TRY(check_slot(slot));
    cudaGraphExec_t g = nullptr;
    NV_TRY(nv::guarded([&] { return d->graph(slot, &g); }));
    NV_CU(cudaGraphLaunch(g, d->stream));
    NV_CU(cudaEventRecord(d->done[slot], d->stream));
    return NV_OK;
}

int nv_decode_wait(nv_decoder * d, int slot) {
    NV_TRY(check_slot(slot));
    NV_CU(cudaEventSynchronize(d->done[slot]));
    return NV_OK;
}

int nv_prompt_run(nv_decoder * d, const nv_prompt * p) {
    NV_TRY(d->check_prompt(*p));
    return nv::guarded([&] { return d->run_prompt(*p); });
}

static int profile(nv_decoder * d, int slot, int repeat, float * ms) {
    NV_TRY(d->queue_decode(slot, false));
    NV_CU(cudaStreamSynchronize(d->stream));
    std::fill(ms, ms + NV_T_COUNT, 0.f);
    d->timer.on = true;
    int code    = NV_OK;
    for (int i = 0; i < repeat && code == NV_OK; i++) {
        code = d->queue_decode(slot, false);
        if (code == NV_OK) {
            code = nv::check(cudaStreamSynchronize(d->stream), "profile");
        }
        if (code == NV_OK) {
            code = d->timer.read(ms);
        }
    }
    d->timer.on = false;
    for (int i = 0; i < NV_T_COUNT; i++) {
        ms[i] /= (float)std::max(repeat, 1);
    }
    return code;
}

int nv_profile_step(nv_decoder * d, int slot, int repeat, float * ms) {
    NV_TRY(check_slot(slot));
    return nv::guarded([&] { return profile(d, slot, repeat, ms); });
}

int nv_time_steps(nv_decoder * d, int slot, int repeat, int products_only, float * ms) {
    NV_TRY(check_slot(slot));
    cudaGraphExec_t g = nullptr;
    NV_TRY(nv::guarded([&] { return d->capture(slot, products_only != 0, &g); }));
    cudaEvent_t from = nullptr, to = nullptr;
    auto        run = [&]() -> int {
        NV_CU(cudaEventCreate(&from));
        NV_CU(cudaEventCreate(&to));
        for (int i = -3; i < repeat; i++) {
            if (i == 0) {
                NV_CU(cudaEventRecord(from, d->stream));
            }
            NV_CU(cudaGraphLaunch(g, d->stream));
        }
        NV_CU(cudaEventRecord(to, d->stream));
        NV_CU(cudaEventSynchronize(to));
        NV_CU(cudaEventElapsedTime(ms, from, to));
        *ms /= (float)repeat;
        return NV_OK;
    };
    const int code = run();
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    cudaGraphExecDestroy(g);
    return code;
}

static int algorithms(const nv_model * m, int rows, const int32_t * chunk, int n_chunks, char * text, int size) {
    const nv_shape & s     = m->shape;
    std::string      all   = "cuBLASLt " + std::to_string(cublasLtGetVersion());
    std::set<int>    sizes = { rows };
    nv::products     p;
    sizes.insert(chunk, chunk + n_chunks);
    if (*sizes.begin() < 1) {
        return fail(NV_ARGUMENT, "products of %d rows", *sizes.begin());
    }
    NV_TRY(p.open(m->half() ? CUDA_R_16F : CUDA_R_16BF, nullptr));
    for (int b : sizes) {
        NV_TRY(p.describe(&all, b, m->qkv_rows(), s.hidden, false));
        NV_TRY(p.describe(&all, b, s.hidden, s.heads * s.head_dim, true));
        NV_TRY(p.describe(&all, b, 2 * s.ffn, s.hidden, false));
        NV_TRY(p.describe(&all, b, s.hidden, s.ffn, true));
    }
    for (int b : std::set<int>{ rows, NV_HEAD_ROWS }) {
        NV_TRY(p.describe(&all, b, s.vocab, s.hidden, true));
    }
    return snprintf(text, size, "%s", all.c_str()) < size ? NV_OK : fail(NV_ARGUMENT, "too long for %d bytes", size);
}

int nv_algorithms(const nv_model * m, int rows, const int32_t * chunk, int n_chunks, char * text, int size) {
    return nv::guarded([&] { return algorithms(m, rows, chunk, n_chunks, text, size); });
}
