// llama.cpp's private members, for what its interface lacks: freeing the scheduler
// before the backends, copying only the cells in use at a fork, leaving logits on
// the device, and reaching the weights. Standard headers come first, unchanged.

#ifndef PERSONAPROBE_INTERNALS_H
#define PERSONAPROBE_INTERNALS_H

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#define private public
#include "llama-context.h"
#include "llama-kv-cache.h"
#undef private

#include "shim.h"

// guarded gives what work does, and failed where it throws: C++ exceptions must not reach
// Go, which they would end. Every function of shim.h that calls llama.cpp works in one.
template <typename R, typename F> R guarded(R failed, F work) noexcept {
    try {
        return work();
    } catch (...) {
        return failed;
    }
}

// guarded is that for PP_* codes.
template <typename F> int guarded(F work) noexcept {
    try {
        return work();
    } catch (const std::bad_alloc &) {
        return PP_MEMORY;
    } catch (...) {
        return PP_EXCEPTION;
    }
}

// make_batch fills a llama_batch with pointers into the arguments and into c.
llama_batch make_batch(pp_context * c, int n, const int32_t * tokens, const int32_t * pos, const int32_t * seq,
                       const int8_t * output);

// decode_code turns llama_decode's result into a PP_* code.
int decode_code(int status);

// pp_device_failed reports whether a plugin has met a failure that it does not survive,
// such as memory that it could not get in the middle of a step. The call that met it
// returned PP_EXCEPTION or the like; freeing is of no use after it, and dangerous.
bool pp_device_failed(void);

// A context destroys its backends before its scheduler, when it is freed and when it
// cannot be made, but this copy of ggml calls reset() on every backend when the
// scheduler goes: with CUDA that is a crash. So backends that are freed while an
// outlive is in scope, on this thread, go when it does; the linker sends llama.cpp's
// calls of ggml_backend_free here.
struct outlive {
    std::vector<ggml_backend_t>   backends;
    static thread_local outlive * now;
    outlive() { now = this; }
    ~outlive();
};

#endif
