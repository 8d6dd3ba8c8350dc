// Adding a LoRA adapter into a weight on the device.

#ifndef PERSONAPROBE_MERGE_H
#define PERSONAPROBE_MERGE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CUstream_st * cudaStream_t; // as in cuda_runtime.h

// Element types, ggml's numbers.
enum { PP_F32 = 0, PP_F16 = 1, PP_BF16 = 30 };

// pp_merge writes base + scale x b x a to dst; dst may be base. dst and base are
// (n_out, n_in), b is (n_out, rank), a is (rank, n_in), all row by row in device memory.
// As in lora.Merge, b is scaled first and rounded to float32, products are summed in
// float32 over the rank in order, without fused multiply-add, and the result is
// rounded once to the weight's type: the same bits. Returns a cudaError_t; other types
// and counts below 1 are cudaErrorInvalidValue.
int pp_merge(void * dst, const void * base, int type, int64_t n_in, int64_t n_out, const void * a, int a_type,
             const void * b, int b_type, int rank, double scale, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
