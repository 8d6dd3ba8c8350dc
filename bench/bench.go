// Package bench measures throughput: what the engine reaches beside what the
// device could do in the same run. A ratio from one run says more than a time.
package bench

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	llama "personaprobe/cgo"
	"personaprobe/engine"
)

// Options says what to measure. Engine must name a model; everything else has
// useful zero values.
type Options struct {
	Engine  engine.Options
	Adapter string        // applied in both measurements; "" is the base model
	Length  int           // tokens of a completion; default 32
	Time    time.Duration // about how long each measurement takes; default 10 s
}

// Result is what one run measured.
type Result struct {
	Model    string  `json:"model"`
	Device   string  `json:"device"`
	Cores    int     `json:"cores"`
	Slots    int     `json:"slots"`
	Contexts int     `json:"contexts"`
	Threads  int     `json:"threads_per_context"`
	Adapter  string  `json:"adapter"`
	Bare     float64 `json:"bare_tokens_per_second"`   // full batches through the binding, no sampling
	Engine   float64 `json:"engine_tokens_per_second"` // sampled tokens: scheduling, prompts, sampling, text included
	Ratio    float64 `json:"ratio"`

	// The same per second of CPU time, which other work on the machine bears on less.
	BareCPU   float64 `json:"bare_tokens_per_cpu_second"`
	EngineCPU float64 `json:"engine_tokens_per_cpu_second"`
	RatioCPU  float64 `json:"ratio_cpu"`

	Occupancy float64 `json:"occupancy"`
	Prompt    int64   `json:"prompt_tokens"`
	Tokens    int64   `json:"tokens"`
}

// Run measures the engine's throughput and the bare decode rate in turn, bare,
// engine, bare, so that a machine that changes its pace shows.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Length == 0 {
		o.Length = 32
	}
	if o.Time == 0 {
		o.Time = 10 * time.Second
	}
	e, err := engine.Open(ctx, o.Engine)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	before, err := bare(ctx, e, o)
	if err != nil {
		return nil, err
	}
	used := cpuTime()
	counts, took, err := generate(ctx, e, o)
	if err != nil {
		return nil, err
	}
	used = cpuTime() - used
	after, err := bare(ctx, e, o)
	if err != nil {
		return nil, err
	}
	opts := e.Options()
	tokens := float64(counts.Tokens)
	r := &Result{
		Model: e.Info().Description, Device: e.Device(), Cores: runtime.NumCPU(),
		Slots: opts.Slots, Contexts: opts.Contexts, Threads: max(1, opts.Threads/opts.Contexts), Adapter: o.Adapter,
		Bare: (before.second + after.second) / 2, Engine: tokens / took.Seconds(),
		BareCPU: (before.cpuSecond + after.cpuSecond) / 2, EngineCPU: tokens / used.Seconds(),
		Occupancy: counts.Occupancy(), Prompt: counts.PromptTokens, Tokens: counts.Tokens,
	}
	r.Ratio, r.RatioCPU = r.Engine/r.Bare, r.EngineCPU/r.BareCPU
	return r, nil
}

// rate is tokens per second, and per second of CPU time.
type rate struct{ second, cpuSecond float64 }

// cpuTime is what the process has used so far, on all threads.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // cannot fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const promptLength = 40

// bare is the rate of full batches through the binding alone, in as many contexts
// and with as many rows as the engine uses.
func bare(ctx context.Context, e *engine.Engine, o Options) (rate, error) {
	opts := e.Options()
	m, err := llama.OpenModel(e.Files().Model, llama.ModelOptions{GPULayers: gpuLayers(opts)})
	if err != nil {
		return rate{}, err
	}
	defer m.Close()
	var adapter *llama.Adapter
	merged := e.Settings()["adapters"] == "merged" // it costs what the base model costs
	if o.Adapter != "" && !merged {
		if adapter, err = m.OpenAdapter(e.Files().Adapters[o.Adapter]); err != nil {
			return rate{}, err
		}
		defer adapter.Close()
	}
	loops := make([]*bareLoop, opts.Contexts)
	for i := range loops {
		if loops[i], err = newBareLoop(m, adapter, opts); err != nil {
			return rate{}, err
		}
		defer loops[i].context.Close()
	}
	var wg errgroup.Group
	start, used := time.Now(), cpuTime()
	for _, l := range loops {
		wg.Go(func() error { return l.run(ctx, start.Add(o.Time), o.Length) })
	}
	if err := wg.Wait(); err != nil {
		return rate{}, err
	}
	tokens := 0.0
	for _, l := range loops {
		tokens += float64(l.steps * l.rows)
	}
	return rate{tokens / time.Since(start).Seconds(), tokens / (cpuTime() - used).Seconds()}, nil
}

func gpuLayers(o engine.Options) int {
	if o.CPU {
		return 0
	}
	return -1
}

// bareLoop decodes full batches in one context.
type bareLoop struct {
	context *llama.Context
	rows    int
	steps   int
	outputs []int32 // not nil: logits stay on the device
}

// newBareLoop makes a context whose sequences all hold a prompt.
func newBareLoop(m *llama.Model, adapter *llama.Adapter, opts engine.Options) (_ *bareLoop, err error) {
	rows := opts.Slots / opts.Contexts
	c, err := m.NewContext(llama.ContextOptions{
		Sequences: max(rows, 2), Cells: opts.Context, Batch: max(rows, promptLength),
		Threads: max(1, opts.Threads/opts.Contexts), KVType: llama.TypeF16,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = c.Close() // cannot fail
		}
	}()
	if err := c.SetAdapter(adapter, 1); err != nil {
		return nil, err
	}
	var b llama.Batch
	for i := range int32(promptLength) {
		b.Add(100+i, i, 0, i >= promptLength-2)
	}
	if err := c.Decode(&b, nil); err != nil {
		return nil, err
	}
	for s := 1; s < rows; s++ {
		if err := c.Fork(s, 0); err != nil {
			return nil, err
		}
	}
	l := &bareLoop{context: c, rows: rows}
	if !opts.CPU {
		l.outputs = make([]int32, rows)
	}
	return l, nil
}

// run decodes until the deadline, rewinding every length steps.
func (l *bareLoop) run(ctx context.Context, deadline time.Time, length int) error {
	var b llama.Batch
	for time.Now().Before(deadline) && ctx.Err() == nil {
		for k := range length {
			b.Reset()
			for s := range l.rows {
				b.Add(int32(100+(s*7+k)%1000), int32(promptLength+k), int32(s), true)
			}
			if err := l.decode(&b); err != nil {
				return err
			}
			l.steps++
		}
		for s := range l.rows {
			if err := l.context.Remove(s, promptLength); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// decode computes a batch and waits for the device.
func (l *bareLoop) decode(b *llama.Batch) error {
	if l.outputs != nil {
		_, err := l.context.DecodeOnDevice(b, true, l.outputs)
		return err
	}
	if err := l.context.Decode(b, nil); err != nil {
		return err
	}
	_, err := l.context.Logits()
	return err
}

// generate lets the engine serve requests like the study's, thirty completions a
// prompt, without end, and counts what it does in o.Time: full batches are
// compared with full batches.
func generate(ctx context.Context, e *engine.Engine, o Options) (engine.Counts, time.Duration, error) {
	requests := func(yield func(engine.Request) bool) {
		for i := 0; yield(request(i, o)); i++ {
		}
	}
	before := e.Counts()
	start := time.Now()
	for _, err := range e.Generate(ctx, requests) {
		if err != nil {
			return engine.Counts{}, 0, err
		}
		if time.Since(start) >= o.Time {
			break
		}
	}
	return e.Counts().Sub(before), time.Since(start), nil
}

// request is the i-th of the requests, all with different prompts.
func request(i int, o Options) engine.Request {
	r := engine.Request{Adapter: o.Adapter, N: 30, Sampling: engine.DefaultSampling(), MaxTokens: o.Length}
	for k := range promptLength {
		r.Tokens = append(r.Tokens, int32(100+(i*31+k*7)%1500))
	}
	return r
}

// WriteText prints the result as a table.
func (r *Result) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	adapter := r.Adapter
	if adapter == "" {
		adapter = "none"
	}
	fmt.Fprintf(t, "model\t%s\ndevice\t%s, %d cores\nslots\t%d in %d contexts, %d threads each\nadapter\t%s\n",
		r.Model, r.Device, r.Cores, r.Slots, r.Contexts, r.Threads, adapter)
	fmt.Fprintf(t, "bare decode\t%.0f tok/s, %.0f per CPU second\n", r.Bare, r.BareCPU)
	fmt.Fprintf(t, "engine\t%.0f tok/s, %.0f per CPU second, occupancy %.1f %%\n", r.Engine, r.EngineCPU, 100*r.Occupancy)
	fmt.Fprintf(t, "ratio\t%.3f, by CPU time %.3f\n", r.Ratio, r.RatioCPU)
	return t.Flush()
}
