package hidden

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"personaprobe/internal/plaintext"
)

// WriteText writes the table for people: a line per pair and a column per measure,
// and below the correlations with leakage.
func (c *Comparison) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	line := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) }
	head := []string{"group", "with"}
	if c.Correlations != nil {
		head = append(head, "leakage")
	}
	line(append(head, c.Measures...)...)
	for _, p := range c.Pairs {
		cells := []string{p.Row, p.Target}
		if c.Correlations != nil {
			cells = append(cells, show(p.Leakage))
		}
		for _, v := range p.Values {
			cells = append(cells, show(v))
		}
		line(cells...)
	}
	if c.Correlations == nil {
		return t.Flush()
	}
	line()
	line(append([]string{"Spearman with leakage", "", "pairs"}, c.Measures...)...)
	for _, r := range c.Correlations {
		cells := []string{orAll(r.Target), "", strconv.Itoa(r.N)}
		for _, v := range r.Rho {
			cells = append(cells, show(v))
		}
		line(cells...)
	}
	return t.Flush()
}

func orAll(target string) string {
	if target == "" {
		return "all"
	}
	return target
}

func show(v *float64) string {
	if v == nil {
		return "-"
	}
	return strconv.FormatFloat(*v, 'f', 4, 64)
}

// WriteCSV writes the pairs with full precision: columns group, with, leakage and the
// measures. An undefined value is an empty cell. The correlations are not in it. A name
// that a spreadsheet would run as a formula gets an apostrophe.
func (c *Comparison) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(append([]string{"group", "with", "leakage"}, c.Measures...)); err != nil {
		return err
	}
	for _, p := range c.Pairs {
		cells := []string{plaintext.Cell(p.Row), plaintext.Cell(p.Target), exact(p.Leakage)}
		for _, v := range p.Values {
			cells = append(cells, exact(v))
		}
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func exact(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}

// jsonComparison is the table as JSON.
type jsonComparison struct {
	Pairs    []map[string]any `json:"pairs"`
	Spearman []map[string]any `json:"spearman,omitempty"`
}

// WriteJSON writes pairs and correlations as one JSON object:
//
//	{"pairs": [{"group", "with", "leakage", "layer_10": ...}],
//	 "spearman": [{"with", "n", "layer_10": {"rho", "p"}}]}
//
// "with" is null for all pairs; what is undefined is null.
func (c *Comparison) WriteJSON(w io.Writer) error {
	out := jsonComparison{Pairs: []map[string]any{}}
	for _, p := range c.Pairs {
		one := map[string]any{"group": p.Row, "with": p.Target}
		if c.Correlations != nil {
			one["leakage"] = p.Leakage
		}
		for k, m := range c.Measures {
			one[m] = p.Values[k]
		}
		out.Pairs = append(out.Pairs, one)
	}
	for _, r := range c.Correlations {
		one := map[string]any{"with": nil, "n": r.N}
		if r.Target != "" {
			one["with"] = r.Target
		}
		for k, m := range c.Measures {
			one[m] = map[string]any{"rho": r.Rho[k], "p": r.P[k]}
		}
		out.Spearman = append(out.Spearman, one)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(out)
}
