package models_test

import (
	"context"
	"path/filepath"
	"testing"

	"personaprobe/internal/disk/disktest"
	"personaprobe/models"
)

// Whichever operation on the disk fails: the error says so, what stands under the final
// name is whole, and the next call ends with the right bytes.
func TestEveryDiskFault(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	hf := writeCheckpoint(t, small())
	gguf := filepath.Join(t.TempDir(), "in.gguf")
	if err := models.Convert(ctx, hf, gguf, models.ConvertOptions{Type: models.TypeF16}); err != nil {
		t.Fatal(err)
	}
	for name, work := range map[string]func(dir string) error{
		"convert": func(dir string) error {
			return models.Convert(ctx, hf, filepath.Join(dir, "x.gguf"), models.ConvertOptions{Name: "x"})
		},
		"retype": func(dir string) error {
			return models.Retype(ctx, gguf, filepath.Join(dir, "x.gguf"), models.TypeF32, nil)
		},
		"synth": func(dir string) error {
			return models.Synth(ctx, small().Shape, filepath.Join(dir, "x.gguf"), models.SynthOptions{Type: models.TypeBF16})
		},
		"resolve": func(dir string) error {
			_, err := models.Resolve(ctx, hf, dir, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { disktest.EveryFault(t, disktest.Work{Do: work}) })
	}
}
