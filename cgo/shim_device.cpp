#include <algorithm>
#include <chrono>
#include <map>
#include <new>
#include <numeric>

#include "internals.h"

#include "llama-batch.h"
#include "llama-memory.h"
#include "llama-model.h"

namespace {

// forget takes the tokens of a failed batch out of the cache, as llama_decode does.
void forget(llama_context & x, const llama_batch & b) {
    std::map<llama_seq_id, llama_pos> first;
    for (int i = 0; i < b.n_tokens; i++) {
        auto at    = first.emplace(b.seq_id[i][0], b.pos[i]).first;
        at->second = std::min(at->second, b.pos[i]);
    }
    for (const auto & [seq, pos] : first) {
        x.memory->seq_rm(seq, pos, -1);
    }
}

int status_code(ggml_status status) {
    switch (status) {
    case GGML_STATUS_ABORTED:
        return PP_ABORTED;
    case GGML_STATUS_ALLOC_FAILED:
        return PP_MEMORY;
    default:
        return PP_COMPUTE;
    }
}

// place finds the batch's cells, as init_batch does, but without its rehearsal: that
// places all pieces of a batch, with copies of what it changes, and takes them back. One
// piece needs none, and the copies take milliseconds at 256 sequences.
llama_memory_context_ptr place(llama_context & x) {
    auto * kv = dynamic_cast<llama_kv_cache *>(x.memory.get());
    if (!kv || kv->n_stream == 1) {
        return x.memory->init_batch(*x.balloc, x.cparams.n_ubatch, false);
    }
    x.balloc->split_reset();
    std::vector<llama_ubatch> pieces;
    pieces.push_back(x.balloc->split_equal(x.cparams.n_ubatch, true));
    auto cells = kv->find_slot(pieces[0], false);
    if (cells.empty()) {
        return std::make_unique<llama_kv_cache_context>(LLAMA_MEMORY_STATUS_FAILED_PREPARE);
    }
    return std::make_unique<llama_kv_cache_context>(kv, llama_kv_cache::slot_info_vec_t{ std::move(cells) },
                                                    std::move(pieces));
}

// compute is llama_context::decode for a batch that is one piece, without its end:
// the copy of the logits to the host.
int compute(llama_context & x, const llama_batch & b, bool stable, ggml_tensor ** logits, int64_t * launch_ns) {
    const auto start = std::chrono::steady_clock::now();
    if (!x.balloc->init(b, *llama_model_get_vocab(&x.model), x.memory.get(), llama_model_n_embd_inp(&x.model),
                        x.cparams.kv_unified ? LLAMA_MAX_SEQ : x.cparams.n_seq_max, false)) {
        return PP_BATCH;
    }
    x.n_queued_tokens += b.n_tokens;
    x.memory_update(false);
    llama_memory_context_ptr mctx = place(x);
    if (!mctx) {
        return PP_MEMORY;
    }
    switch (mctx->get_status()) {
    case LLAMA_MEMORY_STATUS_SUCCESS:
        break;
    case LLAMA_MEMORY_STATUS_FAILED_PREPARE:
        return PP_NO_SLOT;
    default:
        return PP_MEMORY;
    }
    const llama_ubatch & ubatch = mctx->get_ubatch();
    if ((int)ubatch.n_tokens != b.n_tokens) {
        return PP_SPLIT;
    }
    x.n_outputs = (uint32_t)std::count_if(b.logits, b.logits + b.n_tokens, [](int8_t o) { return o != 0; });
    // ggml makes CUDA graphs of steps that it takes for small; this is its hint.
    ggml_backend_sched_set_batch_size(x.sched.get(), stable ? 1 : -1);
    ggml_status status;
    auto *      res = x.process_ubatch(ubatch, LLM_GRAPH_TYPE_DECODER, mctx.get(), status);
    if (!res) {
        forget(x, b);
        return status_code(status);
    }
    *logits    = res->get_logits();
    *launch_ns = std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
    ggml_backend_sched_synchronize(x.sched.get());
    return PP_OK;
}

// output_rows writes the row of the k-th output of the batch to rows[k].
void output_rows(const std::vector<int32_t> & token_of_row, int32_t * rows) {
    std::iota(rows, rows + token_of_row.size(), 0);
    std::sort(rows, rows + token_of_row.size(),
              [&](int32_t a, int32_t b) { return token_of_row[(size_t)a] < token_of_row[(size_t)b]; });
}

} // namespace

int pp_decode_device(pp_context * c, int n, const int32_t * tokens, const int32_t * pos, const int32_t * seq,
                     const int8_t * output, bool stable, pp_device_logits * logits, int32_t * rows) {
    llama_context & x = *pp_context_llama(c);
    if (n < 1 || n > (int)llama_n_batch(&x)) {
        return PP_BATCH;
    }
    ggml_tensor * t    = nullptr;
    const int     code = guarded([&] {
        const int computed = compute(x, make_batch(c, n, tokens, pos, seq, output), stable, &t, &logits->launch_ns);
        if (computed == PP_OK) {
            output_rows(x.balloc->get_out_ids(), rows);
        }
        return computed;
    });
    if (code != PP_OK) {
        return code;
    }
    logits->at      = t ? t->data : nullptr;
    logits->on_host = !t || !t->buffer || ggml_backend_buffer_is_host(t->buffer);
    return PP_OK;
}

int pp_lora_size(const llama_adapter_lora * adapter) { return (int)adapter->ab_map.size(); }

int pp_lora_get(const llama_model * model, const llama_adapter_lora * adapter, int i, pp_lora_pair * out) {
    const auto          at = std::next(adapter->ab_map.begin(), i);
    const ggml_tensor * w  = model->get_tensor(at->first.c_str());
    const ggml_tensor * a  = at->second.a;
    const ggml_tensor * b  = at->second.b;
    // The embedding's factors are the other way round: it is looked up, not multiplied.
    if (!w || !ggml_is_contiguous(w) || ggml_n_dims(w) != 2 || at->first == "token_embd.weight" ||
        a->ne[0] != w->ne[0] || b->ne[1] != w->ne[1] || a->ne[1] != b->ne[0]) {
        return PP_BATCH;
    }
    const double rank = (double)b->ne[0];
    out->w            = w->data;
    out->a            = a->data;
    out->b            = b->data;
    out->w_type       = w->type;
    out->a_type       = a->type;
    out->b_type       = b->type;
    out->rank         = (int32_t)b->ne[0];
    out->n_in         = w->ne[0];
    out->n_out        = w->ne[1];
    out->bytes        = ggml_nbytes(w);
    out->scale        = adapter->alpha ? (double)adapter->alpha / rank : 1.0;
    out->on_host      = !w->buffer || ggml_backend_buffer_is_host(w->buffer);
    return PP_OK;
}
