package llama_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// harmless are the functions that Go calls and that need no guard.
var harmless = []string{
	"pp_init", "pp_log_to_go", "pp_system_info", // no allocation that can fail later than the program's start
	"pp_device_failed", "pp_context_abort", "pp_context_llama", "pp_lora_size", // read or write a field
	"pp_lora_get",                                         // reads tensors' fields; its index is checked by the caller
	"pp_model_free", "pp_adapter_free", "pp_context_free", // destructors, which are noexcept

	// CUDA's own functions, which are C.
	"pp_abi", "pp_error_text", "pp_device_count", "pp_device_info", "pp_alloc", "pp_free", "pp_copy_in",
	"pp_copy_out", "pp_copy_within", "pp_stream_new", "pp_stream_free", "pp_stream_wait", "pp_stream_follow", "pp_event_new", "pp_event_free",
	"pp_event_record", "pp_event_elapsed", "pp_sample", "pp_merge",
	"nv_error", "nv_model_free", "nv_decoder_free", "nv_pinned_new", "nv_pinned_free", // C, and destructors
	"nv_model_bytes", "nv_set_bytes", "nv_decoder_bytes", "nv_tile_rows", // arithmetic
	"nv_model_write", "nv_model_flush", "nv_model_read", "nv_set_reset", "nv_set_merge", // C, on memory that there is
	"nv_decoder_use", "nv_step_buffers", "nv_decode_wait",
}

// readers are llama.cpp's functions that Go calls without a guard: they read fields of
// what is loaded.
var readers = []string{
	"llama_n_ctx_seq", "llama_model_get_vocab", "llama_model_n_layer", "llama_model_n_embd", "llama_model_n_ctx_train",
	"llama_model_n_params", "llama_model_size", "llama_model_n_head", "llama_model_n_head_kv", "llama_model_meta_val_str",
	"llama_model_desc", "llama_vocab_n_tokens", "llama_vocab_is_eog", "llama_vocab_get_attr", "llama_vocab_get_text",
	"ggml_backend_dev_count", "ggml_backend_dev_get", "ggml_backend_dev_name",
	"ggml_backend_dev_description", "ggml_backend_dev_type",
}

// C++ exceptions must not reach Go, which has no way to catch them: every function of
// shim.h and of the kernels' headers works in guarded, but for those that run nothing
// that throws.
func TestNoExceptionReachesGo(t *testing.T) {
	head := regexp.MustCompile(`(?m)^\w[\w ]*[ *]((?:pp|nv)_\w+)\(`)
	found := 0
	for file, source := range sources(t, "shim*.cpp", "cuda/*.cu") {
		for _, m := range head.FindAllStringSubmatchIndex(source, -1) {
			name, body := source[m[2]:m[3]], source[m[0]:]
			if end := strings.Index(body, "\n}"); end >= 0 {
				body = body[:end]
			}
			if line, _, _ := strings.Cut(body, "\n"); strings.HasSuffix(line, "}") {
				body = line // on one line
			}
			found++
			if guards := strings.Contains(body, "guarded"); guards == slices.Contains(harmless, name) {
				t.Errorf("%s: %s works in guarded: %v; a function that can throw must, and the list here names the others",
					file, name, guards)
			}
		}
	}
	if found < 60 {
		t.Errorf("found %d functions, want all of the headers", found)
	}
}

// Go calls the rest of llama.cpp through the guards.
func TestGoCallsGuards(t *testing.T) {
	call := regexp.MustCompile(`\bC\.((?:llama|ggml)_\w+)\(`)
	types := []string{"llama_token", "llama_pos", "llama_seq_id"}
	for file, source := range sources(t, "*.go") {
		for _, m := range call.FindAllStringSubmatch(source, -1) {
			if !slices.Contains(readers, m[1]) && !slices.Contains(types, m[1]) {
				t.Errorf("%s calls %s; give it a function in shim.h that catches exceptions", file, m[1])
			}
		}
	}
}

// sources are the texts of files.
func sources(t *testing.T, patterns ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no sources %s: %v", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out[file] = string(data)
		}
	}
	return out
}
