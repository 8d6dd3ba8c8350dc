// The kernels of a step, queued on a stream. T is the type of weights and activations,
// residuals are float32. B rows, E hidden, F feed-forward, H query heads, KV key and
// value heads of size D, V vocabulary.

#pragma once

#include "common.cuh"
#include "native.h"

namespace nv {

// embed writes the embeddings of the rows' tokens: out (B, E). A token below 0 stands
// for the one in chosen[-token-1]. Idle rows get token 0.
template <typename T>
int embed(float * out, const T * table, const nv_row * rows, const pp_choice * chosen, int b, int e, cudaStream_t s);

// rms_norm writes x / rms(x) * w: x (B, E) float32, out (B, E).
template <typename T> int rms_norm(T * out, const float * x, const float * w, float eps, int b, int e, cudaStream_t s);

// gather_norm is rms_norm of chosen rows: out row i is that of row index[i], or of row 0
// where i >= n.
template <typename T>
int gather_norm(T * out, const float * x, const int32_t * index, int n, const float * w, float eps, int b, int e,
                cudaStream_t s);

// gather copies rows: out (n, E) of x (B, E).
int gather(float * out, const float * x, const int32_t * index, int n, int e, cudaStream_t s);

// silu_mul writes silu(gate) * up: gate_up (B, 2F), out (B, F).
template <typename T> int silu_mul(T * out, const T * gate_up, int b, int f, cudaStream_t s);

// rope_store adds the bias, rotates queries and keys (NeoX pairs i and i + D/2) and puts
// keys and values into the cache: qkv (B, (H + 2 KV) D), q (B, H D), k and v caches
// (blocks, KV, 16 D), rotation (context, D) float32: cosines, then sines.
template <typename T>
int rope_store(T * q, T * k, T * v, const T * qkv, const float * bias, const float * rotation, const nv_row * rows,
               const int32_t * tables, int table, const nv_shape & shape, int b, cudaStream_t s);

// attend_prompts computes attention of q (B, H D) over the cache into out (B, H D), one
// tile of rows and one key head a block. rope_store comes before it.
template <typename T>
int attend_prompts(T * out, const T * q, const T * k, const T * v, const nv_row * rows, const int32_t * tables,
                   int table, const nv_tile * tiles, int n_tiles, const nv_shape & shape, cudaStream_t s);

// attend_step is rope_store and attention of single rows in one kernel.
template <typename T>
int attend_step(T * out, T * k, T * v, const T * qkv, const float * bias, const float * rotation, const nv_row * rows,
                const int32_t * tables, int table, int b, const nv_shape & shape, cudaStream_t s);

} // namespace nv
