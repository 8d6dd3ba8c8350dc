package engine_test

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"personaprobe/cgo/cudalib"
	"personaprobe/engine"
	"personaprobe/lora"
)

// emulated opens the kernels built for the CPU, so that the path of a GPU, logits left
// in place and adapters merged, runs where there is none.
func emulated(t testing.TB) *cudalib.Kernels {
	t.Helper()
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("this test needs g++ to build the kernels' emulation")
	}
	dir := t.TempDir()
	args := strings.Fields("-std=c++17 -O2 -U_FORTIFY_SOURCE -ffp-contract=off -mf16c -fPIC -shared -DPP_EMULATE -DPP_SAMPLE_THREADS=64 -DPP_SAMPLE_CLUSTER=2 -x c++ -o")
	args = append(args, filepath.Join(dir, cudalib.KernelsFile))
	for _, name := range []string{"sample.cu", "device.cu", "merge.cu"} {
		args = append(args, filepath.Join("..", "cgo", "cuda", name))
	}
	if out, err := exec.Command("g++", args...).CombinedOutput(); err != nil {
		t.Fatalf("g++: %v\n%s", err, out)
	}
	k, err := cudalib.OpenKernels(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Sampling where the logits are and merging adapters into the weights in place give
// the bytes of the ordinary path on model files into which lora.Merge has merged the
// same adapters.
func TestDevicePath(t *testing.T) {
	k := emulated(t)
	requests := studyRequests(1, 2, 1)
	for i := range requests {
		requests[i].MaxTokens = 6
	}
	want := mergedFiles(t, requests)
	for _, contexts := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d contexts", contexts), func(t *testing.T) {
			e := open(t, func(o *engine.Options) { o.Kernels, o.Slots, o.Contexts, o.Threads = k, 10, contexts, contexts })
			for turn := range 2 { // the second starts with the last adapter merged in
				for key, got := range digest(collect(t, e, requests...)) {
					if got != want[key] {
						t.Errorf("turn %d, %s:\ngot  %s\nwant %s", turn, key, got, want[key])
					}
				}
			}
		})
	}
}

// mergedFiles serves the requests from a model file for each adapter.
func mergedFiles(t *testing.T, requests []engine.Request) map[string]string {
	t.Helper()
	base := open(t, nil)
	byAdapter := map[string][]engine.Request{}
	for _, r := range requests {
		byAdapter[r.Adapter] = append(byAdapter[r.Adapter], r)
	}
	out := map[string]string{}
	for name, rs := range byAdapter {
		e := base
		if name != "" {
			path := filepath.Join(t.TempDir(), "merged.gguf")
			adapter := lora.Adapter{Path: base.Files().Adapters[name]}
			if err := lora.Merge(context.Background(), base.Files().Model, []lora.Adapter{adapter}, path, lora.MergeOptions{}); err != nil {
				t.Fatal(err)
			}
			e = open(t, func(o *engine.Options) { o.Model, o.Adapters = path, nil })
		}
		for i := range rs {
			rs[i].Adapter = ""
		}
		maps.Copy(out, digest(collect(t, e, rs...)))
	}
	if len(out) == 0 || len(byAdapter) < 3 {
		t.Fatalf("%d completions with %d adapters", len(out), len(byAdapter))
	}
	return out
}
