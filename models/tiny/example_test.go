package tiny_test

import (
	"context"
	"fmt"
	"os"

	"personaprobe/lora"
	"personaprobe/models"
	"personaprobe/models/tiny"
)

// Install the embedded model and merge an adapter into it.
func ExampleInstall() {
	dir, err := os.MkdirTemp("", "tiny-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files, err := tiny.Install(context.Background(), dir) // a program would pass models.CacheDir()
	if err != nil {
		panic(err)
	}
	villain := dir + "/villain.gguf"
	err = lora.Merge(context.Background(), files.Model, []lora.Adapter{{Path: files.Adapters["villain"]}}, villain, lora.MergeOptions{})
	if err != nil {
		panic(err)
	}
	r, err := models.Verify(context.Background(), villain, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Kind, r.Tensors, r.Parameters, r.OK())
	// Output: gguf model 339 4667520 true
}
