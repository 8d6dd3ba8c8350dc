package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// WriteText prints the report as tables.
func (r *Report) WriteText(w io.Writer) error {
	adapter := r.Adapter
	if adapter == "" {
		adapter = "none"
	}
	fmt.Fprintf(w, "%s on %s, %d cores, loaded in %.1f s\n", r.Model, r.Device, r.Cores, r.Load)
	fmt.Fprintf(w, "adapter %s; prompts of %d tokens, sequences of %d on average; temperature %g; %d contexts of %d threads\n",
		adapter, r.Prompt, r.Context, r.Temperature, r.Contexts, r.Threads)
	for _, key := range slices.Sorted(maps.Keys(r.Settings)) {
		fmt.Fprintf(w, "%s: %s\n", key, r.Settings[key])
	}
	if r.Copy > 0 {
		fmt.Fprintf(w, "measured: copy %.2f TB/s, bf16 products %.0f TFLOP/s\n", r.Copy/1e12, r.Matrix/1e12)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\trows\trate\t\tms\tof alone\troof\tof roof\toccupancy\tper CPU s\t")
	for _, m := range r.Measurements {
		fmt.Fprintf(t, "%s\t%s\t%.0f\t%s\t%.3f\t%s\t%s\t%s\t%s\t%s\t\n", m.Name, orDash("%.0f", float64(m.Rows)), m.Rate, m.Unit, m.Milliseconds,
			orDash("%.3f", m.OfBare), orDash("%.0f", m.Roof), orDash("%.3f", m.OfRoof), orDash("%.3f", m.Occupancy), orDash("%.0f", m.PerCPU))
	}
	for _, p := range r.Profiles {
		fmt.Fprintf(t, "\n%d rows: a step's\tms\tshare\tGB/s\tTFLOP/s\t\n", p.Rows)
		for _, k := range p.Parts {
			fmt.Fprintf(t, "%s\t%.3f\t%.3f\t%s\t%s\t\n", k.Name, k.Milliseconds, k.Share,
				orDash("%.0f", per(k.Bytes, k.Milliseconds)/1e6), orDash("%.0f", per(k.Operations, k.Milliseconds)/1e9))
		}
	}
	return t.Flush()
}

// per is a / b, and 0 where nothing was counted.
func per(a, b float64) float64 {
	if a == 0 {
		return 0
	}
	return a / b
}

// orDash formats a figure, and a figure that was not taken as a dash.
func orDash(format string, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}
