package models_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"personaprobe/internal/modeltest"
	"personaprobe/models"
)

// FuzzCheckpoint verifies a checkpoint with any configuration and tokenizer: it is good,
// or something is wrong with the file.
func FuzzCheckpoint(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "checkpoint")
	c := modeltest.Checkpoint{Shape: modeltest.Shape(2, 1, 4, 8, 1, 270, true), Tokens: 262, Seed: 1}
	if err := c.Write(dir); err != nil {
		f.Fatal(err)
	}
	names := []string{"config.json", "tokenizer.json", "tokenizer_config.json"}
	var good [3][]byte
	for i, name := range names {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		good[i] = raw
	}
	f.Add(good[0], good[1], good[2])
	f.Fuzz(func(t *testing.T, config, tokenizer, tokenizerConfig []byte) {
		for i, data := range [][]byte{config, tokenizer, tokenizerConfig} {
			if err := os.WriteFile(filepath.Join(dir, names[i]), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := models.Verify(context.Background(), dir, nil)
		if err != nil && !errors.Is(err, models.ErrFormat) && !errors.Is(err, models.ErrUnsupported) {
			t.Fatal(err)
		}
	})
}
