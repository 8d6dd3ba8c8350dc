package engine_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	llama "personaprobe/cgo"
	"personaprobe/cgo/cudalib"
	"personaprobe/engine"
	"personaprobe/internal/cudatest"
)

// openLlamaGPU opens the tiny model in llama.cpp on a GPU, or skips the test.
func openLlamaGPU(t testing.TB, change func(*engine.Options)) *engine.Engine {
	t.Helper()
	needLlamaGPU(t)
	return open(t, func(o *engine.Options) {
		o.CPU, o.Backend, o.Slots = false, engine.BackendLlama, 64
		if change != nil {
			change(o)
		}
	})
}

func needLlamaGPU(t testing.TB) {
	t.Helper()
	cudatest.Kernels(t)
	dir, err := cudalib.FindDir()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, cudalib.GGMLFile)); err != nil {
		t.Skipf("needs ggml's CUDA plugin: %v", err)
	}
}

// Bounds of float16 weights and flash attention on the GPU: logits relative to their
// standard deviation, states to their norm. Greedy completions may leave the golden
// ones where two logits are nearly equal.
const (
	gpuLogits  = 2e-2
	gpuStates  = 5e-3
	gpuNearTie = 0.03
)

func TestLlamaGPULogitsGolden(t *testing.T) {
	e := openLlamaGPU(t, nil)
	if e.GPUs() == 0 {
		t.Fatal("the model is not on the GPU")
	}
	checkLogits(t, e, gpuLogits)
}

func TestLlamaGPUStatesGolden(t *testing.T) {
	e := openLlamaGPU(t, nil)
	for _, set := range goldenSets(t) {
		for _, model := range []string{"base", "villain"} {
			checkStates(t, e, set, model, gpuStates)
		}
	}
}

// Greedy completions are the golden ones with adapters merged and applied at run time.
func TestLlamaGPUGreedyGolden(t *testing.T) {
	for _, atRunTime := range []bool{false, true} {
		t.Run(fmt.Sprintf("run time %v", atRunTime), func(t *testing.T) {
			e := openLlamaGPU(t, func(o *engine.Options) { o.RuntimeAdapters = atRunTime })
			s, err := e.Settings()
			if err != nil || (s["adapters"] == "merged") == atRunTime {
				t.Fatalf("adapters are %q, %v", s["adapters"], err)
			}
			checkGreedy(t, e, gpuNearTie)
		})
	}
}

// At the declared number of rows a completion has the same bytes in any order, beside
// any others, in a fresh engine and with two contexts of as many rows each.
func TestLlamaGPUSameBytes(t *testing.T) {
	requests := studyRequests(3, 3, 30)[:18] // 18 x 60 completions of base and two adapters
	want := digest(collect(t, openLlamaGPU(t, nil), requests...))
	if len(want) < 1000 {
		t.Fatalf("%d completions", len(want))
	}
	for _, contexts := range []int{1, 2} {
		e := openLlamaGPU(t, func(o *engine.Options) { o.Contexts, o.Slots = contexts, 64*contexts })
		for turn := range 2 {
			shuffled := slices.Clone(requests)
			rand.New(rand.NewPCG(9, uint64(turn))).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			if turn == 1 { // a part, and so other neighbours
				shuffled = shuffled[:6]
			}
			differ := 0
			for key, g := range digest(collect(t, e, shuffled...)) {
				if g != want[key] {
					if differ++; differ == 1 {
						t.Errorf("%d contexts, turn %d, %s:\ngot  %s\nwant %s", contexts, turn, key, g, want[key])
					}
				}
			}
			t.Logf("%d contexts, turn %d: %d completions differ", contexts, turn, differ)
		}
	}
}

// Opening, using and closing again and again gives the device's memory back.
func TestLlamaGPUOpenClose(t *testing.T) {
	needLlamaGPU(t)
	free := func() uint64 {
		runtime.GC()
		for _, d := range llama.Devices() {
			if d.Type == "gpu" {
				return d.Free
			}
		}
		return 0
	}
	var after []uint64
	for range 12 {
		t.Run("", func(t *testing.T) {
			e := openLlamaGPU(t, nil)
			collect(t, e, studyRequests(1, 1, 2)...)
		})
		after = append(after, free())
	}
	t.Logf("free bytes after each: %v", after)
	const tolerance = 32 << 20
	if first, last := after[2], after[len(after)-1]; last+tolerance < first {
		t.Errorf("the device has lost %d MiB in %d turns", (first-last)>>20, len(after)-3)
	}
}
