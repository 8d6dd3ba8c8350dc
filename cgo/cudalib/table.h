// The functions of libpersonaprobe-cuda.so that package cudalib calls, found by name.

#ifndef PERSONAPROBE_TABLE_H
#define PERSONAPROBE_TABLE_H

#include "../cuda/device.h"
#include "../cuda/merge.h"
#include "../cuda/sample.h"

// PP_WANTED_ABI is the interface that this program was written for. It stands here as
// well as in device.h because Go's build cache knows of the files of this folder alone:
// a new number here makes it compile the package anew.
#define PP_WANTED_ABI 7
_Static_assert(PP_WANTED_ABI == PP_ABI, "cgo/cuda/device.h has another PP_ABI");

// clang-format off
#define PP_FUNCTIONS(X) \
    X(pp_abi) X(pp_error_text) X(pp_device_count) X(pp_device_info) \
    X(pp_alloc) X(pp_free) \
    X(pp_copy_in) X(pp_copy_out) X(pp_copy_within) X(pp_stream_new) \
    X(pp_stream_free) X(pp_stream_wait) X(pp_stream_follow) X(pp_event_new) \
    X(pp_event_free) X(pp_event_record) X(pp_event_elapsed) \
    X(pp_sample) X(pp_merge)
// clang-format on

typedef struct {
    void * handle;
#define PP_FIELD(name) __typeof__(name) * name;
    PP_FUNCTIONS(PP_FIELD)
#undef PP_FIELD
} pp_table;

// pp_table_open loads a library and fills the table; on failure it returns NULL or
// the name of a missing function in *missing, and the linker's words in *error, to be
// freed by the caller.
pp_table * pp_table_open(const char * path, const char ** missing, char ** error);

// pp_preload loads a library that others name as a dependency. 0 on success.
int pp_preload(const char * name);

#endif
