package analysis

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteText writes the main numbers for a terminal, and all that is missing.
func (f *Full) WriteText(w io.Writer) error {
	var b strings.Builder
	f.writeSources(&b)
	f.writeLayers(&b)
	f.writeFacts(&b)
	for _, m := range f.Missing {
		fmt.Fprintf(&b, "missing: %s: %s\n", m.What, m.Effect)
	}
	for _, note := range f.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// columns starts a table whose first column is flush left.
func columns(b *strings.Builder, head ...string) *tabwriter.Writer {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(head, "\t"))
	return t
}

func (f *Full) writeSources(b *strings.Builder) {
	if len(f.BySource) == 0 {
		return
	}
	fmt.Fprintf(b, "Leakage to bystanders, %% of completions (%.0f %% intervals)\n", 100*f.Settings.Level)
	head := []string{"source", "n", "mean", "interval", "categories differ: H, p", "seeds agree: ICC"}
	if len(f.ICCAdapters) > 0 {
		head = append(head, "adapters agree: ICC")
	}
	t := columns(b, head...)
	for source, s := range f.BySource.All() {
		k, _ := f.KruskalWallis.Get(source)
		icc, _ := f.ICC.Get(source)
		adapters, _ := f.ICCAdapters.Get(source)
		ci := s.CrossedCI
		if ci.Lower == nil {
			ci = s.PersonaCI
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s, %s\t%s %s", source, s.N, scaled(s.Mean, 100, "%.1f"), between(ci, 100, "%.1f"),
			scaled(k.H, 1, "%.1f"), scaled(k.P, 1, "%.2g"), scaled(icc.ICC, 1, "%.3f"), between(icc.CI, 1, "%.2f"))
		if len(f.ICCAdapters) > 0 {
			fmt.Fprintf(t, "\t%s %s", scaled(adapters.ICC, 1, "%.3f"), between(adapters.CI, 1, "%.2f"))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	b.WriteByte('\n')
}

func (f *Full) writeLayers(b *strings.Builder) {
	if len(f.Layers) == 0 {
		return
	}
	fmt.Fprintf(b, "Cosine and leakage, Spearman's rho (* largest)\n")
	t := columns(b, "layer", "n", "rho", "Bonett-Wright", "cells resampled", "p", "p permuted", "p Holm")
	for name, l := range f.Layers.All() {
		s := l.Aggregate.Spearman
		if f.BestLayer != nil && name == *f.BestLayer {
			name += " *"
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", strings.TrimPrefix(name, "layer_"), s.N, scaled(s.Coefficient, 1, "%.3f"),
			between(s.BonettWright, 1, "%.2f"), between(s.ClusterBootstrap, 1, "%.2f"),
			scaled(s.P, 1, "%.2g"), scaled(s.PermutationP, 1, "%.2g"), scaled(s.Holm, 1, "%.2g"))
	}
	t.Flush()
	f.writePartial(b)
	b.WriteByte('\n')
}

// writePartial names the correlation that holds all covariates fixed.
func (f *Full) writePartial(b *strings.Builder) {
	if f.BestLayer == nil {
		return
	}
	var names []string
	for name := range f.Covariates.All() {
		names = append(names, name)
	}
	all := strings.Join(names, "+")
	l, _ := f.Layers.Get(*f.BestLayer)
	c, ok := l.Aggregate.Partial.Get(all)
	if !ok {
		return
	}
	fmt.Fprintf(b, "%s with %s held fixed: rho %s, p %s, n %d\n", *f.BestLayer, all, scaled(c.Coefficient, 1, "%.3f"), scaled(c.P, 1, "%.2g"), c.N)
}

func (f *Full) writeFacts(b *strings.Builder) {
	for i, w := range []KendallW{f.KendallWSources, f.KendallW} {
		if w.W != nil && (i == 0 || w.NumJudges < f.KendallWSources.NumJudges) {
			fmt.Fprintf(b, "Kendall's W of %d sources over %d categories: %.3f, p %.2g\n", w.NumJudges, w.NumItems, *w.W, *w.P)
		}
	}
	if f.AnchorMaxDrift != nil {
		fmt.Fprintf(b, "Largest drift of an anchor: %.1f points\n", 100**f.AnchorMaxDrift)
	}
	if o := f.Ocean; o != nil && f.BestLayer != nil {
		l, _ := o.ByLayer.Get(*f.BestLayer)
		fmt.Fprintf(b, "Big Five beyond cosine at %s: F %s, p %s; share of rank variance predicted in other sources: %s with, %s without\n",
			*f.BestLayer, scaled(l.Traits.F, 1, "%.2f"), scaled(l.Traits.P, 1, "%.2g"),
			scaled(l.Traits.BySource.Full, 1, "%.3f"), scaled(l.Traits.BySource.Cosine, 1, "%.3f"))
	}
	if c := f.Compute; c != nil {
		fmt.Fprintf(b, "Cost: %d completions, %.1f minutes, %.2f GPU-hours%s\n", c.Completions, c.WallMinutes, c.GPUHours, on(c.Device))
	}
}

func on(device string) string {
	if device == "" {
		return ""
	}
	return " on " + device
}

// scaled is factor times v in the format, or a dash.
func scaled(v *float64, factor float64, format string) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, factor**v)
}

func between(i Interval, factor float64, format string) string {
	if i.Lower == nil {
		return "-"
	}
	return fmt.Sprintf("["+format+", "+format+"]", factor**i.Lower, factor**i.Upper)
}

// WriteText writes the verdicts for a terminal: every claim that does not agree, and
// the counts.
func (r *ClaimsReport) WriteText(w io.Writer) error {
	var b strings.Builder
	if r.Disagree > 0 {
		t := columns(&b, "where", "subject", "kind", "claimed", "data", "difference")
		for _, c := range r.Results {
			if c.Verdict != Disagrees {
				continue
			}
			difference := figure(*c.Difference, c.Decimals+2)
			if *c.Difference >= 0 {
				difference = "+" + difference
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s%s%s\t%s%s\t%s\n", c.Where, c.Subject, c.Kind,
				strings.TrimPrefix(c.Relation+" ", "= "), figure(c.Claimed, c.Decimals), c.unit(),
				figure(*c.Data, c.Decimals+2), c.unit(), difference)
		}
		t.Flush()
		b.WriteByte('\n')
	}
	for _, c := range r.Results {
		if c.Verdict == Unavailable {
			fmt.Fprintf(&b, "unavailable: %s: %s of %s: %s\n", c.Where, c.Kind, c.Subject, c.Reason)
		}
	}
	t := columns(&b, "kind", "agree", "disagree", "unavailable")
	for _, k := range []struct {
		name  string
		tally ClaimTally
	}{{kindCosine, r.Cosine}, {kindLeakage, r.Leakage}, {kindStatistic, r.Statistics}} {
		if k.tally != (ClaimTally{}) {
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\n", k.name, k.tally.Agree, k.tally.Disagree, k.tally.Unavailable)
		}
	}
	t.Flush()
	if r.Layer != "" {
		fmt.Fprintf(&b, "cosines compared with %s\n", r.Layer)
	}
	if r.Analysis != "" {
		fmt.Fprintf(&b, "data: %s\n", r.Analysis)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// figure is v with so many decimals. Where these would be mostly zeros (1e-36 has 36) it
// is in scientific notation, or as short as it can be.
func figure(v float64, decimals int) string {
	const most, tiny = 8, 1e-4
	switch {
	case decimals <= most:
		return strconv.FormatFloat(v, 'f', decimals, 64)
	case math.Abs(v) < tiny:
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func (c ClaimResult) unit() string {
	if c.Percent {
		return "%"
	}
	return ""
}
