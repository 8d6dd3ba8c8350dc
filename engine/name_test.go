package engine

import (
	"context"
	"testing"

	"personaprobe/internal/tinytest"
)

func TestModelName(t *testing.T) {
	for _, c := range []struct{ general, path, want string }{
		{"Qwen2.5 7B Instruct", "models/q.gguf", "Qwen2.5 7B Instruct"},
		{" ", "models/Qwen2.5-7B-Instruct-Q8_0.gguf", "Qwen2.5-7B-Instruct-Q8_0.gguf"},
		{"", "models/Qwen2.5-7B-Instruct/", "Qwen2.5-7B-Instruct"},
		{"", ".", "engine"},
	} {
		if got := modelName(c.general, c.path); got != c.want {
			t.Errorf("%q in %s: %q, want %q", c.general, c.path, got, c.want)
		}
	}
	for _, c := range []struct {
		text   string
		params uint64
		want   string
	}{
		{"qwen2 7B F16", 4_700_000, "qwen2 4.7M F16"},
		{"qwen2 7B Q4_K - Medium", 7_615_616_512, "qwen2 7.62B Q4_K - Medium"},
		{"qwen2 ?B all F32", 494_032_768, "qwen2 494M all F32"},
		{"qwen2", 1, "qwen2 1e-06M"},
	} {
		if got := withSize(c.text, c.params); got != c.want {
			t.Errorf("%q of %d: %q, want %q", c.text, c.params, got, c.want)
		}
	}
}

// A converted checkpoint is called after its directory, not after its copy in the cache,
// and its size is the real one.
func TestNameOfConvertedModel(t *testing.T) {
	_, dir := tinytest.Float32(t)
	e, err := Open(context.Background(), Options{Model: dir + "/hf", CPU: true, CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.Name() != "hf" {
		t.Errorf("%s is called %q", e.Files().Model, e.Name())
	}
	if got := e.Info().Description; got != "qwen2 "+size(e.Info().Params)+" F16" || e.Info().Params > 5e6 {
		t.Errorf("a model of %d weights is described as %q", e.Info().Params, got)
	}
}
