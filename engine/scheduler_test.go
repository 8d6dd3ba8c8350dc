package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"personaprobe/sampler"
)

// drawJobs makes jobs that fit the capacity.
func drawJobs(t *rapid.T, c Capacity) []*job {
	var jobs []*job
	for i := range rapid.IntRange(0, 12).Draw(t, "jobs") {
		prompt := rapid.SliceOfN(rapid.Int32Range(1, fakeVocab-1), 1, c.Context-1).Draw(t, "prompt")
		jobs = append(jobs, &job{
			req: &Request{
				ID:      strconv.Itoa(i),
				Adapter: rapid.SampledFrom([]string{"", "a", "bb"}).Draw(t, "adapter"),
				Seeds:   rapid.SliceOfNDistinct(rapid.Uint64Range(0, 9), 0, 3, rapid.ID).Draw(t, "seeds"),
				N:       rapid.IntRange(0, 5).Draw(t, "n"),
			},
			prompt:    prompt,
			hash:      sampler.PromptHash(prompt),
			maxTokens: rapid.IntRange(1, c.Context-len(prompt)).Draw(t, "max"),
		})
	}
	return jobs
}

func drawCapacity(t *rapid.T) Capacity {
	slots := rapid.IntRange(2, 9).Draw(t, "slots")
	return Capacity{
		Slots:   slots,
		Rows:    rapid.IntRange(1, slots).Draw(t, "rows"),
		Context: rapid.IntRange(2, 24).Draw(t, "context"),
		Chunk:   rapid.IntRange(1, 9).Draw(t, "chunk"),
		Ahead:   rapid.Bool().Draw(t, "ahead"),
	}
}

func source(jobs []*job) func() (*job, error) {
	return func() (*job, error) {
		if len(jobs) == 0 {
			return nil, nil
		}
		j := jobs[0]
		jobs = jobs[1:]
		return j, nil
	}
}

// outcome maps "request/number" to what came out, and counts repeats.
type outcome map[string][]string

func (o outcome) add(r result) {
	key := fmt.Sprintf("%s/%d", r.group.req.ID, r.number)
	o[key] = append(o[key], fmt.Sprint(r.tokens, r.finish))
}

func expected(jobs []*job) outcome {
	o := outcome{}
	for _, j := range jobs {
		for k := range j.req.completions() {
			tokens, finish := fakeCompletion(j, k)
			o[fmt.Sprintf("%s/%d", j.req.ID, k)] = []string{fmt.Sprint(tokens, finish)}
		}
	}
	return o
}

func newTestScheduler(f *fakeStepper) *scheduler {
	return newScheduler(f, map[int32]bool{fakeEnd: true}, nil, &Counters{})
}

// Every completion comes out exactly once and is what it would be alone,
// whatever the capacity, the other requests and their order.
func TestSchedulerCompletesEverythingOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFake(0, 0, 0)
		f.capacity = drawCapacity(t)
		f.slots = make([][]int32, f.capacity.Slots)
		jobs := drawJobs(t, f.capacity)
		want := expected(jobs)
		jobs = rapid.Permutation(jobs).Draw(t, "order")
		got := outcome{}
		err := newTestScheduler(f).run(context.Background(), source(jobs), func(r result) bool {
			got.add(r)
			return true
		})
		if err != nil || f.problem != nil {
			t.Fatal(err, f.problem)
		}
		compare(t, got, want)
	})
}

// A row whose last token is under way has a successor in the next step already: pairs
// of completions that take 3 and 5 steps in turn fill four rows without a gap, 0-3-6-9-14
// and 0-5-10.
func TestSchedulerLeavesNoRowIdle(t *testing.T) {
	f := newFake(8, 16, 4)
	f.capacity.Rows, f.capacity.Ahead = 4, true
	var jobs []*job
	for i := range 6 {
		prompt := []int32{int32(i), 2, 3, 4}
		jobs = append(jobs, &job{req: &Request{ID: strconv.Itoa(i), N: 2}, prompt: prompt, hash: sampler.PromptHash(prompt),
			maxTokens: 4 + i%2*2}) // the first comes with the prompt
	}
	s := newScheduler(f, nil, nil, &Counters{})
	if err := s.run(context.Background(), source(jobs), func(result) bool { return true }); err != nil || f.problem != nil {
		t.Fatal(err, f.problem)
	}
	if f.decodes != 14 {
		t.Errorf("%d decodes, want 14", f.decodes)
	}
}

func compare(t *rapid.T, got, want outcome) {
	if len(got) != len(want) {
		t.Errorf("%d completions, want %d", len(got), len(want))
	}
	for key, w := range want {
		if !slices.Equal(got[key], w) {
			t.Errorf("completion %s: got %v, want %v", key, got[key], w)
		}
	}
}

// A failure at any call ends the run with that error; everything emitted before
// was right; and the same scheduler then does the whole work.
func TestSchedulerSurvivesFailures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFake(0, 0, 0)
		f.capacity = drawCapacity(t)
		f.slots = make([][]int32, f.capacity.Slots)
		jobs := drawJobs(t, f.capacity)
		want := expected(jobs)
		s := newTestScheduler(f)
		f.failAt = rapid.IntRange(1, 40).Draw(t, "fail at")
		before := outcome{}
		err := s.run(context.Background(), source(jobs), func(r result) bool {
			before.add(r)
			return true
		})
		if failed := f.calls >= f.failAt; failed != errors.Is(err, errInjected) {
			t.Fatalf("after %d calls, failing at %d: %v", f.calls, f.failAt, err)
		}
		for key, got := range before {
			if !slices.Equal(got, want[key]) {
				t.Errorf("before the failure %s: got %v, want %v", key, got, want[key])
			}
		}
		f.failAt = 0
		again := outcome{}
		err = s.run(context.Background(), source(jobs), func(r result) bool {
			again.add(r)
			return true
		})
		if err != nil || f.problem != nil {
			t.Fatal(err, f.problem)
		}
		compare(t, again, want)
	})
}

// The consumer may stop at any completion, the context may be cancelled, and all
// slots are free afterwards.
func TestSchedulerStops(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFake(0, 0, 0)
		f.capacity = drawCapacity(t)
		f.slots = make([][]int32, f.capacity.Slots)
		jobs := drawJobs(t, f.capacity)
		s := newTestScheduler(f)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		after := rapid.IntRange(1, 20).Draw(t, "stop after")
		byContext := rapid.Bool().Draw(t, "by context")
		n := 0
		err := s.run(ctx, source(jobs), func(result) bool {
			n++
			if n >= after && byContext {
				cancel()
			}
			return n < after || byContext
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if s.free.free != f.capacity.Slots {
			t.Errorf("%d of %d slots are free", s.free.free, f.capacity.Slots)
		}
		for i, slot := range f.slots {
			if slot != nil {
				t.Errorf("slot %d is still occupied", i)
			}
		}
	})
}

// With plenty of completions the slots are full nearly all the time.
func TestSchedulerKeepsSlotsFull(t *testing.T) {
	f := newFake(64, 64, 256)
	var jobs []*job
	for i := range 200 {
		prompt := []int32{int32(i%40 + 1), 2, 3, 4, int32(i/40 + 1)}
		jobs = append(jobs, &job{req: &Request{N: 12}, prompt: prompt, hash: sampler.PromptHash(prompt), maxTokens: 40})
	}
	counters := &Counters{}
	s := newScheduler(f, map[int32]bool{fakeEnd: true}, nil, counters)
	if err := s.run(context.Background(), source(jobs), func(result) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if o := counters.Read().Occupancy(); o < 0.93 {
		t.Errorf("occupancy is %.3f", o)
	}
}

// The fake's own definition notices a scheduler that draws the wrong numbers.
func TestFakeDependsOnEverything(t *testing.T) {
	base := Draw{Key: sampler.Key{Seed: 1, Prompt: 2, Completion: 3}, Position: 4}
	fed := []int32{5, 6}
	differs := 0
	for _, d := range []Draw{
		{Key: sampler.Key{Seed: 2, Prompt: 2, Completion: 3}, Position: 4},
		{Key: sampler.Key{Seed: 1, Prompt: 3, Completion: 3}, Position: 4},
		{Key: sampler.Key{Seed: 1, Prompt: 2, Completion: 4}, Position: 4},
		{Key: sampler.Key{Seed: 1, Prompt: 2, Completion: 3}, Position: 5},
	} {
		if fakeChoice("a", fed, d) != fakeChoice("a", fed, base) {
			differs++
		}
	}
	if fakeChoice("bb", fed, base) != fakeChoice("a", fed, base) {
		differs++
	}
	if differs < 4 { // one collision in fifty is allowed
		t.Errorf("only %d of 5 changes show", differs)
	}
}

func TestSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(2, 80).Draw(t, "total")
		occupied := rapid.SliceOfNDistinct(rapid.IntRange(0, total-1), 1, total, rapid.ID).Draw(t, "occupied")
		slices.Sort(occupied)
		covered := map[int]bool{}
		previous := -1
		for _, s := range spans(occupied, total) {
			if s.lo <= previous || s.lo < 0 || s.hi > total || s.hi-s.lo < 2 {
				t.Fatalf("span %v after %d, of %d", s, previous, total)
			}
			previous = s.hi
			for i := s.lo; i < s.hi; i++ {
				covered[i] = true
			}
		}
		for _, o := range occupied {
			if !covered[o] {
				t.Fatalf("slot %d is not covered", o)
			}
		}
	})
}
