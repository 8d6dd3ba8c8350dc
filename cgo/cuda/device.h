// Device memory, streams and events for callers that do not link CUDA themselves.
// Functions return a cudaError_t, 0 for success; pp_error_text explains it.

#ifndef PERSONAPROBE_DEVICE_H
#define PERSONAPROBE_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CUstream_st * cudaStream_t; // as in cuda_runtime.h

// PP_ABI changes with any change of the functions and structs of this library, those of
// native.h among them. A program refuses a library that answers pp_abi with another
// number. cudalib/table.h and native/table.h repeat it.
#define PP_ABI 7

typedef struct {
    char     name[128];
    int32_t  major, minor;    // compute capability
    int32_t  multiprocessors; //
    int32_t  driver, runtime; // CUDA versions, 1000 major + 10 minor
    int32_t  reserved;        //
    uint64_t total, free;     // bytes of device memory
    uint64_t l2;              // bytes of level-2 cache
} pp_device;

int          pp_abi(void);
const char * pp_error_text(int error);
int          pp_device_count(int * n);
int          pp_device_info(pp_device * out); // of the current device

int pp_alloc(void ** p, size_t bytes);
int pp_free(void * p);
int pp_copy_in(void * device, const void * host, size_t bytes, cudaStream_t stream);
int pp_copy_out(void * host, const void * device, size_t bytes, cudaStream_t stream);
int pp_copy_within(void * dst, const void * src, size_t bytes, cudaStream_t stream);

int pp_stream_new(cudaStream_t * stream);
int pp_stream_free(cudaStream_t stream);
int pp_stream_wait(cudaStream_t stream);                 // blocks the caller until the stream is empty
int pp_stream_follow(cudaStream_t stream, void * event); // later work waits for a cudaEvent_t

int pp_event_new(void ** event);
int pp_event_free(void * event);
int pp_event_record(void * event, cudaStream_t stream);
int pp_event_elapsed(float * ms, void * from, void * to); // waits for to

#ifdef __cplusplus
}
#endif

#endif
