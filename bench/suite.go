package bench

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"personaprobe/cgo/cudalib"
	"personaprobe/engine"
	"personaprobe/models/gguf"
)

// SuiteOptions says what RunSuite measures. Engine must name a model.
type SuiteOptions struct {
	Engine  engine.Options
	Adapter string // for the end-to-end slice and the switch; "" is the base model
	Rows    []int  // sequences of a step; default 128 and 256, on a CPU 64
	Context int    // mean length of the sequences; default 300
	Prompt  int    // tokens of a prompt; default 60
	Prompts int    // of the hidden-state job; default 512
	Repeat  int    // completions in a row's place, one after the other; default 2
}

// Measurement is one figure with what it can be compared to.
type Measurement struct {
	Name         string  `json:"name"`
	Rows         int     `json:"rows,omitempty"`      // sequences of a step
	Rate         float64 `json:"rate"`                // Unit per second
	Unit         string  `json:"unit"`                //
	Milliseconds float64 `json:"ms"`                  // of a step, a prompt or a switch
	Occupancy    float64 `json:"occupancy,omitempty"` // of the rows, 0 to 1
	Roof         float64 `json:"roof,omitempty"`      // Rate that the device's memory and products allow
	OfRoof       float64 `json:"of_roof,omitempty"`   // Rate / Roof
}

// Suite is what one run measured, with its configuration.
type Suite struct {
	Model        string            `json:"model"`
	Device       string            `json:"device"`
	Cores        int               `json:"cores"`
	Settings     map[string]string `json:"settings"`
	Adapter      string            `json:"adapter"`
	Context      int               `json:"mean_context"`
	Prompt       int               `json:"prompt_tokens"`
	Copy         float64           `json:"copy_bytes_per_second,omitempty"` // measured in this run
	Matrix       float64           `json:"matrix_operations_per_second,omitempty"`
	Measurements []Measurement     `json:"measurements"`
}

func (o *SuiteOptions) defaults() {
	if o.Prompts == 0 {
		o.Prompts = 512
	}
	if o.Repeat == 0 {
		o.Repeat = 2
	}
}

// lengths fills in a mean length of sequences and the tokens of their prompts, and
// returns the completions' length that gives this mean.
func lengths(mean, prompt *int) (completion int, err error) {
	if *mean == 0 {
		*mean = 300
	}
	if *prompt == 0 {
		*prompt = 60
	}
	completion = 2 * (*mean - *prompt)
	if completion < 1 {
		return 0, fmt.Errorf("a mean context of %d is not longer than the prompt's %d tokens", *mean, *prompt)
	}
	return completion, nil
}

// timeStates is how many seconds the last tokens' states of prompts take.
func timeStates(ctx context.Context, e *engine.Engine, prompts [][]int32, layers []int, noSharing bool) (float64, error) {
	start := time.Now()
	err := e.LastStates(ctx, prompts, engine.StateOptions{Layers: layers, NoSharing: noSharing}, func(int, [][]float32) error { return nil })
	return time.Since(start).Seconds(), err
}

// RunSuite measures the parts of a study on one engine: end to end and by parts at
// each number of rows, prompts, hidden states and the change of adapters.
func RunSuite(ctx context.Context, o SuiteOptions) (*Suite, error) {
	o.defaults()
	length, err := lengths(&o.Context, &o.Prompt)
	if err != nil {
		return nil, err
	}
	o.Engine.Context = o.Prompt + length
	e, err := engine.Open(ctx, o.Engine)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	s := &Suite{Model: e.Info().Description, Device: e.Device(), Cores: runtime.NumCPU(), Adapter: o.Adapter, Context: o.Context, Prompt: o.Prompt}
	var r *roof
	if e.GPUs() > 0 {
		if r, err = newRoof(e); err != nil {
			return nil, err
		}
		s.Copy, s.Matrix = r.Copy, r.Matrix
	}
	if len(o.Rows) == 0 {
		o.Rows = []int{64}
		if e.GPUs() > 0 {
			o.Rows = []int{128, 256}
		}
	}
	for _, rows := range o.Rows {
		m, err := suiteRows(ctx, e, &o, rows, length, r)
		if err != nil {
			return nil, fmt.Errorf("%d rows: %w", rows, err)
		}
		s.Measurements = append(s.Measurements, m...)
	}
	for _, part := range []func(context.Context, *engine.Engine, *SuiteOptions) ([]Measurement, error){prefill, hiddenStates, adapterSwitch} {
		m, err := part(ctx, e, &o)
		if err != nil {
			return nil, err
		}
		s.Measurements = append(s.Measurements, m...)
	}
	s.Settings = e.Settings()
	return s, nil
}

// suiteRows is a slice of a study, and where its steps' time went.
func suiteRows(ctx context.Context, e *engine.Engine, o *SuiteOptions, rows, length int, r *roof) ([]Measurement, error) {
	if err := e.Reserve(rows, o.Prompt+length); err != nil {
		return nil, err
	}
	if _, _, err := synthetic(ctx, e, o.Adapter, o.Prompt, 2, 1, 1); err != nil { // the adapter is in place
		return nil, err
	}
	const n = 30 // completions of a prompt
	counts, wall, err := synthetic(ctx, e, o.Adapter, o.Prompt, length, n, max(1, rows*o.Repeat/n))
	if err != nil {
		return nil, err
	}
	steps := float64(max(counts.Steps, 1))
	took := wall * time.Duration(e.Options().Contexts) // contexts step side by side, and so do their times
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 / steps }
	end := Measurement{Name: "end to end", Rows: rows, Unit: "tok/s", Rate: float64(counts.Tokens) / wall.Seconds(),
		Milliseconds: ms(took), Occupancy: counts.Occupancy()}
	if r != nil {
		end.Roof = float64(rows) / r.step(rows, o.Context)
		end.OfRoof = end.Rate / end.Roof
	}
	out := []Measurement{end}
	if counts.Decoding > 0 {
		decode := Measurement{Name: "decode alone", Rows: rows, Unit: "tok/s", Milliseconds: ms(counts.Decoding)}
		decode.Rate = float64(rows) / decode.Milliseconds * 1e3
		if r != nil {
			decode.Roof = end.Roof
			decode.OfRoof = decode.Rate / decode.Roof
		}
		choose := Measurement{Name: "sampling", Rows: rows, Unit: "tok/s", Milliseconds: ms(counts.Choosing)}
		choose.Rate = float64(rows) / choose.Milliseconds * 1e3 // of the step's time
		rest := Measurement{Name: "beside decode", Rows: rows, Unit: "tok/s", Milliseconds: max(ms(took-counts.Decoding), 1e-3)}
		rest.Rate = float64(rows) / rest.Milliseconds * 1e3 // prompts, sampling, bookkeeping
		out = append(out, decode, choose, rest)
	}
	return out, nil
}

func prefill(ctx context.Context, e *engine.Engine, o *SuiteOptions) ([]Measurement, error) {
	prompts := o.Prompts
	counts, took, err := synthetic(ctx, e, "", o.Prompt, 1, 1, prompts)
	if err != nil {
		return nil, err
	}
	return []Measurement{{Name: "prompts", Unit: "tok/s", Rate: float64(counts.PromptTokens) / took.Seconds(), Milliseconds: took.Seconds() * 1e3 / float64(prompts)}}, nil
}

// hiddenStates reads four layers at the last tokens of prompts that share nothing and
// of prompts in families as a study has them: one persona, many questions.
func hiddenStates(ctx context.Context, e *engine.Engine, o *SuiteOptions) ([]Measurement, error) {
	layers := studyLayers(e.Info().Layers)
	var out []Measurement
	for _, noSharing := range []bool{true, false} {
		prompts := make([][]int32, o.Prompts)
		for i := range prompts {
			for k := range o.Prompt {
				family := i / 20
				if k >= o.Prompt/2 {
					family = i
				}
				prompts[i] = append(prompts[i], int32(100+(family*31+k*7)%1500))
			}
		}
		took, err := timeStates(ctx, e, prompts, layers, noSharing)
		if err != nil {
			return nil, err
		}
		name := "hidden states"
		if !noSharing {
			name += ", prefixes shared"
		}
		out = append(out, Measurement{Name: name, Unit: "prompts/s", Rate: float64(len(prompts)) / took, Milliseconds: took * 1e3 / float64(len(prompts))})
	}
	return out, nil
}

// studyLayers are the study's layers, those that the model has.
func studyLayers(layers int) []int {
	out := slices.DeleteFunc([]int{10, 15, 20, 25}, func(l int) bool { return l >= layers })
	if len(out) == 0 {
		return []int{layers / 2}
	}
	return out
}

// adapterSwitch is how much longer two tokens take after the adapter has changed, where
// adapters are merged into the weights; elsewhere a change costs nothing.
func adapterSwitch(ctx context.Context, e *engine.Engine, o *SuiteOptions) ([]Measurement, error) {
	settings := e.Settings()
	if o.Adapter == "" || settings["adapters"] != "merged" && settings["backend"] != "native" {
		return nil, nil
	}
	once := func(adapter string) (time.Duration, error) {
		_, took, err := synthetic(ctx, e, adapter, o.Prompt, 2, 1, 1)
		return took, err
	}
	if _, err := once(""); err != nil {
		return nil, err
	}
	changed, err := once(o.Adapter)
	if err != nil {
		return nil, err
	}
	again, err := once(o.Adapter)
	if err != nil {
		return nil, err
	}
	took := max(changed-again, 0).Seconds()
	return []Measurement{{Name: "adapter switch", Unit: "switches/s", Rate: 1 / max(took, 1e-6), Milliseconds: took * 1e3}}, nil
}

// roof computes what a device can do for a model from its measured rates.
type roof struct {
	cudalib.Rates
	weights    float64 // bytes that a step reads at least
	operations float64 // of its products, per row
	cell       float64 // bytes of the cache per sequence and token
}

func newRoof(e *engine.Engine) (*roof, error) {
	dir, err := cudalib.FindDir()
	if err != nil {
		return nil, err
	}
	k, err := cudalib.OpenKernels(dir)
	if err != nil {
		return nil, err
	}
	rates, err := k.Measure()
	if err != nil {
		return nil, err
	}
	f, err := gguf.Open(e.Files().Model)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &roof{Rates: rates}
	tied := f.Tensor("output.weight") == nil
	for _, t := range f.Tensors {
		if len(t.Shape) == 2 && (t.Name != "token_embd.weight" || tied) { // else it is only looked up
			r.weights += float64(t.Bytes())
			r.operations += 2 * float64(t.Elements())
		}
	}
	i := e.Info()
	r.cell = float64(2 * 2 * i.Layers * (i.Hidden / i.Heads * i.KVHeads))
	return r, nil
}

// step is the least time in seconds of a step of rows whose sequences have so many
// tokens: the products at the memory's or the multipliers' rate, and the cache read.
func (r *roof) step(rows, tokens int) float64 {
	return max(r.weights/r.Copy, r.operations*float64(rows)/r.Matrix) + float64(rows*tokens)*r.cell/r.Copy
}

// WriteText prints the suite as a table.
func (s *Suite) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s on %s, %d cores; adapter %q; prompts of %d tokens, mean context %d\n", s.Model, s.Device, s.Cores, s.Adapter, s.Prompt, s.Context)
	for _, key := range slices.Sorted(keys(s.Settings)) {
		fmt.Fprintf(w, "%s: %s\n", key, s.Settings[key])
	}
	if s.Copy > 0 {
		fmt.Fprintf(w, "measured: copy %.2f TB/s, bf16 products %.0f TFLOP/s\n", s.Copy/1e12, s.Matrix/1e12)
	}
	fmt.Fprintln(t, "\trows\trate\t\tms\toccupancy\troof\tof roof\t")
	for _, m := range s.Measurements {
		fmt.Fprintf(t, "%s\t%s\t%.0f\t%s\t%.3f\t%s\t%s\t%s\t\n", m.Name, orDash("%.0f", float64(m.Rows)), m.Rate, m.Unit, m.Milliseconds,
			orDash("%.3f", m.Occupancy), orDash("%.0f", m.Roof), orDash("%.3f", m.OfRoof))
	}
	return t.Flush()
}

// orDash formats a figure, and a figure that was not taken as a dash.
func orDash(format string, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

func keys(m map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
