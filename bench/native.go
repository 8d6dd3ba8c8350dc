package bench

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"personaprobe/engine"
)

// NativeOptions says what to measure on the native path. Engine must name a model.
type NativeOptions struct {
	Engine  engine.Options
	Adapter string // "" is the base model
	Rows    []int  // of a step; default 256 and 512
	Context int    // mean length of the sequences; default 300
	Prompt  int    // tokens of a prompt; default 60
	Repeat  int    // completions in a row's place, one after the other; default 2
}

// NativeResult is what one run measured at one number of rows.
type NativeResult struct {
	Model       string              `json:"model"`
	Device      string              `json:"device"`
	Adapter     string              `json:"adapter"`
	Load        float64             `json:"load_seconds"`
	Switch      float64             `json:"adapter_switch_seconds"`
	Length      int                 `json:"completion_tokens"`
	Rate        float64             `json:"engine_tokens_per_second"` // all included
	Steady      float64             `json:"step_tokens_per_second"`   // the step alone, replayed
	Roof        float64             `json:"products_tokens_per_second"`
	OfRoof      float64             `json:"engine_of_roof"`
	OfSteady    float64             `json:"engine_of_step"`
	Occupancy   float64             `json:"occupancy"`
	Tokens      int64               `json:"tokens"`
	Seconds     float64             `json:"seconds"`
	StepProfile *engine.StepProfile `json:"step"`
}

// RunNative measures the native path at each number of rows: the step, its products
// alone, and the engine end to end on completions whose mean length is Context.
func RunNative(ctx context.Context, o NativeOptions) ([]NativeResult, error) {
	if len(o.Rows) == 0 {
		o.Rows = []int{256, 512}
	}
	if o.Context == 0 {
		o.Context = 300
	}
	if o.Prompt == 0 {
		o.Prompt = 60
	}
	if o.Repeat == 0 {
		o.Repeat = 2
	}
	o.Engine.Backend = engine.BackendNative
	length := 2 * (o.Context - o.Prompt)
	o.Engine.Context = o.Prompt + length
	start := time.Now()
	e, err := engine.Open(ctx, o.Engine)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	load := time.Since(start).Seconds()
	var out []NativeResult
	for _, rows := range o.Rows {
		r, err := nativeAt(ctx, e, o, rows, length)
		if err != nil {
			return out, fmt.Errorf("%d rows: %w", rows, err)
		}
		r.Load = load
		out = append(out, *r)
	}
	return out, nil
}

func nativeAt(ctx context.Context, e *engine.Engine, o NativeOptions, rows, length int) (*NativeResult, error) {
	if err := e.Reserve(rows, o.Prompt+length); err != nil {
		return nil, err
	}
	r := &NativeResult{Model: e.Info().Description, Device: e.Device(), Adapter: o.Adapter, Length: length}
	// The first completions of an adapter pay for merging it.
	start := time.Now()
	if _, _, err := synthetic(ctx, e, o.Adapter, o.Prompt, 1, 1, 2); err != nil {
		return nil, err
	}
	r.Switch = time.Since(start).Seconds()
	const n = 30 // completions of a prompt
	counts, took, err := synthetic(ctx, e, o.Adapter, o.Prompt, length, n, rows*o.Repeat/n)
	if err != nil {
		return nil, err
	}
	r.Tokens, r.Seconds, r.Occupancy = counts.Tokens, took.Seconds(), counts.Occupancy()
	r.Rate = float64(r.Tokens) / r.Seconds
	p, err := e.ProfileStep(o.Context, 20)
	if err != nil {
		return nil, err
	}
	r.StepProfile = p
	r.Steady, r.Roof = float64(rows)/p.Step*1e3, float64(rows)/p.Products*1e3
	r.OfRoof, r.OfSteady = r.Rate/r.Roof, r.Rate/r.Steady
	return r, nil
}

// synthetic lets the engine complete prompts of arbitrary tokens, n times each.
func synthetic(ctx context.Context, e *engine.Engine, adapter string, prompt, length, n, prompts int) (engine.Counts, time.Duration, error) {
	requests := func(yield func(engine.Request) bool) {
		for i := range prompts {
			r := engine.Request{Adapter: adapter, N: n, Sampling: engine.DefaultSampling(), MaxTokens: length}
			for k := range prompt {
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

// WriteNative prints results as a table, each with the kinds of kernels of its step.
func WriteNative(w io.Writer, results []NativeResult) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "rows\tengine tok/s\tstep tok/s\troof tok/s\tof roof\tof step\toccupancy\tstep ms\t")
	for _, r := range results {
		fmt.Fprintf(t, "%d\t%.0f\t%.0f\t%.0f\t%.3f\t%.3f\t%.3f\t%.3f\t\n", r.StepProfile.Rows, r.Rate, r.Steady, r.Roof,
			r.OfRoof, r.OfSteady, r.Occupancy, r.StepProfile.Step)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		fmt.Fprintf(t, "\n%d rows\tms\tGB/s\tTFLOP/s\t\n", r.StepProfile.Rows)
		for _, k := range r.StepProfile.Kinds {
			fmt.Fprintf(t, "%s\t%.3f\t%.0f\t%.0f\t\n", k.Name, k.Milliseconds, k.Bytes/k.Milliseconds/1e6, k.Operations/k.Milliseconds/1e9)
		}
	}
	return t.Flush()
}
