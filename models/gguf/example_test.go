package gguf_test

import (
	"fmt"
	"os"
	"path/filepath"

	"personaprobe/models/gguf"
)

// Write a file with one tensor and read it back.
func Example() {
	dir, err := os.MkdirTemp("", "gguf-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "x.gguf")
	metadata := []gguf.KV{{Key: "general.architecture", Value: "qwen2"}, {Key: "qwen2.block_count", Value: uint32(28)}}
	w, err := gguf.Create(path, metadata, []gguf.TensorInfo{{Name: "half", Type: gguf.F16, Shape: []int64{2, 1}}}, nil)
	if err != nil {
		panic(err)
	}
	defer w.Abort()
	raw := make([]byte, gguf.F16.Bytes(2))
	if err := gguf.F16.Encode(raw, []float32{0.5, -1}); err != nil {
		panic(err)
	}
	if err := w.WriteAt(0, raw, 0); err != nil {
		panic(err)
	}
	if err := w.Commit(); err != nil {
		panic(err)
	}

	f, err := gguf.Open(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	layers, _ := f.Uint("qwen2.block_count")
	values, err := f.Tensor("half").Floats()
	fmt.Println(layers, gguf.FormatShape(f.Tensor("half").Shape), values, err)
	// Output: 28 [1 x 2] [0.5 -1] <nil>
}
