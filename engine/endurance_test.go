package engine

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"testing"
	"time"

	"personaprobe/sampler"
)

// endless makes n jobs of ten completions, one at a time.
func endless(n int) func() (*job, error) {
	i := 0
	return func() (*job, error) {
		if i == n {
			return nil, nil
		}
		i++
		prompt := []int32{int32(i % (fakeVocab - 1)), int32(i / 50 % fakeVocab), 3}
		return &job{
			req:    &Request{ID: strconv.Itoa(i), N: 5, Seeds: []uint64{1, 2}, Adapter: strconv.Itoa(i * 5 / n)},
			prompt: prompt, hash: sampler.PromptHash(prompt), maxTokens: 12,
		}, nil
	}
}

// fakeLanes are schedulers on fakes that share counters.
func fakeLanes(n, slots int) ([]*lane, []*fakeStepper) {
	var lanes []*lane
	var fakes []*fakeStepper
	for range n {
		f := newFake(slots, 16, 64)
		fakes = append(fakes, f)
		lanes = append(lanes, &lane{scheduler: newTestScheduler(f)})
	}
	return lanes, fakes
}

// A hundred thousand completions leave the memory as it is, and no goroutines.
func TestMemoryHoldsSteady(t *testing.T) {
	total := 100_000
	if testing.Short() {
		total = 20_000
	}
	goroutines := runtime.NumGoroutine()
	lanes, fakes := fakeLanes(2, 64)
	var heaps []uint64
	done := 0
	err := runLanes(context.Background(), lanes, newDispatcher(2, endless(total/10)), func(result) bool {
		if done++; done%(total/10) == 0 {
			heaps = append(heaps, liveHeap())
		}
		return true
	})
	for _, f := range fakes {
		err = errors.Join(err, f.problem)
	}
	if err != nil || done != total {
		t.Fatalf("%d completions: %v", done, err)
	}
	low, high := heaps[0], heaps[0]
	for _, h := range heaps {
		low, high = min(low, h), max(high, h)
	}
	t.Logf("%d completions: %d to %d KiB live", total, low>>10, high>>10)
	if high-low > 1<<20 {
		t.Errorf("live memory went from %d to %d KiB", low>>10, high>>10)
	}
	noneLeft(t, goroutines)
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// However a run ends, its goroutines end too.
func TestNoGoroutinesLeft(t *testing.T) {
	for name, run := range map[string]func(context.Context, []*lane, []*fakeStepper) error{
		"consumer stops": func(ctx context.Context, lanes []*lane, _ []*fakeStepper) error {
			n := 0
			return runLanes(ctx, lanes, newDispatcher(len(lanes), endless(1000)), func(result) bool { n++; return n < 50 })
		},
		"context ends": func(ctx context.Context, lanes []*lane, _ []*fakeStepper) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			n := 0
			err := runLanes(ctx, lanes, newDispatcher(len(lanes), endless(1000)), func(result) bool {
				if n++; n == 50 {
					cancel()
				}
				return true
			})
			if !errors.Is(err, context.Canceled) {
				return errors.New("the context's error got lost")
			}
			return nil
		},
		"device fails": func(ctx context.Context, lanes []*lane, fakes []*fakeStepper) error {
			fakes[1].failAt = 20
			err := runLanes(ctx, lanes, newDispatcher(len(lanes), endless(1000)), func(result) bool { return true })
			if !errors.Is(err, errInjected) {
				return errors.New("the device's error got lost")
			}
			return nil
		},
		"source fails": func(ctx context.Context, lanes []*lane, _ []*fakeStepper) error {
			n := 0
			next := endless(1000)
			err := runLanes(ctx, lanes, newDispatcher(len(lanes), func() (*job, error) {
				if n++; n == 300 {
					return nil, errInjected
				}
				return next()
			}), func(result) bool { return true })
			if !errors.Is(err, errInjected) {
				return errors.New("the source's error got lost")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			goroutines := runtime.NumGoroutine()
			lanes, fakes := fakeLanes(3, 8)
			if err := run(context.Background(), lanes, fakes); err != nil {
				t.Error(err)
			}
			noneLeft(t, goroutines)
		})
	}
}

// noneLeft waits for the goroutines to be as many as before.
func noneLeft(t *testing.T, before int) {
	t.Helper()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

// instantStepper is a device that takes no time: every token is the same, and
// completions end by their length.
type instantStepper struct{ slots int }

func (s instantStepper) Capacity() Capacity {
	return Capacity{Slots: s.slots, Rows: s.slots, Context: 256, Chunk: 512}
}
func (instantStepper) Use(string) error    { return nil }
func (instantStepper) Fork(int, int) error { return nil }
func (instantStepper) Free(int) error      { return nil }
func (instantStepper) Finish(*Step) error  { return nil }
func (instantStepper) Start(s *Step) error {
	n := len(s.Rows)
	for _, c := range s.Chunks {
		n += len(c.Draws)
	}
	for range n {
		s.Choices = append(s.Choices, sampler.Choice{Token: 7})
	}
	return nil
}

// BenchmarkSchedulerStep is the scheduler's own cost of a step of 1,024 sequences,
// with thirty completions of about 100 tokens for each prompt of 60, as in the study:
//
//	go test ./engine -run xxx -bench SchedulerStep
func BenchmarkSchedulerStep(b *testing.B) {
	const slots = 1024
	counters := &Counters{}
	s := newScheduler(instantStepper{slots}, map[int32]bool{fakeEnd: true}, nil, counters)
	prompt := make([]int32, 60)
	i := 0
	next := func() (*job, error) {
		i++
		return &job{req: &Request{N: 10, Seeds: []uint64{1, 2, 3}}, prompt: prompt, hash: uint64(i), maxTokens: 80 + i%40}, nil
	}
	b.ReportAllocs()
	b.ResetTimer()
	_ = s.run(context.Background(), next, func(result) bool { return counters.Read().Steps < int64(b.N) })
	steps := float64(counters.Read().Steps)
	b.ReportMetric(float64(b.Elapsed().Microseconds())/steps, "µs/step")
	b.ReportMetric(counters.Read().Occupancy(), "occupancy")
}
