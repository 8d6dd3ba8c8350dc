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

// NativeReport is what one run measured.
type NativeReport struct {
	Model   string         `json:"model"`
	Device  string         `json:"device"`
	Load    float64        `json:"load_seconds"` // verified files included
	States  *NativeStates  `json:"states"`
	Results []NativeResult `json:"results"`
}

// NativeResult is what was measured at one number of rows.
type NativeResult struct {
	Adapter     string              `json:"adapter"`
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

// NativeStates is how long reading the study's hidden states takes: the last token of
// 205 personas x 20 questions, 38 + 22 tokens each, at layers 10, 15, 20 and 25 of 28.
type NativeStates struct {
	Prompts   int     `json:"prompts"`
	Tokens    int     `json:"tokens_per_prompt"`
	Layers    []int   `json:"layers"`
	Shared    float64 `json:"seconds"`
	NotShared float64 `json:"seconds_without_sharing"`
}

// RunNative measures the native path at each number of rows: the step, its products
// alone, and the engine end to end on completions whose mean length is Context.
func RunNative(ctx context.Context, o NativeOptions) (*NativeReport, error) {
	if len(o.Rows) == 0 {
		o.Rows = []int{256, 512}
	}
	if o.Repeat == 0 {
		o.Repeat = 2
	}
	length, err := lengths(&o.Context, &o.Prompt)
	if err != nil {
		return nil, err
	}
	o.Engine.Backend = engine.BackendNative
	o.Engine.Context = o.Prompt + length
	start := time.Now()
	e, err := engine.Open(ctx, o.Engine)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	load := time.Since(start).Seconds()
	out := &NativeReport{Model: e.Info().Description, Device: e.Device(), Load: load}
	if out.States, err = nativeStates(ctx, e); err != nil {
		return nil, err
	}
	for _, rows := range o.Rows {
		r, err := nativeAt(ctx, e, o, rows, length)
		if err != nil {
			return nil, fmt.Errorf("%d rows: %w", rows, err)
		}
		out.Results = append(out.Results, *r)
	}
	return out, nil
}

// nativeStates reads the states of the study's prompts, of arbitrary tokens.
func nativeStates(ctx context.Context, e *engine.Engine) (*NativeStates, error) {
	const personas, questions, shared, own = 205, 20, 38, 22
	s := &NativeStates{Prompts: personas * questions, Tokens: shared + own}
	n := e.Info().Layers
	for _, l := range []int{10, 15, 20, 25} {
		s.Layers = append(s.Layers, l*n/28)
	}
	var prompts [][]int32
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
	for _, alone := range []bool{false, false, true} { // the first once more, warmed up
		took, err := timeStates(ctx, e, prompts, s.Layers, alone)
		if err != nil {
			return nil, err
		}
		if alone {
			s.NotShared = took
		} else {
			s.Shared = took
		}
	}
	return s, nil
}

func nativeAt(ctx context.Context, e *engine.Engine, o NativeOptions, rows, length int) (*NativeResult, error) {
	if err := e.Reserve(rows, o.Prompt+length); err != nil {
		return nil, err
	}
	r := &NativeResult{Adapter: o.Adapter, Length: length}
	// The first completions of an adapter pay for merging it.
	start := time.Now()
	if _, _, err := synthetic(ctx, e, o.Adapter, o.Prompt, 1, 1, 2); err != nil {
		return nil, err
	}
	r.Switch = time.Since(start).Seconds()
	const n = 32 // completions of a prompt: whole rounds of the rows
	counts, took, err := synthetic(ctx, e, o.Adapter, o.Prompt, length, n, rows*o.Repeat/n)
	if err != nil {
		return nil, err
	}
	r.Tokens, r.Seconds, r.Occupancy = counts.Tokens, took.Seconds(), counts.Occupancy()
	r.Rate = float64(r.Tokens) / r.Seconds
	p, err := e.ProfileStep(o.Context, 100)
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

// WriteText prints the report as tables, each result with the kinds of kernels of its
// step.
func (n *NativeReport) WriteText(w io.Writer) error {
	results := n.Results
	fmt.Fprintf(w, "%s on %s, loaded in %.1f s\n", n.Model, n.Device, n.Load)
	fmt.Fprintf(w, "states of %d prompts of %d tokens at layers %v: %.2f s, %.2f s without shared prefixes\n",
		n.States.Prompts, n.States.Tokens, n.States.Layers, n.States.Shared, n.States.NotShared)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "rows\tengine tok/s\tstep tok/s\troof tok/s\tof roof\tof step\toccupancy\tstep ms\tswitch s\t")
	for _, r := range results {
		fmt.Fprintf(t, "%d\t%.0f\t%.0f\t%.0f\t%.3f\t%.3f\t%.3f\t%.3f\t%.2f\t\n", r.StepProfile.Rows, r.Rate, r.Steady, r.Roof,
			r.OfRoof, r.OfSteady, r.Occupancy, r.StepProfile.Step, r.Switch)
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
