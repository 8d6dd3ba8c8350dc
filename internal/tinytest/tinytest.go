// Package tinytest gives tests the embedded model as files.
package tinytest

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"personaprobe/models"
	"personaprobe/models/tiny"
)

// installed is the model in the user's cache, which tests of all packages share.
var installed = sync.OnceValues(func() (tiny.Files, error) {
	dir, err := models.CacheDir()
	if err != nil {
		return tiny.Files{}, err
	}
	return tiny.Install(context.Background(), dir)
})

// Files are the model and its adapters in float16. They must not be changed.
func Files(t testing.TB) tiny.Files {
	t.Helper()
	files, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Float32 are the model converted to float32, and its adapters as PEFT directories, in
// a directory of the test's own, which the result names too.
func Float32(t testing.TB) (files tiny.Files, dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := tiny.Unpack(dir); err != nil {
		t.Fatal(err)
	}
	files = tiny.Files{Model: filepath.Join(dir, "f32.gguf"), Adapters: map[string]string{}}
	if err := models.Convert(context.Background(), filepath.Join(dir, "hf"), files.Model, models.ConvertOptions{Type: models.TypeF32}); err != nil {
		t.Fatal(err)
	}
	for _, name := range tiny.Sources() {
		files.Adapters[name] = filepath.Join(dir, "adapters", name)
	}
	return files, dir
}

// WithTemplate is the model as a GGUF file of the test's own, with another chat template.
func WithTemplate(t testing.TB, template string) string {
	t.Helper()
	dir := t.TempDir()
	if err := tiny.Unpack(dir); err != nil {
		t.Fatal(err)
	}
	if err := SetTemplate(filepath.Join(dir, "hf"), template); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "templated.gguf")
	if err := models.Convert(context.Background(), filepath.Join(dir, "hf"), path, models.ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	return path
}

// SetTemplate gives a checkpoint another chat template.
func SetTemplate(checkpoint, template string) error {
	config := filepath.Join(checkpoint, "tokenizer_config.json")
	data, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	fields["chat_template"] = template
	if data, err = json.Marshal(fields); err != nil {
		return err
	}
	return os.WriteFile(config, data, 0o600)
}

// ClockTemplate is a template that writes a date into every system message, as
// Llama-3.1's does.
const ClockTemplate = "<|im_start|>system\nToday is {{ strftime_now('%d %b %Y') }}.\n" +
	"{% if messages[0].role == 'system' %}{{ messages[0].content }}{% set messages = messages[1:] %}{% endif %}<|im_end|>\n" +
	"{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
