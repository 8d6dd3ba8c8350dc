#include "decoder.cuh"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

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

constexpr size_t workspace_bytes = 64 << 20;

size_t up(size_t n) { return (n + 255) / 256 * 256; }

// layout is how many bytes each buffer takes.
struct layout {
    size_t residual, normed, qkv, query, gate_up, gated, logits, sampling, cache, rows, tables, draws, choices;
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
        sampling          = up(std::max(pp_sample_workspace(z.rows, s.vocab), pp_sample_workspace(z.draws, s.vocab)));
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
        return residual + normed + qkv + 2 * query + gate_up + gated + logits + sampling + 2 * cache + step() +
               2 * choices + prompt_rows + prompt_tables + prompt_draws + prompt_choices + tiles + 2 * index + taps +
               workspace_bytes;
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
    NV_TRY(device(&sampling, n.sampling));
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
    NV_TRY(device(&workspace, workspace_bytes));
    NV_TRY(products.open(m->half() ? CUDA_R_16F : CUDA_R_16BF, workspace, workspace_bytes));
    NV_CU(cudaStreamSynchronize(stream));
    return NV_OK;
}

// layer queues one decoder layer on the residual of b rows.
template <typename T> int nv_decoder::layer(int l, int b, const nv::inputs & in, const nv_tile * tile, int n_tiles) {
    const nv_shape &      s    = model->shape;
    const layer_weights & w    = model->sets[set][l];
    const int             wide = s.heads * s.head_dim;
    T *                   k    = (T *)(keys + l * cache_layer);
    T *                   v    = (T *)(values + l * cache_layer);
    NV_TRY(timer.mark(NV_T_NORM, stream));
    NV_TRY(nv::rms_norm((T *)normed, residual, model->norm1[l], s.eps, b, s.hidden, stream));
    NV_TRY(timer.mark(NV_T_QKV, stream));
    NV_TRY(products.half(qkv, normed, w.qkv, b, model->qkv_rows(), s.hidden, stream));
    if (tile) {
        NV_TRY(timer.mark(NV_T_ROPE, stream));
        NV_TRY(nv::rope_store((T *)query, k, v, (const T *)qkv, model->qkv_bias[l], model->rotation, in.rows, in.tables,
                              size.table, s, b, stream));
        NV_TRY(timer.mark(NV_T_ATTENTION, stream));
        NV_TRY(nv::attend_prompts((T *)attended, (const T *)query, k, v, in.rows, in.tables, size.table, tile, n_tiles,
                                  s, stream));
    } else {
        NV_TRY(timer.mark(NV_T_ATTENTION, stream));
        NV_TRY(nv::attend_step((T *)attended, k, v, (const T *)qkv, model->qkv_bias[l], model->rotation, in.rows,
                               in.tables, size.table, b, s, stream));
    }
    NV_TRY(timer.mark(NV_T_OUT, stream));
    NV_TRY(products.full(residual, attended, w.out, b, s.hidden, wide, true, stream));
    NV_TRY(timer.mark(NV_T_NORM, stream));
    NV_TRY(nv::rms_norm((T *)normed, residual, model->norm2[l], s.eps, b, s.hidden, stream));
    NV_TRY(timer.mark(NV_T_GATE_UP, stream));
    NV_TRY(products.half(gate_up, normed, w.gate_up, b, 2 * s.ffn, s.hidden, stream));
    NV_TRY(timer.mark(NV_T_SILU, stream));
    NV_TRY(nv::silu_mul((T *)gated, (const T *)gate_up, b, s.ffn, stream));
    NV_TRY(timer.mark(NV_T_DOWN, stream));
    return products.full(residual, gated, w.down, b, s.hidden, s.ffn, true, stream);
}

int nv_decoder::copy_in(int slot) {
    NV_CU(cudaMemcpyAsync(step_device, step_pinned[slot], step_bytes, cudaMemcpyHostToDevice, stream));
    return NV_OK;
}

template <typename T> int nv_decoder::decode(int slot, bool products_only) {
    const nv_shape & s = model->shape;
    const int        b = size.rows;
    if (products_only) { // the roof: the same products, nothing between them
        for (int l = 0; l < s.layers; l++) {
            const layer_weights & w = model->sets[set][l];
            NV_TRY(products.half(qkv, normed, w.qkv, b, model->qkv_rows(), s.hidden, stream));
            NV_TRY(products.full(residual, attended, w.out, b, s.hidden, s.heads * s.head_dim, true, stream));
            NV_TRY(products.half(gate_up, normed, w.gate_up, b, 2 * s.ffn, s.hidden, stream));
            NV_TRY(products.full(residual, gated, w.down, b, s.hidden, s.ffn, true, stream));
        }
        return products.full(logits, normed, model->head, b, s.vocab, s.hidden, false, stream);
    }
    NV_TRY(copy_in(slot));
    NV_TRY(timer.mark(NV_T_EMBED, stream));
    NV_TRY(nv::embed(residual, (const T *)model->embed, step.rows, choice[1 - slot], b, s.hidden, stream));
    for (int l = 0; l < s.layers; l++) {
        NV_TRY(layer<T>(l, b, step, nullptr, 0));
    }
    NV_TRY(timer.mark(NV_T_NORM, stream));
    NV_TRY(nv::rms_norm((T *)normed, residual, model->final_norm, s.eps, b, s.hidden, stream));
    NV_TRY(timer.mark(NV_T_HEAD, stream));
    NV_TRY(products.full(logits, normed, model->head, b, s.vocab, s.hidden, false, stream));
    NV_TRY(timer.mark(NV_T_SAMPLE, stream));
    NV_TRY(nv::check((cudaError_t)pp_sample(logits, s.vocab, s.vocab, step.draws, b, choice[slot], sampling, stream),
                     "sample"));
    NV_TRY(timer.mark(-1, stream));
    NV_CU(cudaMemcpyAsync((void *)host[slot].choice, choice[slot], sizeof(pp_choice) * b, cudaMemcpyDeviceToHost,
                          stream));
    return NV_OK;
}

int nv_decoder::queue_decode(int slot, bool products_only) {
    return model->half() ? decode<__half>(slot, products_only) : decode<__nv_bfloat16>(slot, products_only);
}

int nv_decoder::capture(int slot, bool products_only, cudaGraphExec_t * out) {
    // Once outside of a capture, so that all kernels are chosen and loaded. The step
    // can be computed twice: it writes the same to the same places.
    NV_TRY(queue_decode(slot, products_only));
    NV_CU(cudaStreamSynchronize(stream));
    cudaGraph_t graph = nullptr;
    NV_CU(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    const int         code   = queue_decode(slot, products_only);
    const cudaError_t status = cudaStreamEndCapture(stream, &graph);
    if (code != NV_OK || status != cudaSuccess) {
        if (graph) {
            cudaGraphDestroy(graph);
        }
        return code != NV_OK ? code : nv::check(status, "cudaStreamEndCapture");
    }
    const cudaError_t made = cudaGraphInstantiate(out, graph, 0);
    cudaGraphDestroy(graph);
    return nv::check(made, "cudaGraphInstantiate");
}

int nv_decoder::graph(int slot, cudaGraphExec_t * out) {
    auto & g = graphs[{ set, slot }];
    if (!g) {
        NV_TRY(capture(slot, false, &g));
    }
    *out = g;
    return NV_OK;
}

int nv_decoder::check_prompt(const nv_prompt & p) const {
    const int  layers = model->shape.layers;
    const bool sized  = p.n_rows > 0 && p.n_rows <= size.chunk && p.n_tiles > 0 && p.n_tiles <= p.n_rows &&
                       p.last >= 0 && p.last < layers && p.n_logits >= 0 && p.n_logits <= p.n_rows && p.n_draws >= 0 &&
                       p.n_draws <= size.draws && p.n_taps >= 0 && p.n_taps <= p.n_rows && p.n_tap_layers >= 0 &&
                       (int64_t)p.n_taps * p.n_tap_layers <= size.taps;
    if (!sized || (p.n_logits > 0 && p.last != layers - 1)) {
        return fail(NV_ARGUMENT, "a prompt pass of %d rows, %d logits, %d draws and %d x %d states to layer %d",
                    p.n_rows, p.n_logits, p.n_draws, p.n_tap_layers, p.n_taps, p.last);
    }
    return NV_OK;
}

template <typename T> int nv_decoder::prompt_pass(const nv_prompt & p) {
    const nv_shape & s         = model->shape;
    const int        b         = size.chunk;
    auto             to_device = [&](void * dst, const void * src, size_t bytes) {
        return bytes == 0
                               ? NV_OK
                               : nv::check(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyHostToDevice, stream), "copy of a prompt");
    };
    // Rows behind the last are idle: position -1 in every byte.
    NV_CU(cudaMemsetAsync(prompt.rows, 0xff, sizeof(nv_row) * b, stream));
    NV_TRY(to_device(prompt.rows, p.row, sizeof(nv_row) * p.n_rows));
    NV_TRY(to_device(prompt.tables, p.table, sizeof(int32_t) * p.n_rows * size.table));
    NV_TRY(to_device(tiles, p.tile, sizeof(nv_tile) * p.n_tiles));
    NV_TRY(to_device(logit_rows, p.logit_row, sizeof(int32_t) * p.n_logits));
    NV_TRY(to_device(tap_rows, p.tap_row, sizeof(int32_t) * p.n_taps));
    NV_TRY(to_device(prompt.draws, p.draw, sizeof(pp_draw) * p.n_draws));
    NV_TRY(nv::embed(residual, (const T *)model->embed, prompt.rows, choice[0], b, s.hidden, stream));
    int tap = 0;
    for (int l = 0; l <= p.last; l++) {
        NV_TRY(layer<T>(l, b, prompt, tiles, p.n_tiles));
        if (tap < p.n_tap_layers && p.tap_layer[tap] == l) {
            NV_TRY(
                nv::gather(taps + (size_t)tap * p.n_taps * s.hidden, residual, tap_rows, p.n_taps, s.hidden, stream));
            tap++;
        }
    }
    if (tap < p.n_tap_layers) {
        return fail(NV_ARGUMENT, "the layers of states must rise and end by layer %d", p.last);
    }
    if (tap > 0 && p.states) {
        NV_CU(
            cudaMemcpyAsync(p.states, taps, sizeof(float) * tap * p.n_taps * s.hidden, cudaMemcpyDeviceToHost, stream));
    }
    NV_TRY(head<T>(p));
    return nv::check(cudaStreamSynchronize(stream), "prompt pass");
}

// head computes the logits of a prompt pass, NV_HEAD_ROWS at a time, and draws from
// them. Draws are in the order of their rows.
template <typename T> int nv_decoder::head(const nv_prompt & p) {
    const nv_shape & s = model->shape;
    int              d = 0;
    for (int first = 0; first < p.n_logits; first += NV_HEAD_ROWS) {
        const int n = std::min<int>(NV_HEAD_ROWS, p.n_logits - first);
        NV_TRY(nv::gather_norm((T *)normed, residual, logit_rows + first, n, model->final_norm, s.eps, NV_HEAD_ROWS,
                               s.hidden, stream));
        NV_TRY(products.full(logits, normed, model->head, NV_HEAD_ROWS, s.vocab, s.hidden, false, stream));
        if (p.logits) {
            NV_CU(cudaMemcpyAsync(p.logits + (size_t)first * s.vocab, logits, sizeof(float) * n * s.vocab,
                                  cudaMemcpyDeviceToHost, stream));
        }
        int end = d;
        while (end < p.n_draws && p.draw[end].row < first + n) {
            end++;
        }
        if (end > d) {
            // The draws' rows count from the first of the pass.
            const float * base = logits - (ptrdiff_t)first * s.vocab;
            NV_TRY(nv::check((cudaError_t)pp_sample(base, s.vocab, s.vocab, prompt.draws + d, end - d,
                                                    prompt_choice + d, sampling, stream),
                             "sample"));
        }
        d = end;
    }
    if (d < p.n_draws) {
        return fail(NV_ARGUMENT, "draw %d is from row %d of %d", d, p.draw[d].row, p.n_logits);
    }
    if (d > 0 && p.choice) {
        NV_CU(cudaMemcpyAsync(p.choice, prompt_choice, sizeof(pp_choice) * d, cudaMemcpyDeviceToHost, stream));
    }
    return NV_OK;
}

int nv_decoder_new(nv_decoder ** out, nv_model * m, const nv_sizes * sizes) {
    auto      d    = std::unique_ptr<nv_decoder>(new (std::nothrow) nv_decoder);
    const int code = d ? d->open(m, *sizes) : fail(NV_MEMORY, "out of memory");
    if (code == NV_OK) {
        *out = d.release();
    }
    return code;
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
    NV_TRY(d->graph(slot, &g));
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
    return d->model->half() ? d->prompt_pass<__half>(*p) : d->prompt_pass<__nv_bfloat16>(*p);
}

int nv_profile_step(nv_decoder * d, int slot, int repeat, float * ms) {
    NV_TRY(check_slot(slot));
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

int nv_time_steps(nv_decoder * d, int slot, int repeat, int products_only, float * ms) {
    NV_TRY(check_slot(slot));
    cudaGraphExec_t g = nullptr;
    NV_TRY(d->capture(slot, products_only != 0, &g));
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

int nv_algorithms(nv_decoder * d, char * text, int size) {
    return snprintf(text, size, "%s", d->products.describe().c_str()) < size
               ? NV_OK
               : fail(NV_ARGUMENT, "too long for %d bytes", size);
}
