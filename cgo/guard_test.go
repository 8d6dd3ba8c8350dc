package llama_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// C++ exceptions must not reach Go, which has no way to catch them: every function of
// shim.h works in guarded, but for those that run nothing that throws.
func TestNoExceptionReachesGo(t *testing.T) {
	harmless := []string{
		"pp_init", "pp_log_to_go", "pp_system_info", // no allocation that can fail later than the program's start
		"pp_device_failed", "pp_context_abort", "pp_context_llama", "pp_lora_size", // read or write a field
		"pp_lora_get",                                        // reads tensors' fields; its index is checked by the caller
		"pp_model_free", "pp_adapter_free", "pp_context_free", // destructors, which are noexcept
	}
	files, err := filepath.Glob("shim*.cpp")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources of the binding: %v", err)
	}
	head := regexp.MustCompile(`(?m)^\w[\w ]*[ *](pp_\w+)\(`)
	found := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source := string(data)
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
				t.Errorf("%s: %s works in guarded: %v; a function that can throw must, and the list here names the others", file, name, guards)
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d functions, want all of shim.h", found)
	}
}
