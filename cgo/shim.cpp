#include "shim.h"

#include <atomic>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "internals.h"

namespace {

struct tap {
    std::vector<std::string> names;
    bool                     stop = false;

    int64_t width = 0; // of a hidden state

    // Valid during one pp_decode.
    int             n_tokens  = 0;
    int             n_outputs = 0;
    int             n_rows    = 0;
    const int32_t * rows      = nullptr;
    const int8_t *  output    = nullptr;
    float *         dst       = nullptr;
    size_t          seen      = 0;
    int             error     = PP_OK;

    int find(const char * name) const {
        for (size_t i = 0; i < names.size(); i++) {
            if (names[i] == name) {
                return (int)i;
            }
        }
        return -1;
    }

    // row_of is the row of a token in a tensor of n rows: all tokens have one, or
    // only those marked as outputs; -1 if this one has none.
    int64_t row_of(int token, int64_t n) const {
        if (n == n_tokens) {
            return token;
        }
        return output[token] ? std::count(output, output + token, 1) : -1;
    }

    // copy reads the wanted rows of tensor t (n_embd, n_tokens or n_outputs).
    void copy(const ggml_tensor * t, int index) {
        const int64_t n_embd = t->ne[0];
        const int64_t n      = t->ne[1];
        if (t->type != GGML_TYPE_F32 || n_embd != width || t->ne[2] * t->ne[3] != 1) {
            error = PP_NO_TENSOR; // not rows of hidden states, and dst is sized for these
            return;
        }
        if (n != n_tokens && n != n_outputs) {
            error = PP_SPLIT; // the row numbers would mean something else
            return;
        }
        for (int i = 0; i < n_rows; i++) {
            const int64_t row = row_of(rows[i], n);
            if (row < 0) {
                error = PP_BATCH;
                return;
            }
            ggml_backend_tensor_get(t, dst + ((size_t)index * n_rows + i) * n_embd, (size_t)row * t->nb[1],
                                    n_embd * sizeof(float));
        }
        seen++;
    }
};

bool on_eval(struct ggml_tensor * t, bool ask, void * user) {
    auto * tp = static_cast<tap *>(user);
    if (tp->names.empty()) {
        return !ask; // not interested; keep going
    }
    const int index = tp->find(t->name);
    if (ask) {
        return index >= 0;
    }
    if (index >= 0 && tp->error == PP_OK) {
        tp->copy(t, index);
    }
    return tp->error == PP_OK && !(tp->stop && tp->seen == tp->names.size());
}

// backend_of is the backend of the context that computes on a buffer of a device, or
// null.
ggml_backend_t backend_of(const llama_context * ctx, ggml_backend_buffer_t buffer) {
    for (const auto & b : ctx->backends) {
        if (ggml_backend_supports_buft(b.get(), ggml_backend_buffer_get_type(buffer))) {
            return b.get();
        }
    }
    return nullptr;
}

// copy_rows copies the first n rows of a two-dimensional tensor. On a device it only
// queues the copy, before whatever that backend computes next.
void copy_rows(const llama_context * ctx, ggml_tensor * src, ggml_tensor * dst, int64_t n) {
    if (ggml_backend_buffer_is_host(src->buffer) && ggml_backend_buffer_is_host(dst->buffer)) {
        std::memcpy(dst->data, src->data, n * src->nb[1]);
        return;
    }
    ggml_tensor a = *src;
    ggml_tensor b = *dst;
    a.ne[1] = b.ne[1] = n;
    a.nb[2] = a.nb[3] = b.nb[2] = b.nb[3] = n * a.nb[1];
    ggml_backend_t backend                = backend_of(ctx, src->buffer);
    if (backend && backend == backend_of(ctx, dst->buffer)) {
        ggml_backend_tensor_copy_async(backend, backend, &a, &b);
    } else {
        ggml_backend_tensor_copy(&a, &b);
    }
}

// copy_used_cells does the copies that a seq_cp to another stream has left pending,
// but of the cells in use instead of the whole stream: a prompt of 40 tokens in a
// stream of 768 cells has a twentieth of its bytes. It leaves the copies to
// llama.cpp where the cache is of another kind or keeps V transposed.
void copy_used_cells(llama_context * ctx) {
    auto * kv = dynamic_cast<llama_kv_cache *>(ctx->memory.get());
    if (!kv || kv->v_trans) {
        return;
    }
    ctx->synchronize();
    auto & pending = kv->sc_info;
    for (size_t i = 0; i < pending.ssrc.size(); i++) {
        const auto src = pending.ssrc[i];
        const auto dst = pending.sdst[i];
        const auto n   = (int64_t)kv->v_cells[src].used_max_p1();
        for (auto & layer : kv->layers) {
            copy_rows(ctx, layer.k_stream[src], layer.k_stream[dst], n);
            copy_rows(ctx, layer.v_stream[src], layer.v_stream[dst], n);
        }
    }
    pending.ssrc.clear();
    pending.sdst.clear();
}

} // namespace

struct pp_context {
    llama_context *             ctx = nullptr;
    tap                         taps;
    std::atomic<bool>           abort{ false };
    std::vector<int32_t>        n_seq_id;
    std::vector<llama_seq_id *> seq_id;
};

llama_model * pp_model_load(const char * path, int n_gpu_layers, bool use_mmap, bool vocab_only) {
    return guarded<llama_model *>(nullptr, [&] {
        llama_model_params p = llama_model_default_params();
        p.n_gpu_layers       = n_gpu_layers;
        p.use_mmap           = use_mmap;
        p.vocab_only         = vocab_only;
        p.use_extra_bufts    = false; // no repacked weights: one layout, one set of kernels
        return llama_model_load_from_file(path, p);
    });
}

int pp_tokenize(const llama_vocab * vocab, const char * text, int n_text, int32_t * out, int n_out, bool special) {
    return guarded(INT32_MIN, [&] { return llama_tokenize(vocab, text, n_text, out, n_out, false, special); });
}

int pp_detokenize(const llama_vocab * vocab, const int32_t * tokens, int n_tokens, char * out, int n_out,
                  bool special) {
    return guarded(INT32_MIN, [&] { return llama_detokenize(vocab, tokens, n_tokens, out, n_out, false, special); });
}

pp_context * pp_context_new(llama_model * model, pp_context_params params) {
    return guarded<pp_context *>(nullptr, [&]() -> pp_context * {
        outlive              scope;
        auto                 c = std::make_unique<pp_context>();
        llama_context_params p = llama_context_default_params();
        p.n_ctx                = params.n_ctx;
        p.n_seq_max            = params.n_seq_max;
        p.n_batch              = params.n_batch;
        p.n_ubatch             = params.n_batch;
        p.n_threads            = params.n_threads;
        p.n_threads_batch      = params.n_threads;
        p.type_k               = (enum ggml_type)params.kv_type;
        p.type_v               = (enum ggml_type)params.kv_type;
        p.flash_attn_type      = params.flash_attn ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
        p.kv_unified           = false; // attention must not cross sequences
        p.no_perf              = true;
        p.abort_callback       = [](void * user) { return static_cast<pp_context *>(user)->abort.load(); };
        p.abort_callback_data  = c.get();
        if (params.taps) {
            p.cb_eval           = on_eval;
            p.cb_eval_user_data = &c->taps;
        }
        c->ctx = llama_init_from_model(model, p);
        if (!c->ctx) {
            return nullptr;
        }
        c->taps.width  = llama_model_n_embd(model);
        const size_t n = llama_n_batch(c->ctx);
        c->n_seq_id.assign(n, 1);
        c->seq_id.resize(n);
        return c.release();
    });
}

llama_adapter_lora * pp_adapter_load(llama_model * model, const char * path) {
    return guarded<llama_adapter_lora *>(nullptr, [&] { return llama_adapter_lora_init(model, path); });
}

void pp_model_free(llama_model * model) {
    if (!pp_device_failed()) {
        llama_model_free(model);
    }
}

void pp_adapter_free(llama_adapter_lora * adapter) {
    if (!pp_device_failed()) {
        llama_adapter_lora_free(adapter);
    }
}

void pp_context_free(pp_context * c) {
    if (!c || pp_device_failed()) {
        return;
    }
    outlive scope;
    llama_free(c->ctx);
    delete c;
}

llama_context * pp_context_llama(pp_context * c) { return c->ctx; }

void pp_context_abort(pp_context * c, bool abort) { c->abort.store(abort); }

int pp_context_tap(pp_context * c, const char ** names, int n, bool stop) {
    return guarded([&] {
        c->taps.names.assign(names, names + n);
        c->taps.stop = stop;
        return (int)PP_OK;
    });
}

llama_batch make_batch(pp_context * c, int n, const int32_t * tokens, const int32_t * pos, const int32_t * seq,
                       const int8_t * output) {
    for (int i = 0; i < n; i++) {
        c->seq_id[i] = const_cast<int32_t *>(seq + i);
    }
    llama_batch b = {};
    b.n_tokens    = n;
    b.token       = const_cast<int32_t *>(tokens);
    b.pos         = const_cast<int32_t *>(pos);
    b.n_seq_id    = c->n_seq_id.data();
    b.seq_id      = c->seq_id.data();
    b.logits      = const_cast<int8_t *>(output);
    return b;
}

int decode_code(int status) {
    switch (status) {
    case 0:
        return PP_OK;
    case 1:
        return PP_NO_SLOT;
    case 2:
        return PP_ABORTED;
    case -1:
        return PP_BATCH;
    case -2:
        return PP_MEMORY;
    default:
        return PP_COMPUTE;
    }
}

int pp_decode(pp_context * c, int n, const int32_t * tokens, const int32_t * pos, const int32_t * seq,
              const int8_t * output, int n_rows, const int32_t * rows, float * dst) {
    if (n < 1 || (size_t)n > c->seq_id.size()) {
        return PP_BATCH;
    }
    tap & t                  = c->taps;
    t.n_tokens               = n;
    t.n_rows                 = n_rows;
    t.rows                   = rows;
    t.output                 = output;
    t.dst                    = dst;
    t.seen                   = 0;
    t.error                  = PP_OK;
    t.n_outputs              = (int)std::count_if(output, output + n, [](int8_t o) { return o != 0; });
    const llama_batch b      = make_batch(c, n, tokens, pos, seq, output);
    const int         status = guarded([&] { return decode_code(llama_decode(c->ctx, b)); });
    if (status != PP_OK) {
        return status;
    }
    if (t.error == PP_OK && t.seen < t.names.size()) {
        return PP_NO_TENSOR;
    }
    return t.error;
}

const float * pp_logits(pp_context * c) {
    return guarded<const float *>(nullptr, [&] { return llama_get_logits(c->ctx); });
}

int pp_remove(pp_context * c, int seq, int from) {
    return guarded(
        [&] { return llama_memory_seq_rm(llama_get_memory(c->ctx), seq, from, -1) ? (int)PP_OK : (int)PP_COMPUTE; });
}

int pp_clear(pp_context * c) {
    return guarded([&] {
        llama_memory_clear(llama_get_memory(c->ctx), false);
        return (int)PP_OK;
    });
}

int pp_fork(pp_context * c, int src, int dst) {
    return guarded([&] {
        llama_memory_t mem = llama_get_memory(c->ctx);
        llama_memory_seq_rm(mem, dst, -1, -1);
        llama_memory_seq_cp(mem, src, dst, -1, -1);
        copy_used_cells(c->ctx);
        return (int)PP_OK;
    });
}

int pp_set_adapters(pp_context * c, llama_adapter_lora ** adapters, const float * scales, int n) {
    // A batch of the shape of the one before it reuses that one's graph, and llama.cpp
    // takes adapters for equal because they are kept at the same address: without this
    // it would be computed with the adapters of the batch before.
    return guarded([&] {
        c->ctx->synchronize();
        c->ctx->gf_res_prev->reset();
        llama_clear_adapter_lora(c->ctx);
        for (int i = 0; i < n; i++) {
            if (llama_set_adapter_lora(c->ctx, adapters[i], scales[i]) != 0) {
                return (int)PP_COMPUTE;
            }
        }
        return (int)PP_OK;
    });
}
