// Package bench measures throughput: what the engine reaches beside what the
// device could do in the same run. A ratio from one run says more than a time.
package bench

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"personaprobe/engine"
	"personaprobe/hidden"
)

// Options says what Run measures. Engine must name a model; everything else has useful
// zero values.
type Options struct {
	Engine  engine.Options
	Adapter string // for all but prompts and hidden states; "" is the base model
	Rows    []int  // sequences of a step; default: 256 and 512, on a CPU what the engine has
	Live    []int  // fewer sequences at the largest of Rows, to see what padding costs
	Context int    // mean length of the sequences; default 300, on a CPU 56
	Prompt  int    // tokens of a prompt; default 60, on a CPU 40
	Repeat  int    // completions in a row's place, one after the other; default 4, on a CPU 2

	// Temperature of the sampling, default 1. Random weights give nearly flat rows; at
	// 0.1 theirs have the spread of a real model's.
	Temperature float32

	// Personas of the hidden-state job, 20 prompts each; default 205, on a CPU 6. Less
	// than 0: no such job.
	Personas int
	Profile  bool // also tell where a step's time goes
}

// Report is what one run measured, with its configuration.
type Report struct {
	Model        string            `json:"model"`
	Device       string            `json:"device"`
	Cores        int               `json:"cores"`
	Settings     map[string]string `json:"settings"` // of the engine that bear on the bytes
	Adapter      string            `json:"adapter"`
	Temperature  float32           `json:"temperature"`
	Context      int               `json:"mean_context"`
	Prompt       int               `json:"prompt_tokens"`
	Contexts     int               `json:"contexts"`
	Threads      int               `json:"threads_per_context"`
	Load         float64           `json:"load_seconds"`
	Copy         float64           `json:"copy_bytes_per_second,omitempty"` // measured in this run
	Matrix       float64           `json:"matrix_operations_per_second,omitempty"`
	Measurements []Measurement     `json:"measurements"`
	Profiles     []Profile         `json:"profiles,omitempty"`
}

// Measurement is one figure with what it can be compared to.
type Measurement struct {
	Name         string  `json:"name"`
	Rows         int     `json:"rows,omitempty"`      // of a step
	Rate         float64 `json:"rate"`                // Unit
	Unit         string  `json:"unit"`                // per second
	Milliseconds float64 `json:"ms"`                  // of a step, a prompt or a switch
	Occupancy    float64 `json:"occupancy,omitempty"` // of the rows, 0 to 1
	PerCPU       float64 `json:"per_cpu_second,omitempty"`
	OfBare       float64 `json:"of_bare,omitempty"` // Rate / that of the decode alone
	Roof         float64 `json:"roof,omitempty"`    // Rate that the device allows
	OfRoof       float64 `json:"of_roof,omitempty"` // Rate / Roof
}

// The names of measurements.
const (
	nameEngine   = "engine"            // all included: scheduling, prompts, sampling, text
	nameBare     = "decode alone"      // full steps without scheduling and sampling
	nameStep     = "step alone"        // on the native path: the step's graph replayed
	nameProducts = "products alone"    // on the native path: the step's matrix products replayed
	nameLive     = "engine, %d live"   // fewer sequences than rows
	namePrompts  = "prompts, one each" // one after the other
	nameStates   = "hidden states"
	nameShared   = "hidden states, prefixes shared"
	nameSwitch   = "adapter switch"
)

func (o *Options) defaults(gpu bool) {
	mean, prompt, personas, repeat := 56, 40, 6, 2
	if gpu {
		mean, prompt, personas, repeat = 300, 60, 205, 4 // repeat: the start and the end are no part of a long run
	}
	for _, d := range []struct {
		value     *int
		byDefault int
	}{{&o.Context, mean}, {&o.Prompt, prompt}, {&o.Personas, personas}, {&o.Repeat, repeat}} {
		if *d.value == 0 {
			*d.value = d.byDefault
		}
	}
	if o.Temperature == 0 {
		o.Temperature = 1
	}
}

// length is how long completions are, so that sequences have the mean length.
func (o *Options) length() int { return 2 * (o.Context - o.Prompt) }

// run is one Run under way.
type run struct {
	Options
	e      *engine.Engine
	roof   *roof // nil on a CPU
	native bool  // our own decoder computes
	merged bool  // adapters are in the weights
	report *Report
}

// Run measures at each number of rows the engine end to end beside the decode alone,
// then prompts, hidden states and the change of adapters.
func Run(ctx context.Context, o Options) (*Report, error) {
	start := time.Now()
	e, err := engine.Open(ctx, o.Engine)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	load := time.Since(start)
	o.defaults(e.GPUs() > 0)
	if o.length() < 1 {
		return nil, fmt.Errorf("%w: a mean context of %d is not longer than the prompt's %d tokens", engine.ErrOptions, o.Context, o.Prompt)
	}
	settings, err := e.Settings()
	if err != nil {
		return nil, err
	}
	native := settings["backend"] == "native"
	r := &run{Options: o, e: e, native: native, merged: native || settings["adapters"] == "merged", report: &Report{
		Model: fmt.Sprintf("%s (%s)", e.Name(), e.Info().Description), Device: e.Device(), Cores: runtime.NumCPU(),
		Adapter: o.Adapter, Temperature: o.Temperature,
		Context: o.Context, Prompt: o.Prompt, Load: load.Seconds(),
	}}
	if e.GPUs() > 0 {
		if r.roof, err = newRoof(e); err != nil {
			return nil, err
		}
		r.report.Copy, r.report.Matrix = r.roof.Copy, r.roof.Matrix
	}
	if len(r.Rows) == 0 {
		r.Rows = []int{e.Options().Slots}
		if e.GPUs() > 0 {
			r.Rows = []int{256, 512}
		}
	}
	for _, rows := range r.Rows {
		if err := r.at(ctx, rows); err != nil {
			return nil, fmt.Errorf("%d rows: %w", rows, err)
		}
	}
	for _, part := range []func(context.Context) error{r.live, r.prompts, r.states, r.adapterSwitch} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	opts := e.Options()
	r.report.Contexts, r.report.Threads = opts.Contexts, max(1, opts.Threads/opts.Contexts)
	r.report.Settings, err = e.Settings() // of the rows measured last
	return r.report, err
}

func (r *run) add(m ...Measurement) { r.report.Measurements = append(r.report.Measurements, m...) }

// cpuTime is what the process has used so far, on all threads.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // cannot fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// spent is what a piece of work took.
type spent struct {
	counts    engine.Counts
	wall, cpu time.Duration
}

// synthetic lets the engine complete prompts of arbitrary tokens, n times each.
func (r *run) synthetic(ctx context.Context, adapter string, length, n, prompts int) (spent, error) {
	sampling := engine.DefaultSampling()
	sampling.Temperature = r.Temperature
	requests := func(yield func(engine.Request) bool) {
		for i := range prompts {
			q := engine.Request{Adapter: adapter, N: n, Sampling: sampling, MaxTokens: length}
			for k := range r.Prompt {
				q.Tokens = append(q.Tokens, int32(100+(i*31+k*7)%1500))
			}
			if !yield(q) {
				return
			}
		}
	}
	before, start, used := r.e.Counts(), time.Now(), cpuTime()
	for _, err := range r.e.Generate(ctx, requests) {
		if err != nil {
			return spent{}, err
		}
	}
	return spent{r.e.Counts().Sub(before), time.Since(start), cpuTime() - used}, nil
}

func (s spent) rate() float64 { return float64(s.counts.Tokens) / s.wall.Seconds() }

// study are prompts as a study has them, of arbitrary tokens: each persona's with 20
// questions, and the layers that are read at their ends.
func study(personas, modelLayers int) (prompts [][]int32, layers []int) {
	const questions, shared, own = 20, 38, 22
	for p := range personas {
		for q := range questions {
			var ids []int32
			for k := range shared + own {
				if k < shared {
					ids = append(ids, int32(100+(p*31+k*7)%1500))
				} else {
					ids = append(ids, int32(100+(q*37+k*11)%1500))
				}
			}
			prompts = append(prompts, ids)
		}
	}
	layers, _ = hidden.DefaultLayers().Of(modelLayers) // of any depth there are some
	return prompts, layers
}
