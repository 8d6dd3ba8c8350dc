package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// ErrFile marks a file that is no result of bench.
var ErrFile = errors.New("not a result of bench --json")

// Read reads a result that was written as JSON.
func Read(path string) (*Report, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &Report{}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrFile, err)
	}
	if len(s.Measurements) == 0 {
		return nil, fmt.Errorf("%s: %w: it has no measurements", path, ErrFile)
	}
	return s, nil
}

// Compare prints the figures of two results side by side, b relative to a. Figures
// that only one of them has are listed with a dash. What differs in their
// configurations comes first, because it may explain the rest.
func Compare(w io.Writer, a, b *Report) error {
	for _, d := range []struct{ what, a, b string }{
		{"model", a.Model, b.Model}, {"device", a.Device, b.Device}, {"adapter", a.Adapter, b.Adapter},
		{"temperature", fmt.Sprint(a.Temperature), fmt.Sprint(b.Temperature)}, {"prompts", fmt.Sprint(a.Prompt), fmt.Sprint(b.Prompt)},
		{"cores", fmt.Sprint(a.Cores), fmt.Sprint(b.Cores)}, {"mean context", fmt.Sprint(a.Context), fmt.Sprint(b.Context)},
		{"settings", fmt.Sprint(a.Settings), fmt.Sprint(b.Settings)},
	} {
		if d.a != d.b {
			fmt.Fprintf(w, "%s differs: %s / %s\n", d.what, d.a, d.b)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\trows\tA\tB\t\tB/A\t")
	for _, m := range a.Measurements {
		if n := b.find(m.Name, m.Rows); n != nil {
			fmt.Fprintf(t, "%s\t%s\t%.0f\t%.0f\t%s\t%.3f\t\n", m.Name, orDash("%.0f", float64(m.Rows)), m.Rate, n.Rate, m.Unit, n.Rate/m.Rate)
		} else {
			fmt.Fprintf(t, "%s\t%s\t%.0f\t-\t%s\t-\t\n", m.Name, orDash("%.0f", float64(m.Rows)), m.Rate, m.Unit)
		}
	}
	for _, n := range b.Measurements {
		if a.find(n.Name, n.Rows) == nil {
			fmt.Fprintf(t, "%s\t%s\t-\t%.0f\t%s\t-\t\n", n.Name, orDash("%.0f", float64(n.Rows)), n.Rate, n.Unit)
		}
	}
	return t.Flush()
}

func (r *Report) find(name string, rows int) *Measurement {
	for i := range r.Measurements {
		if m := &r.Measurements[i]; m.Name == name && m.Rows == rows {
			return m
		}
	}
	return nil
}
