// The library's beginnings and ends: its log, the plugins' backends, and what to do
// where these fail.

#include <dlfcn.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <atomic>
#include <exception>
#include <stdexcept>
#include <string>

#include "internals.h"

// goLlamaLog is exported by log.go.
extern "C" void goLlamaLog(int level, char * text);

static void on_log(enum ggml_log_level level, const char * text, void *) {
    goLlamaLog((int)level, const_cast<char *>(text));
}

void pp_init(void) {
#ifdef __GLIBC__
    // Buffers come from posix_memalign, and glibc before 2.38 does not reuse freed
    // heap memory for it: opening a model again and again grew the process by 25 MB
    // each time. Mapped blocks go back to the system; a fixed threshold keeps them
    // mapped.
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
#endif
    llama_backend_init();
}

void pp_log_to_go(void) { llama_log_set(on_log, nullptr); }

const char * pp_system_info(void) { return llama_print_system_info(); }

// ggml's CUDA code answers a failed allocation, like any failure, by ending the process.
// An exception instead lets the caller end its work in order. What it leaves behind on
// the device is unknown, so from then on nothing is freed (see pp_device_failed).
static std::atomic<bool> device_failed{ false };

static void on_ggml_abort(const char * message) {
    if (!device_failed.exchange(true)) {
        goLlamaLog(GGML_LOG_LEVEL_ERROR, const_cast<char *>(message));
    }
    if (std::uncaught_exceptions() > 0) {
        return; // a destructor failed as well; ggml ends the process
    }
    throw std::runtime_error(message);
}

bool pp_device_failed(void) { return device_failed.load(); }

// adopt_plugins sends what the plugins in dir log, and their reports of fatal failures,
// where llama.cpp's go: they come with a copy of ggml's base library, which has
// callbacks of its own.
static void adopt_plugins(const std::string & dir) {
    ggml_set_abort_callback(on_ggml_abort);
    for (const char * name : { "libggml-base.so", "libggml-base.so.0" }) {
        void * base = dlopen((dir + "/" + name).c_str(), RTLD_LAZY);
        if (!base) {
            continue;
        }
        const auto set = reinterpret_cast<decltype(&ggml_log_set)>(dlsym(base, "ggml_log_set"));
        if (set && set != &ggml_log_set) {
            set(on_log, nullptr);
        }
        const auto abort = reinterpret_cast<decltype(&ggml_set_abort_callback)>(dlsym(base, "ggml_set_abort_callback"));
        if (abort && abort != &ggml_set_abort_callback) {
            abort(on_ggml_abort);
        }
        return; // it stays loaded, for the plugin
    }
}

int pp_load_backends(const char * dir) {
    return guarded(0, [&] {
        adopt_plugins(dir);
        ggml_backend_load_all_from_path(dir);
        return (int)ggml_backend_dev_count();
    });
}

void pp_device_memory(ggml_backend_dev_t device, size_t * free, size_t * total) {
    *free = *total = 0;
    guarded([&] {
        ggml_backend_dev_memory(device, free, total);
        return (int)PP_OK;
    });
}

thread_local outlive * outlive::now = nullptr;

extern "C" void __real_ggml_backend_free(ggml_backend_t backend);

extern "C" void __wrap_ggml_backend_free(ggml_backend_t backend) {
    if (outlive::now) {
        outlive::now->backends.push_back(backend);
    } else {
        __real_ggml_backend_free(backend);
    }
}

outlive::~outlive() {
    now = nullptr;
    for (ggml_backend_t b : backends) {
        if (!pp_device_failed()) {
            __real_ggml_backend_free(b);
        }
    }
}
