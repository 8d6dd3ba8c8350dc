package llama

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"os"
	"sync"
	"unsafe"
)

// Model is a loaded model: weights and vocabulary.
type Model struct {
	vocab *Vocab
	info  ModelInfo

	mu     sync.Mutex
	c      *C.struct_llama_model // nil once freed
	users  int                   // contexts and adapters that still need the weights
	closed bool
}

// loading serialises loads, so that the log lines of one do not end up in the
// error of another.
var loading sync.Mutex

// OpenModel loads a GGUF file. The error wraps [ErrLoad], [ErrMemory] or the file's own.
func OpenModel(path string, opts ModelOptions) (*Model, error) {
	initOnce()
	if err := readable(path); err != nil {
		return nil, err
	}
	loading.Lock()
	defer loading.Unlock()
	recentErrors.take()
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	layers := opts.GPULayers
	if layers < 0 {
		layers = 1 << 20
	}
	c := C.pp_model_load(name, C.int(layers), C.bool(!opts.NoMMap), C.bool(opts.VocabOnly))
	if c == nil {
		return nil, failure("load model "+path, ErrLoad)
	}
	m := &Model{c: c}
	m.vocab = newVocab(m, C.llama_model_get_vocab(c))
	arch, _ := m.Meta("general.architecture")
	m.info = ModelInfo{
		Description: m.description(),
		Arch:        arch,
		Layers:      int(C.llama_model_n_layer(c)),
		Hidden:      int(C.llama_model_n_embd(c)),
		Vocab:       m.vocab.Size(),
		Context:     int(C.llama_model_n_ctx_train(c)),
		Params:      uint64(C.llama_model_n_params(c)),
		Bytes:       uint64(C.llama_model_size(c)),
	}
	if !opts.VocabOnly { // without layers llama.cpp would end the process
		m.info.Heads = int(C.llama_model_n_head(c))
		m.info.KVHeads = int(C.llama_model_n_head_kv(c))
	}
	return m, nil
}

// readable turns the usual mistakes into the usual words; llama.cpp would only
// say that it failed.
func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%w %s: not a regular file", ErrLoad, path)
	}
	return nil
}

// Info describes the model.
func (m *Model) Info() ModelInfo { return m.info }

// Vocab is the model's tokenizer. It lives as long as the model.
func (m *Model) Vocab() *Vocab { return m.vocab }

// Meta returns a metadata value of the GGUF file as text.
func (m *Model) Meta(key string) (string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.c == nil {
		return "", false
	}
	k := C.CString(key)
	defer C.free(unsafe.Pointer(k))
	return cString(func(buf *C.char, n C.size_t) C.int32_t {
		return C.llama_model_meta_val_str(m.c, k, buf, n)
	})
}

func (m *Model) description() string {
	s, _ := cString(func(buf *C.char, n C.size_t) C.int32_t { return C.llama_model_desc(m.c, buf, n) })
	return s
}

// cString calls an snprintf-like function, twice if the value is long.
func cString(get func(*C.char, C.size_t) C.int32_t) (string, bool) {
	buf := make([]byte, 256)
	for {
		n := int(get((*C.char)(unsafe.Pointer(&buf[0])), C.size_t(len(buf))))
		if n < 0 {
			return "", false
		}
		if n < len(buf) {
			return string(buf[:n]), true
		}
		buf = make([]byte, n+1)
	}
}

// Close frees the model once its contexts and adapters are closed as well.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.freeIfUnused()
	return nil
}

// use registers a dependent; the caller pairs it with unuse.
func (m *Model) use() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return fmt.Errorf("model: %w", ErrClosed)
	}
	m.users++
	return nil
}

func (m *Model) unuse() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users--
	m.freeIfUnused()
}

func (m *Model) freeIfUnused() {
	if m.closed && m.users == 0 && m.c != nil {
		C.pp_model_free(m.c)
		m.c = nil
	}
}
