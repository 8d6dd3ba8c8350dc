package engine_test

import (
	"regexp"
	"testing"

	"personaprobe/engine"
)

// On a GPU the settings name the libraries that compute.
func TestGPUSettingsNameLibraries(t *testing.T) {
	sum, number := regexp.MustCompile(`^sha256:[0-9a-f]{64}$`), regexp.MustCompile(`^13\.\d+\.\d+$`)
	for _, c := range []struct {
		name string
		e    *engine.Engine
		want map[string]*regexp.Regexp
	}{
		{"llama.cpp", openLlamaGPU(t, nil), map[string]*regexp.Regexp{"libggml-cuda.so": sum, "libpersonaprobe-cuda.so": sum, "program": sum, "cublas": number}},
		{"native", openNative(t, 64), map[string]*regexp.Regexp{"libpersonaprobe-cuda.so": sum, "program": sum}},
	} {
		s, err := c.e.Settings()
		if err != nil {
			t.Fatal(err)
		}
		for key, form := range c.want {
			if !form.MatchString(s[key]) {
				t.Errorf("%s: %s is %q", c.name, key, s[key])
			}
		}
		t.Logf("%s: %v", c.name, s)
	}
}
