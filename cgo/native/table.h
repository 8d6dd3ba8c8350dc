// The functions of cuda/native.h, found by name in the kernels' library.

#ifndef PERSONAPROBE_NATIVE_TABLE_H
#define PERSONAPROBE_NATIVE_TABLE_H

#include "../cuda/device.h"
#include "../cuda/native.h"

// NV_WANTED_ABI is the interface that this package was compiled for. As in
// cudalib/table.h it stands here as well as in device.h, because Go's build cache knows
// of the files of this folder alone.
#define NV_WANTED_ABI 7
_Static_assert(NV_WANTED_ABI == PP_ABI, "cgo/cuda/device.h has another PP_ABI");

// clang-format off
#define NV_FUNCTIONS(X) \
    X(nv_error) X(nv_model_new) X(nv_model_free) X(nv_model_bytes) \
    X(nv_set_bytes) X(nv_model_write) X(nv_model_flush) X(nv_model_read) \
    X(nv_pinned_new) X(nv_pinned_free) X(nv_set_new) X(nv_set_reset) \
    X(nv_set_merge) X(nv_decoder_new) X(nv_decoder_free) X(nv_decoder_bytes) \
    X(nv_decoder_use) X(nv_tile_rows) X(nv_step_buffers) X(nv_decode_start) \
    X(nv_decode_wait) X(nv_prompt_run) X(nv_profile_step) X(nv_time_steps) \
    X(nv_algorithms)
// clang-format on

typedef struct {
#define NV_FIELD(name) __typeof__(name) * name;
    NV_FUNCTIONS(NV_FIELD)
#undef NV_FIELD
} nv_table;

#endif
