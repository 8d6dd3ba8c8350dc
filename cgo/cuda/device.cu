#include "device.h"

#include <cstring>

#include "simt.cuh"

int pp_abi(void) { return PP_ABI; }

const char * pp_error_text(int error) { return cudaGetErrorString((cudaError_t)error); }

int pp_device_count(int * n) { return cudaGetDeviceCount(n); }

int pp_device_info(pp_device * out) {
    std::memset(out, 0, sizeof *out);
    int         device = 0;
    cudaError_t err    = cudaGetDevice(&device);
    if (err != cudaSuccess) {
        return err;
    }
    cudaDeviceProp p;
    err = cudaGetDeviceProperties(&p, device);
    if (err != cudaSuccess) {
        return err;
    }
    std::strncpy(out->name, p.name, sizeof out->name - 1);
    out->major           = p.major;
    out->minor           = p.minor;
    out->multiprocessors = p.multiProcessorCount;
    out->l2              = (uint64_t)p.l2CacheSize;
    cudaDriverGetVersion(&out->driver);
    cudaRuntimeGetVersion(&out->runtime);
    size_t free = 0, total = 0;
    err        = cudaMemGetInfo(&free, &total);
    out->free  = free;
    out->total = total;
    return err;
}

int pp_alloc(void ** p, size_t bytes) { return cudaMalloc(p, bytes); }
int pp_free(void * p) { return cudaFree(p); }

int pp_copy_in(void * device, const void * host, size_t bytes, cudaStream_t stream) {
    return cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream);
}

int pp_copy_out(void * host, const void * device, size_t bytes, cudaStream_t stream) {
    return cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream);
}

int pp_copy_within(void * dst, const void * src, size_t bytes, cudaStream_t stream) {
    return cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToDevice, stream);
}

int pp_stream_new(cudaStream_t * stream) { return cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking); }
int pp_stream_free(cudaStream_t stream) { return cudaStreamDestroy(stream); }
int pp_stream_wait(cudaStream_t stream) { return cudaStreamSynchronize(stream); }

int pp_stream_follow(cudaStream_t stream, void * event) {
    return cudaStreamWaitEvent(stream, static_cast<cudaEvent_t>(event), 0);
}

int pp_event_new(void ** event) { return cudaEventCreate(reinterpret_cast<cudaEvent_t *>(event)); }
int pp_event_free(void * event) { return cudaEventDestroy(static_cast<cudaEvent_t>(event)); }

int pp_event_record(void * event, cudaStream_t stream) {
    return cudaEventRecord(static_cast<cudaEvent_t>(event), stream);
}

int pp_event_elapsed(float * ms, void * from, void * to) {
    const cudaError_t err = cudaEventSynchronize(static_cast<cudaEvent_t>(to));
    return err != cudaSuccess ? err
                              : cudaEventElapsedTime(ms, static_cast<cudaEvent_t>(from), static_cast<cudaEvent_t>(to));
}
