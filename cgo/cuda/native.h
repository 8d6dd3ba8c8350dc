// The decode path of our own for the Qwen2 family: a plain C face. A model holds
// weights on one GPU; a decoder computes steps on them. Functions return 0 or an
// NV_* code, and nv_error says what happened. Nothing here is thread-safe: one
// thread at a time per model with its decoders.

#ifndef PERSONAPROBE_NATIVE_H
#define PERSONAPROBE_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#include "sample.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NV_OK          = 0,
    NV_MEMORY      = 1, // the device has too little memory
    NV_CUDA        = 2, // a CUDA or cuBLAS call failed
    NV_ARGUMENT    = 3, // the caller contradicts itself
    NV_UNSUPPORTED = 4, // this shape or GPU is not covered
};

// nv_error describes the last failure on this thread.
const char * nv_error(void);

// Types of weights, activations and cache.
enum { NV_F16 = 1, NV_BF16 = 30 }; // ggml's numbers

typedef struct {
    int32_t layers;
    int32_t hidden;   // E, a multiple of 8, at most 8192
    int32_t ffn;      // F, a multiple of 8
    int32_t heads;    // H
    int32_t kv_heads; // H is a multiple, at most 16 times
    int32_t head_dim; // D, 64 or 128
    int32_t vocab;    // V
    int32_t type;     // NV_F16 or NV_BF16
    int32_t context;  // positions there are rotations for
    float   eps;      // of the RMS norms
    float   rope_base;
} nv_shape;

// Weights by name. Matrices are (out, in) of the shape's type, rows of q, k and v
// and of gate and up stand below each other; norms and biases are float32.
enum {
    NV_EMBED = 0,  // (V, E)
    NV_HEAD,       // (V, E)
    NV_FINAL_NORM, // (E)
    NV_NORM1,      // (E) of a layer, before attention
    NV_NORM2,      // (E)
    NV_QKV_BIAS,   // ((H + 2 KV) D)
    NV_QKV,        // ((H + 2 KV) D, E)
    NV_OUT,        // (E, H D)
    NV_GATE_UP,    // (2 F, E)
    NV_DOWN,       // (E, F)
};

typedef struct nv_model   nv_model;
typedef struct nv_decoder nv_decoder;

// Model. tied: the head is the embedding.
int    nv_model_new(nv_model ** out, const nv_shape * shape, int tied);
void   nv_model_free(nv_model * m);
size_t nv_model_bytes(const nv_shape * shape, int tied); // of the base weights
size_t nv_set_bytes(const nv_shape * shape);             // of one more set of layer matrices

// nv_model_write copies bytes to a weight of the base set, from a buffer of
// nv_pinned_new if it is to be fast. Writes of different lanes (0 to 15) overlap and
// may come from different threads; nv_model_flush waits for a lane's.
int    nv_model_write(nv_model * m, int weight, int layer, size_t offset, const void * data, size_t bytes, int lane);
int    nv_model_flush(nv_model * m, int lane);
int    nv_model_read(nv_model * m, int set, int weight, int layer, size_t offset, void * data, size_t bytes);
void * nv_pinned_new(size_t bytes);
void   nv_pinned_free(void * p);

// Sets of layer matrices: set 0 is the base, further ones are made by nv_set_new as
// copies of it, to take merged adapters. Embedding, head, norms and biases are shared.
int nv_set_new(nv_model * m, int * set);
int nv_set_reset(nv_model * m, int set); // a copy of the base again

// nv_set_merge adds b (rows, rank) times a (rank, cols), float32 on the host, to rows
// row0 and following of a matrix, as pp_merge does with scale 1.
int nv_set_merge(nv_model * m, int set, int weight, int layer, int row0, int rows, int cols, int rank, const float * a,
                 const float * b);

// A decoder has a cache of blocks and the buffers of a step.

enum { NV_BLOCK = 16 };     // tokens of a cache block
enum { NV_HEAD_ROWS = 32 }; // rows of logits that a prompt pass computes at a time

typedef struct {
    int32_t rows;   // of a decode step; idle ones are padded
    int32_t chunk;  // tokens of a prompt pass; shorter ones are padded
    int32_t blocks; // of the cache
    int32_t table;  // blocks that one sequence can have
    int32_t draws;  // that follow one prompt pass at most
    int32_t taps;   // layers x rows of hidden states that one prompt pass can give
} nv_sizes;

int    nv_decoder_new(nv_decoder ** out, nv_model * m, const nv_sizes * sizes);
void   nv_decoder_free(nv_decoder * d);
size_t nv_decoder_bytes(const nv_shape * shape, const nv_sizes * sizes);

// nv_decoder_use selects the set of weights for what follows.
int nv_decoder_use(nv_decoder * d, int set);

// nv_row is a token that enters the cache. Its sequence's blocks are table[row]: the
// first ceil(prefix/16) hold positions below prefix, the others those from prefix on,
// so that sequences share the blocks of a prefix whatever its length.
typedef struct {
    int32_t token;  // < 0: the token chosen in row -token-1 of the step before
    int32_t pos;    // < 0: an idle row
    int32_t prefix; // positions below it are in the sequence's first part
    int32_t pad;
} nv_row;

// nv_tile is a run of rows of one sequence with rising positions.
typedef struct {
    int32_t row, n;
} nv_tile;

// nv_tile_rows is how many rows a tile of a prompt pass may have.
int nv_tile_rows(const nv_shape * shape);

// nv_step points into pinned memory of the decoder: the caller fills the inputs
// before nv_decode_start and reads the choices after nv_decode_wait. Two steps may be
// under way, with slots 0 and 1 in turn.
typedef struct {
    nv_row *          row;    // (rows)
    int32_t *         table;  // (rows, table)
    pp_draw *         draw;   // (rows); draw[i].row is i, or below 0
    const pp_choice * choice; // (rows)
} nv_step;

int nv_step_buffers(nv_decoder * d, int slot, nv_step * out);
int nv_decode_start(nv_decoder * d, int slot);
int nv_decode_wait(nv_decoder * d, int slot);

// nv_prompt is a pass over tokens of prompts: up to chunk rows, in tiles. After layer
// last the pass ends; draws and logits need last = layers-1. What waits in pinned
// memory after it: choices (n_draws), or logits (n_logits, V) float32 if out_logits,
// and states (n_tap_layers, n_taps, E) float32.
typedef struct {
    const nv_row *  row;       // (n_rows)
    const int32_t * table;     // (n_rows, table)
    const nv_tile * tile;      // (n_tiles)
    const int32_t * logit_row; // (n_logits), rows whose logits are wanted
    const pp_draw * draw;      // (n_draws); draw.row is an index into logit_row
    const int32_t * tap_row;   // (n_taps)
    const int32_t * tap_layer; // (n_tap_layers), rising
    int32_t         n_rows, n_tiles, n_logits, n_draws, n_taps, n_tap_layers;
    int32_t         last;
    float *         logits; // host (n_logits, V), or NULL
    float *         states; // host (n_tap_layers, n_taps, E), or NULL
    pp_choice *     choice; // host (n_draws), or NULL
} nv_prompt;

int nv_prompt_run(nv_decoder * d, const nv_prompt * p);

// nv_profile_step computes the decode step in slot without a graph, repeat times, and
// gives the mean milliseconds of each kind of kernel.
enum {
    NV_T_EMBED,
    NV_T_NORM,
    NV_T_QKV,
    NV_T_ROPE,
    NV_T_ATTENTION,
    NV_T_OUT,
    NV_T_GATE_UP,
    NV_T_SILU,
    NV_T_DOWN,
    NV_T_HEAD,
    NV_T_SAMPLE,
    NV_T_COUNT
};
int nv_profile_step(nv_decoder * d, int slot, int repeat, float * ms);

// nv_time_steps replays the step's graph repeat times and gives the mean milliseconds;
// products_only leaves everything but the matrix products out: the roof.
int nv_time_steps(nv_decoder * d, int slot, int repeat, int products_only, float * ms);

// nv_algorithms writes what computes the matrix products of decode steps of so many rows
// and of passes of so many tokens each, for a manifest: it bears on the last bits.
int nv_algorithms(const nv_model * m, int rows, const int32_t * chunk, int n_chunks, char * text, int size);

#ifdef __cplusplus
}
#endif

#endif
