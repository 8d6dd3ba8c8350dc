package llama

// #cgo CXXFLAGS: -std=c++17
// #cgo LDFLAGS: -Wl,--wrap=ggml_backend_free
// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"sync"
	"unsafe"

	_ "github.com/ollama/ollama/llama/llama.cpp/src" // llama.cpp and ggml themselves
)

var initOnce = sync.OnceFunc(func() {
	C.pp_log_to_go()
	C.pp_init()
})

// LoadBackends loads ggml's plugins, such as libggml-cuda.so, from a directory.
// Afterwards [Devices] lists what they found.
func LoadBackends(dir string) {
	initOnce()
	c := C.CString(dir)
	defer C.free(unsafe.Pointer(c))
	C.pp_load_backends(c)
}

// Devices lists the hardware that models can be loaded to.
func Devices() []Device {
	initOnce()
	types := map[C.enum_ggml_backend_dev_type]string{
		C.GGML_BACKEND_DEVICE_TYPE_CPU:   "cpu",
		C.GGML_BACKEND_DEVICE_TYPE_GPU:   "gpu",
		C.GGML_BACKEND_DEVICE_TYPE_IGPU:  "igpu",
		C.GGML_BACKEND_DEVICE_TYPE_ACCEL: "accel",
	}
	var out []Device
	for i := range C.ggml_backend_dev_count() {
		d := C.ggml_backend_dev_get(i)
		var free, total C.size_t
		C.pp_device_memory(d, &free, &total)
		out = append(out, Device{
			Name:        C.GoString(C.ggml_backend_dev_name(d)),
			Description: C.GoString(C.ggml_backend_dev_description(d)),
			Type:        types[C.ggml_backend_dev_type(d)],
			Free:        uint64(free),
			Total:       uint64(total),
		})
	}
	return out
}

// SystemInfo is llama.cpp's line about the CPU features it was built with.
func SystemInfo() string {
	initOnce()
	return C.GoString(C.pp_system_info())
}
