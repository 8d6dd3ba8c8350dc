package lora_test

import (
	"context"
	"path/filepath"
	"testing"

	"personaprobe/internal/disk/disktest"
	"personaprobe/lora"
	"personaprobe/models"
)

// Whichever operation on the disk fails: the error says so, what stands under the final
// name is whole, and the next call ends with the right bytes.
func TestEveryDiskFault(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	base, adapter := writeBase(t, shape, models.TypeF16, 1), writeAdapter(t, plain())
	for name, work := range map[string]func(dir string) error{
		"convert": func(dir string) error {
			return lora.Convert(ctx, adapter, filepath.Join(dir, "x.gguf"), lora.ConvertOptions{Base: base})
		},
		"merge": func(dir string) error {
			return lora.Merge(ctx, base, []lora.Adapter{{Path: adapter}}, filepath.Join(dir, "x.gguf"), lora.MergeOptions{})
		},
		"resolve": func(dir string) error {
			_, _, err := lora.Resolve(ctx, adapter, base, dir)
			return err
		},
		"synth": func(dir string) error {
			return lora.Synth(ctx, shape, filepath.Join(dir, "x.gguf"), lora.SynthOptions{Rank: 2})
		},
	} {
		t.Run(name, func(t *testing.T) { disktest.EveryFault(t, disktest.Work{Do: work, Lenient: name == "synth"}) })
	}
}
