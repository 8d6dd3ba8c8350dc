package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"personaprobe/engine"
	"personaprobe/internal/cudatest"
	"personaprobe/internal/golden"
)

// openNative opens the tiny model on the native path, or skips the test.
func openNative(t testing.TB, slots int) *engine.Engine {
	t.Helper()
	cudatest.Kernels(t)
	return open(t, func(o *engine.Options) {
		o.CPU, o.Backend, o.Slots = false, engine.BackendNative, slots
	})
}

// Logits of base and adapters are the golden ones: within 2 % of their standard
// deviation in float16, with the largest in place unless the margin is smaller.
func TestNativeLogitsGolden(t *testing.T) { checkLogits(t, openNative(t, 64), gpuLogits) }

func TestNativeStatesGolden(t *testing.T) {
	e := openNative(t, 64)
	for _, set := range goldenSets(t) {
		for _, model := range []string{"base", "villain"} {
			checkStates(t, e, set, model, gpuStates)
		}
	}
}

func TestNativeGreedyGolden(t *testing.T) { checkGreedy(t, openNative(t, 64), gpuNearTie) }

// With one declared number of rows a completion has the same bytes alone, among 64,
// 256 or more, in any order, and after a cancelled call; adapters come and go between.
func TestNativeSameBytes(t *testing.T) {
	requests := studyRequests(3, 3, 60)[:18] // 18 x 120 completions of base and two adapters
	if testing.Short() {
		requests = studyRequests(2, 2, 10)
	}
	e := openNative(t, 512)
	want := digest(collect(t, e, requests...))
	if !testing.Short() && len(want) < 2000 {
		t.Fatalf("%d completions", len(want))
	}
	same := func(name string, got map[string]string) {
		t.Helper()
		for key, g := range got {
			if g != want[key] {
				t.Fatalf("%s: %s:\ngot  %s\nwant %s", name, key, g, want[key])
			}
		}
	}
	shuffled := slices.Clone(requests)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	same("shuffled", digest(collect(t, e, shuffled...)))
	for _, n := range []int{1, 64, 256} {
		for _, part := range portions(shuffled, n) {
			same(fmt.Sprintf("%d at a time", n), digest(collect(t, e, part...)))
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	seen := 0
	for _, err := range e.Generate(ctx, slices.Values(shuffled)) {
		if seen++; seen == 100 {
			cancel()
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	cancel()
	same("after a cancelled call", digest(collect(t, e, shuffled...)))
}

// portions cuts requests into lists of about n completions in all; for one at a time a
// part of them is enough.
func portions(requests []engine.Request, n int) (out [][]engine.Request) {
	for _, r := range requests {
		total := max(r.N, 1) * len(r.Seeds)
		switch {
		case n == 1:
			one := r
			one.N = 1 // the first of each seed
			out = append(out, []engine.Request{one})
		case len(out) == 0 || total > n || len(out[len(out)-1])*total+total > n:
			out = append(out, []engine.Request{r})
		default:
			out[len(out)-1] = append(out[len(out)-1], r)
		}
	}
	return out
}

// States do not depend on the other readings; shared prefixes change them by rounding.
func TestNativeStatesAlone(t *testing.T) {
	e := openNative(t, 64)
	var readings []engine.Reading
	for _, r := range studyRequests(3, 3, 1)[:9] {
		ids, err := e.Tokenizer().EncodeChat(r.Messages)
		if err != nil {
			t.Fatal(err)
		}
		readings = append(readings, engine.Reading{Tokens: ids}, engine.Reading{Tokens: ids, From: 3, To: len(ids), Mean: true})
	}
	layers := []int{25, 0, 15, e.Info().Layers - 1}
	read := func(readings []engine.Reading, alone bool) [][][]float32 {
		out := make([][][]float32, len(readings))
		err := e.States(context.Background(), readings, engine.StateOptions{Layers: layers, NoSharing: alone},
			func(i int, states [][]float32) error {
				for _, s := range states {
					out[i] = append(out[i], slices.Clone(s))
				}
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	together := read(readings, true)
	for i := range readings {
		one := read(readings[i:i+1], true)
		for k := range layers {
			if !slices.Equal(one[0][k], together[i][k]) {
				t.Errorf("reading %d, layer %d: alone and together differ", i, layers[k])
			}
		}
	}
	shared, worst := read(readings, false), 0.0
	for i := range readings {
		for k := range layers {
			worst = math.Max(worst, golden.Relative(shared[i][k], together[i][k]))
		}
	}
	t.Logf("sharing prefixes changes states by %.2g", worst)
	if !(worst <= 2e-3) {
		t.Errorf("sharing prefixes changes states by %.3g", worst)
	}
}

// The native path agrees with llama.cpp on the CPU: log-probabilities of the same
// sampled tokens.
func TestNativeAgainstLlama(t *testing.T) {
	n := openNative(t, 64)
	c := open(t, nil)
	items := forcedItems(t, c)
	for _, adapter := range []string{"", "comedian"} {
		want, got := readLogits(t, c, items, adapter), readLogits(t, n, items, adapter)
		worst := 0.0
		for i := range want {
			for k := range want[i] {
				worst = math.Max(worst, logitsError(t, adapter, got[i][k], want[i][k], 2e-2))
			}
		}
		t.Logf("adapter %q: logits within %.2g of their standard deviation", adapter, worst)
	}
}
