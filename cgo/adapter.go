package llama

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

// Adapter is a LoRA adapter in GGUF form, loaded beside its base model.
type Adapter struct {
	m  *Model
	mu sync.Mutex
	c  *C.struct_llama_adapter_lora // nil once closed
}

// OpenAdapter loads an adapter for m. llama.cpp refuses one whose tensors do
// not fit the model.
func (m *Model) OpenAdapter(path string) (*Adapter, error) {
	if err := readable(path); err != nil {
		return nil, err
	}
	if err := m.use(); err != nil {
		return nil, err
	}
	loading.Lock()
	defer loading.Unlock()
	recentErrors.take()
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	c := C.pp_adapter_load(m.c, name)
	if c == nil {
		m.unuse()
		return nil, failure("load adapter "+path, ErrLoad)
	}
	return &Adapter{m: m, c: c}, nil
}

// Close frees the adapter. Contexts that apply it must be closed or given other
// adapters before.
func (a *Adapter) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.c == nil {
		return nil
	}
	C.pp_adapter_free(a.c)
	a.c = nil
	a.m.unuse()
	return nil
}

// SetAdapter makes the following decodes apply a with the given scale, on top
// of the alpha/rank inside the file; nil means the bare base model.
func (c *Context) SetAdapter(a *Adapter, scale float32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.c == nil {
		return fmt.Errorf("context: %w", ErrClosed)
	}
	if a == nil {
		if code := C.pp_set_adapters(c.c, nil, nil, 0); code != C.PP_OK {
			return failure("take adapters away", ErrCompute)
		}
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.c == nil {
		return fmt.Errorf("adapter: %w", ErrClosed)
	}
	if a.m != c.m {
		return fmt.Errorf("%w: the adapter was loaded for another model", ErrBatch)
	}
	code := C.pp_set_adapters(c.c, &a.c, (*C.float)(&scale), 1)
	if int(code) != C.PP_OK {
		return failure("set adapter", ErrCompute)
	}
	return nil
}
