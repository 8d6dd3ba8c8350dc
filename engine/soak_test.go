package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"personaprobe/engine"
)

// TestSoak works for as long as PERSONAPROBE_SOAK says (such as 1h): completions of base
// and adapters in turn, calls cancelled in the middle, states, engines opened and closed.
// Completions keep their bytes; memory, file descriptors and goroutines stay flat.
func TestSoak(t *testing.T) {
	duration, err := time.ParseDuration(os.Getenv("PERSONAPROBE_SOAK"))
	if err != nil {
		t.Skip("PERSONAPROBE_SOAK names no duration")
	}
	requests := studyRequests(2, 2, 4)
	want := digest(collect(t, open(t, nil), requests...))
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	deadline := time.Now().Add(duration)
	var usage []resources
	rounds, completions, cancels := 0, 0, 0
	for ; time.Now().Before(deadline); rounds++ {
		e := open(t, func(o *engine.Options) { o.Slots, o.Contexts, o.Threads = 8+r.IntN(60), 1, 1 })
		for range 4 {
			r.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
			n, cancelled := soakRound(t, e, requests, want, r)
			completions += n
			cancels += cancelled
		}
		prompt, err := e.Tokenizer().EncodeChat(requests[0].Messages)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.LastStates(context.Background(), [][]int32{prompt}, engine.StateOptions{Layers: []int{15}, Adapter: "villain"},
			func(int, [][]float32) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		usage = append(usage, measure(t))
	}
	third := len(usage) / 3
	if third == 0 {
		t.Fatalf("only %d rounds", rounds)
	}
	early, late := most(usage[third:2*third]), most(usage[2*third:])
	t.Logf("%d rounds, %d completions, %d cancelled calls in %v; second third: %v, last third: %v", rounds, completions, cancels, duration, early, late)
	if late.goroutines > early.goroutines || late.files > early.files || late.kib > early.kib+early.kib/10 {
		t.Errorf("grew from %v to %v", early, late)
	}
}

// soakRound serves the requests, one time in three cancelled on the way.
func soakRound(t *testing.T, e *engine.Engine, requests []engine.Request, want map[string]string, r *rand.Rand) (n, cancelled int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stopAt := -1
	if r.IntN(3) == 0 {
		stopAt = r.IntN(len(want))
	}
	for c, err := range e.Generate(ctx, slices.Values(requests)) {
		if errors.Is(err, context.Canceled) && stopAt >= 0 {
			return n, 1
		}
		if err != nil {
			t.Fatal(err)
		}
		for key, got := range digest([]engine.Completion{c}) {
			if got != want[key] {
				t.Fatalf("%s: got %s, want %s", key, got, want[key])
			}
		}
		if n++; n == stopAt {
			cancel()
		}
	}
	return n, 0
}

// resources are what a process holds.
type resources struct{ kib, files, goroutines int }

func (r resources) String() string {
	return fmt.Sprintf("%d MiB, %d files, %d goroutines", r.kib/1024, r.files, r.goroutines)
}

func measure(t *testing.T) resources {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("needs /proc")
	}
	u := resources{goroutines: runtime.NumGoroutine()}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			u.kib, _ = strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	u.files = len(files)
	return u
}

// most is the largest of each.
func most(all []resources) (m resources) {
	for _, u := range all {
		m = resources{max(m.kib, u.kib), max(m.files, u.files), max(m.goroutines, u.goroutines)}
	}
	return m
}
