// Package bench measures throughput: what the engine reaches beside what the
// device could do in the same run. A ratio from one run says more than a time.
package bench

import (
	"context"
	"fmt"
	"io"
	"iter"
	"runtime"
	"sync"
	"text/tabwriter"
	"time"

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
	Model     string  `json:"model"`
	Device    string  `json:"device"`
	Cores     int     `json:"cores"`
	Slots     int     `json:"slots"`
	Contexts  int     `json:"contexts"`
	Threads   int     `json:"threads_per_context"`
	Adapter   string  `json:"adapter"`
	Bare      float64 `json:"bare_tokens_per_second"`   // full batches through the binding, no sampling
	Engine    float64 `json:"engine_tokens_per_second"` // sampled tokens: scheduling, prompts, sampling, text included
	Ratio     float64 `json:"ratio"`
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
	counts, took, err := generate(ctx, e, o, before)
	if err != nil {
		return nil, err
	}
	after, err := bare(ctx, e, o)
	if err != nil {
		return nil, err
	}
	opts := e.Options()
	r := &Result{
		Model: e.Info().Description, Device: e.Device(), Cores: runtime.NumCPU(),
		Slots: opts.Slots, Contexts: opts.Contexts, Threads: max(1, opts.Threads/opts.Contexts), Adapter: o.Adapter,
		Bare: (before + after) / 2, Engine: float64(counts.Tokens) / took.Seconds(),
		Occupancy: counts.Occupancy(), Prompt: counts.PromptTokens, Tokens: counts.Tokens,
	}
	r.Ratio = r.Engine / r.Bare
	return r, nil
}

const promptLength = 40

// bare is the rate of full batches through the binding alone, in as many
// contexts and with as many rows as the engine uses, at the engine's contexts.
func bare(ctx context.Context, e *engine.Engine, o Options) (float64, error) {
	opts := e.Options()
	m, err := llama.OpenModel(e.Files().Model, llama.ModelOptions{GPULayers: gpuLayers(opts)})
	if err != nil {
		return 0, err
	}
	defer m.Close()
	var adapter *llama.Adapter
	if o.Adapter != "" {
		if adapter, err = m.OpenAdapter(e.Files().Adapters[o.Adapter]); err != nil {
			return 0, err
		}
		defer adapter.Close()
	}
	rates := make([]float64, opts.Contexts)
	errs := make([]error, opts.Contexts)
	var wg sync.WaitGroup
	for i := range opts.Contexts {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rates[i], errs[i] = bareLoop(ctx, m, adapter, opts, o)
		}()
	}
	wg.Wait()
	sum := 0.0
	for i, r := range rates {
		if errs[i] != nil {
			return 0, errs[i]
		}
		sum += r
	}
	return sum, nil
}

func gpuLayers(o engine.Options) int {
	if o.CPU {
		return 0
	}
	return -1
}

// bareLoop decodes full batches in one context, rewinding every o.Length steps.
func bareLoop(ctx context.Context, m *llama.Model, adapter *llama.Adapter, opts engine.Options, o Options) (float64, error) {
	rows := opts.Slots / opts.Contexts
	c, err := m.NewContext(llama.ContextOptions{
		Sequences: max(rows, 2), Cells: opts.Context, Batch: max(rows, promptLength),
		Threads: max(1, opts.Threads/opts.Contexts), KVType: llama.TypeF16,
	})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetAdapter(adapter, 1); err != nil {
		return 0, err
	}
	var b llama.Batch
	for i := range int32(promptLength) {
		b.Add(100+i, i, 0, i >= promptLength-2)
	}
	if err := c.Decode(&b, nil); err != nil {
		return 0, err
	}
	for s := 1; s < rows; s++ {
		if err := c.Fork(s, 0); err != nil {
			return 0, err
		}
	}
	steps := 0
	start := time.Now()
	for time.Since(start) < o.Time && ctx.Err() == nil {
		for k := range o.Length {
			b.Reset()
			for s := range rows {
				b.Add(int32(100+(s*7+k)%1000), int32(promptLength+k), int32(s), true)
			}
			if err := c.Decode(&b, nil); err != nil {
				return 0, err
			}
			if _, err := c.Logits(); err != nil { // waits for the device
				return 0, err
			}
			steps++
		}
		for s := range rows {
			if err := c.Remove(s, promptLength); err != nil {
				return 0, err
			}
		}
	}
	return float64(steps*rows) / time.Since(start).Seconds(), ctx.Err()
}

// generate lets the engine serve requests like the study's, thirty completions a
// prompt, until about o.Time has passed at the expected rate.
func generate(ctx context.Context, e *engine.Engine, o Options, rate float64) (engine.Counts, time.Duration, error) {
	const n = 30
	total := max(4, int(rate*o.Time.Seconds())/(n*o.Length))
	var requests iter.Seq[engine.Request] = func(yield func(engine.Request) bool) {
		for i := range total {
			r := engine.Request{Adapter: o.Adapter, N: n, Sampling: engine.DefaultSampling(), MaxTokens: o.Length}
			for k := range promptLength {
				r.Tokens = append(r.Tokens, int32(100+(i*31+k*7)%1500))
			}
			if !yield(r) {
				return
			}
		}
	}
	before := e.Counts()
	start := time.Now()
	for _, err := range e.Generate(ctx, requests) {
		if err != nil {
			return engine.Counts{}, 0, err
		}
	}
	return e.Counts().Sub(before), time.Since(start), nil
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
	fmt.Fprintf(t, "bare decode\t%.0f tok/s\nengine\t%.0f tok/s, occupancy %.1f %%\nratio\t%.3f\n",
		r.Bare, r.Engine, 100*r.Occupancy, r.Ratio)
	return t.Flush()
}
