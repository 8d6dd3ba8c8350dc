package hidden

import (
	"context"
	"slices"
	"syscall"
	"testing"
	"time"

	"personaprobe/engine"
)

// cost is what some work takes: on a shared machine the processor time says more.
type cost struct{ wall, cpu time.Duration }

func costOf(do func()) cost {
	cpu := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			panic(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	began, before := time.Now(), cpu()
	do()
	return cost{time.Since(began), cpu() - before}
}

func (c *cost) add(d cost) { c.wall, c.cpu = c.wall+d.wall, c.cpu+d.cpu }

func (c cost) per(d cost) (wall, cpu float64) {
	return float64(c.wall) / float64(d.wall), float64(c.cpu) / float64(d.cpu)
}

// encoded are the token ids of a grid.
func encoded(t testing.TB, e *engine.Engine, personas, questions int) [][]int32 {
	t.Helper()
	var out [][]int32
	for p, err := range Grid(grid(t, personas, questions)) {
		if err != nil {
			t.Fatal(err)
		}
		ids, err := p.encode(e.Tokenizer())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ids)
	}
	return out
}

func readAll(t testing.TB, e *engine.Engine, prompts [][]int32, opts engine.StateOptions) cost {
	t.Helper()
	n := 0
	c := costOf(func() {
		if err := e.LastStates(context.Background(), prompts, opts, func(int, [][]float32) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
	})
	if n != len(prompts) {
		t.Fatalf("%d of %d prompts", n, len(prompts))
	}
	return c
}

// least is the smallest processor time of some tries.
func least(tries int, do func() cost) cost {
	best := do()
	for range tries - 1 {
		if c := do(); c.cpu < best.cpu {
			best = c
		}
	}
	return best
}

// Nothing behind the deepest layer is computed, and layers before it cost nothing.
func TestEarlyStop(t *testing.T) {
	e := open(t, nil)
	prompts := encoded(t, e, 20, 5)
	at := func(layers ...int) cost {
		return least(2, func() cost { return readAll(t, e, prompts, engine.StateOptions{Layers: layers}) })
	}
	at(27) // warm up
	ten, last := at(10), at(27)
	four, deepest := at(10, 15, 20, 25), at(25)
	early, _ := ten.per(last)
	_, earlyCPU := ten.per(last)
	_, fourCPU := four.per(deepest)
	t.Logf("layer 10 costs %.2f of layer 27 in processor time (%.2f in wall time; 11/28 is 0.39); four layers cost %.2f of the deepest", earlyCPU, early, fourCPU)
	if earlyCPU > 0.65 {
		t.Errorf("layer 10 costs %.2f of layer 27", earlyCPU)
	}
	if fourCPU > 1.2 {
		t.Errorf("four layers cost %.2f of the deepest", fourCPU)
	}
}

// BenchmarkStudyJob reads the study's states, 205 personas x 20 questions at four
// layers, and beside it, in turns, the same prompts one after the other without shared
// beginnings, by an engine with one context and one thread, which keeps its context.
func BenchmarkStudyJob(b *testing.B) {
	e := open(b, nil)
	one := open(b, func(o *engine.Options) { o.Contexts, o.Threads = 1, 1 })
	prompts := encoded(b, e, 205, 20)
	lengths := make([]int, len(prompts))
	tokens := 0
	for i, p := range prompts {
		lengths[i] = len(p)
		tokens += len(p)
	}
	layers := []int{10, 15, 20, 25}
	// A pass of less than two of the shortest prompts takes one prompt at a time; the
	// longest ones take two passes.
	single := engine.StateOptions{Layers: layers, NoSharing: true, Batch: 2*slices.Min(lengths) - 1}
	cut := 0
	for _, n := range lengths {
		if n > single.Batch {
			cut++
		}
	}
	for b.Loop() {
		var together, alone cost
		for part := range slices.Chunk(prompts, 41*20) { // in turns, so that both see the same neighbours
			together.add(readAll(b, e, part, engine.StateOptions{Layers: layers}))
			alone.add(readAll(b, one, part, single))
		}
		wall, cpu := alone.per(together)
		b.ReportMetric(wall, "x-wall")
		b.ReportMetric(cpu, "x-cpu")
		b.Logf("%d prompts, %d tokens: together on %d contexts %.1f s (%.1f s CPU), one by one on one context (%d in two passes) %.1f s (%.1f s CPU): %.1f times in wall time, %.1f times in CPU time",
			len(prompts), tokens, e.Options().Contexts, together.wall.Seconds(), together.cpu.Seconds(), cut, alone.wall.Seconds(), alone.cpu.Seconds(), wall, cpu)
	}
}
