// What a decode step and a prompt pass compute, in which order.

#include "decoder.cuh"

#include <algorithm>

#include "kernels.cuh"

using nv::fail;

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
    NV_TRY(nv::check((cudaError_t)pp_sample(logits, s.vocab, s.vocab, step.draws, b, choice[slot], stream), "sample"));
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
        cudaGraphExec_t whole = nullptr; // kept only once it is
        NV_TRY(capture(slot, false, &whole));
        g = whole;
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
            NV_TRY(nv::check(
                (cudaError_t)pp_sample(base, s.vocab, s.vocab, prompt.draws + d, end - d, prompt_choice + d, stream),
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

int nv_decoder::run_prompt(const nv_prompt & p) {
    return model->half() ? prompt_pass<__half>(p) : prompt_pass<__nv_bfloat16>(p);
}
