// Batched sampling on the GPU: temperature, top-p and Philox as package sampler
// defines them. The same token for the same logits, bit for bit.

#ifndef PERSONAPROBE_SAMPLE_H
#define PERSONAPROBE_SAMPLE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CUstream_st * cudaStream_t; // as in cuda_runtime.h

// pp_draw asks for one token. 40 bytes.
typedef struct {
    uint64_t seed;        // sampler.Key: sampling seed of the run
    uint64_t prompt;      //              hash of the prompt's tokens
    uint32_t completion;  //              index among the completions of the prompt
    uint32_t position;    // of the token to choose, 0 the first after the prompt
    float    temperature; // 0 takes the largest logit
    float    top_p;       // 0 stands for 1
    int32_t  row;         // index of the row of logits; below 0: idle, the token is -1
    int32_t  reserved;    // 0
} pp_draw;

enum {
    PP_SAMPLE_OK     = 0,
    PP_SAMPLE_LOGITS = 1, // a logit is NaN or +Inf; bad is the first one's index
    PP_SAMPLE_EMPTY  = 2, // all logits are -Inf
    PP_SAMPLE_PARAMS = 3, // temperature or top_p out of range
};

// pp_choice is sampler.Choice and an error. 32 bytes.
typedef struct {
    double  log_prob;     // ln p of the token before truncation; 0 when greedy
    double  nucleus_mass; // probability of the tokens that the draw was among
    int32_t token;        // -1 if the draw was idle or failed
    int32_t nucleus_size; // number of those tokens
    int32_t error;        // PP_SAMPLE_*
    int32_t bad;          // index of the first bad logit, else -1
} pp_choice;

// PP_SAMPLE_MAX_VOCAB keeps every sum of masses at or below 2^63.
#define PP_SAMPLE_MAX_VOCAB (1 << 19)

// pp_sample queues n_draws draws on a stream: draws and out are device arrays, logits
// are device rows of n_vocab float32, row_stride floats apart. It does not wait,
// allocates nothing, and may be captured in a CUDA graph; draws are read when the
// graph runs. It returns a cudaError_t, 0 for success. Errors of single draws are
// in out.
int pp_sample(const float * logits, int64_t row_stride, int n_vocab, const pp_draw * draws, int n_draws,
              pp_choice * out, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
