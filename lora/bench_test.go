package lora_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"personaprobe/internal/modeltest"
	"personaprobe/lora"
	"personaprobe/models"
	"personaprobe/models/gguf"
	"personaprobe/models/safetensors"
)

// BenchmarkFiles times what is done to whole models, beside a plain copy of the
// same bytes, on Qwen2.5-0.5B's shape in BF16 (1 GB). It needs 5 GB of disk:
//
//	go test ./lora -run xxx -bench Files -benchtime 1x
func BenchmarkFiles(b *testing.B) {
	shape, err := models.NamedShape("qwen2.5-0.5b")
	if err != nil {
		b.Fatal(err)
	}
	dir, ctx := b.TempDir(), context.Background()
	file := func(name string) string { return filepath.Join(dir, name) }
	run := func(name, out string, f func() error) {
		b.Run(name, func(b *testing.B) {
			resetPeak()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
			if info, err := os.Stat(out); err == nil {
				b.SetBytes(info.Size())
			}
			b.ReportMetric(peakMB(), "peak-MB")
		})
	}
	model := file("model.gguf")
	run("synth", model, func() error { return models.Synth(ctx, shape, model, models.SynthOptions{}) })
	if err := writeHF(model, file("hf"), shape); err != nil {
		b.Fatal(err)
	}
	if err := lora.Synth(ctx, shape, file("adapter"), lora.SynthOptions{}); err != nil {
		b.Fatal(err)
	}
	out := file("out.gguf")
	// A copy before each: the pace of a disk, and of a machine, changes.
	beside := func(name string, f func() error) {
		run("copy before "+name, out, func() error { return copyFile(model, out) })
		run(name, out, f)
	}
	for _, kind := range []models.WeightType{models.TypeKeep, models.TypeF16, models.TypeF32, models.TypeQ8} {
		beside("convert "+string(kind), func() error {
			return models.Convert(ctx, file("hf"), out, models.ConvertOptions{Type: kind})
		})
	}
	for _, n := range []int{1, 3} {
		beside(fmt.Sprint("merge ", n), func() error {
			return lora.Merge(ctx, model, slices.Repeat([]lora.Adapter{{Path: file("adapter")}}, n), out, lora.MergeOptions{})
		})
	}
	beside("verify", func() error {
		_, err := models.Verify(ctx, out, nil)
		return err
	})
}

// writeHF turns a GGUF model back into a checkpoint directory.
func writeHF(model, dir string, shape models.Shape) error {
	c := modeltest.Checkpoint{Shape: shape, Edit: func([]safetensors.Array) []safetensors.Array { return nil }}
	c.Shape.Hidden, c.Shape.Intermediate, c.Shape.Heads, c.Shape.KVHeads, c.Shape.Layers = 2, 1, 1, 1, 1
	c.Config = map[string]any{"hidden_size": shape.Hidden, "intermediate_size": shape.Intermediate, "num_attention_heads": shape.Heads,
		"num_key_value_heads": shape.KVHeads, "num_hidden_layers": shape.Layers}
	if err := c.Write(dir); err != nil {
		return err
	}
	f, err := gguf.Open(model)
	if err != nil {
		return err
	}
	defer f.Close()
	var arrays []safetensors.Array
	for _, t := range f.Tensors {
		raw, err := t.Raw()
		if err != nil {
			return err
		}
		name, _ := models.HFName(t.Name)
		rows := slices.Clone(t.Shape)
		slices.Reverse(rows)
		arrays = append(arrays, safetensors.Array{Name: name, Shape: rows, DType: safetensors.DType(t.Type.String()), Raw: raw})
	}
	return safetensors.Write(filepath.Join(dir, safetensors.SingleName), arrays, nil)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	// Through memory, as a conversion must; the kernel could share the blocks.
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 4<<20)); err != nil {
		return err
	}
	return out.Sync()
}

// resetPeak and peakMB measure the peak resident memory on Linux.
func resetPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

func peakMB() float64 {
	raw, _ := os.ReadFile("/proc/self/status")
	var kB float64
	for line := range strings.Lines(string(raw)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kB); err == nil {
			break
		}
	}
	return kB / 1000
}
