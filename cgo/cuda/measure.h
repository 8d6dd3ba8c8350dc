// What the device can do: the rates from which a roof is computed.

#ifndef PERSONAPROBE_MEASURE_H
#define PERSONAPROBE_MEASURE_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    double copy;   // bytes per second of a large copy inside device memory, read and written
    double matrix; // operations per second of 8192 x 8192 x 8192 bf16 products of random numbers
} pp_rates;

// pp_measure takes about half a second and 2.5 GiB. It returns a cudaError_t.
int pp_measure(pp_rates * out);

#ifdef __cplusplus
}
#endif

#endif
