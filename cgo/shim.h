// A plain C face for the parts of llama.cpp that package llama uses. Every
// function catches C++ exceptions, so that nothing unwinds into Go. Functions
// that can fail return 0 or a PP_* code; the reason is in llama.cpp's log.

#ifndef PERSONAPROBE_SHIM_H
#define PERSONAPROBE_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ggml-backend.h"
#include "llama.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PP_OK        = 0,
    PP_NO_SLOT   = 1, // no room in the KV cache for the batch
    PP_ABORTED   = 2, // pp_context_abort was called
    PP_MEMORY    = 3, // an allocation failed
    PP_BATCH     = 4, // the batch contradicts itself or the cache
    PP_COMPUTE   = 5, // the device failed
    PP_EXCEPTION = 6, // a C++ exception reached the border
    PP_SPLIT     = 7, // a tapped batch was computed in more than one piece
    PP_NO_TENSOR = 8, // a tapped tensor is not in the graph
};

// Library.

void         pp_init(void);
void         pp_log_to_go(void);
const char * pp_system_info(void);
int          pp_load_backends(const char * dir); // returns how many devices there are

// pp_device_memory tells a device's free and total bytes, 0 if that fails.
void pp_device_memory(ggml_backend_dev_t device, size_t * free, size_t * total);

// Model.

struct llama_model * pp_model_load(const char * path, int n_gpu_layers, bool use_mmap, bool vocab_only);

struct llama_adapter_lora * pp_adapter_load(struct llama_model * model, const char * path);

// pp_model_free and pp_adapter_free leave memory alone after a failure of the device that
// the program does not survive, and so does pp_context_free.
void pp_model_free(struct llama_model * model);
void pp_adapter_free(struct llama_adapter_lora * adapter);

// Tokenizer. Both return the number written, or minus the number needed.

int pp_tokenize(const struct llama_vocab * vocab, const char * text, int n_text, int32_t * out, int n_out,
                bool special);
int pp_detokenize(const struct llama_vocab * vocab, const int32_t * tokens, int n_tokens, char * out, int n_out,
                  bool special);

// Context.

typedef struct pp_context pp_context;

typedef struct {
    uint32_t n_ctx;      // cells over all sequences
    uint32_t n_seq_max;  // sequences, each with a stream of its own
    uint32_t n_batch;    // tokens per decode
    int32_t  n_threads;  //
    int32_t  kv_type;    // enum ggml_type
    bool     flash_attn; //
    bool     taps;       // install the eval callback
} pp_context_params;

// pp_context_new returns NULL on failure.
pp_context *           pp_context_new(struct llama_model * model, pp_context_params params);
void                   pp_context_free(pp_context * c);
struct llama_context * pp_context_llama(pp_context * c);
void                   pp_context_abort(pp_context * c, bool abort);

// pp_context_tap names the tensors that the following decodes copy: n names of
// at most 63 bytes. With stop, the graph ends after the last of them, so that
// later layers and the logits are not computed.
int pp_context_tap(pp_context * c, const char ** names, int n, bool stop);

// pp_decode computes n tokens in one call. With taps set it copies, for tap t
// and i < n_rows, the row of token rows[i] (an index into the batch) to
// dst[(t*n_rows + i)*n_embd]. In the last layer only output tokens have a row.
int pp_decode(pp_context * c, int n, const int32_t * tokens, const int32_t * pos, const int32_t * seq,
              const int8_t * output, int n_rows, const int32_t * rows, float * dst);

// pp_logits waits for the device and returns n_outputs rows of n_vocab floats
// in the order of the batch; valid until the next decode.
const float * pp_logits(pp_context * c);

// pp_remove drops the tokens of a sequence from position from on; pp_clear empties all.
// A memory that cannot drop a part of a sequence, as recurrent models have it, is
// PP_COMPUTE.
int pp_remove(pp_context * c, int seq, int from);
int pp_clear(pp_context * c);

// pp_device_logits are the logits of a pp_decode_device, (n_outputs, n_vocab) floats.
typedef struct {
    const void * at;        // where they are: an address of the device, or of the host
    bool         on_host;   //
    int64_t      launch_ns; // that passed until the device had all of its work
} pp_device_logits;

// pp_decode_device is pp_decode without taps that leaves the logits where they were
// computed; they stay until the next decode. rows[k] becomes the row of the k-th output
// of the batch. It waits for the device. With stable, equal batches are expected to
// follow, and kernels are launched as one graph. A batch that llama.cpp would compute in
// more than one piece is PP_SPLIT, and nothing is computed.
int pp_decode_device(pp_context * c, int n, const int32_t * tokens, const int32_t * pos, const int32_t * seq,
                     const int8_t * output, bool stable, pp_device_logits * logits, int32_t * rows);

// pp_lora_pair is one weight that an adapter changes: w (n_out rows of n_in) gains
// scale x b (n_out, rank) x a (rank, n_in). Addresses are of the device or the host.
typedef struct {
    void *       w;
    const void * a;
    const void * b;
    int32_t      w_type, a_type, b_type; // enum ggml_type
    int32_t      rank;
    int64_t      n_in, n_out;
    size_t       bytes;   // of w
    double       scale;   // alpha / rank
    bool         on_host; // where w is
} pp_lora_pair;

// pp_lora_size is how many weights an adapter changes; pp_lora_get describes one of
// them. A weight that cannot be changed in place by a product is PP_BATCH.
int pp_lora_size(const struct llama_adapter_lora * adapter);
int pp_lora_get(const struct llama_model * model, const struct llama_adapter_lora * adapter, int i, pp_lora_pair * out);

// pp_fork makes sequence dst a copy of sequence src.
int pp_fork(pp_context * c, int src, int dst);

// pp_set_adapters makes exactly these adapters apply to the following decodes.
int pp_set_adapters(pp_context * c, struct llama_adapter_lora ** adapters, const float * scales, int n);

#ifdef __cplusplus
}
#endif

#endif
