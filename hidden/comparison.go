package hidden

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"personaprobe/stats"
)

// Comparison is a table of pairs of groups with one or more measures of how near or
// far they are: a cosine for every layer, or distances of output distributions.
type Comparison struct {
	Measures     []string // "layer_<L>", or MeasureJS and MeasureSymmetricKL
	Pairs        []Pair
	Correlations []Correlation // with leakage; nil unless it was given
}

// Pair is one group compared with another.
type Pair struct {
	Row, Target string
	Values      []*float64 // by measure; nil where it is undefined
	Leakage     *float64   // of the marker from Target to Row; nil if not known
}

// Correlation is Spearman's between a measure and leakage, for all pairs or for those
// with one target.
type Correlation struct {
	Target string // "" for all pairs
	N      int    // pairs with leakage
	Rho    []*float64
	P      []*float64 // two-sided, from Student's t; nil where rho is undefined
}

// CosinesOf compares the groups by cosine at every layer: each with each of the
// targets, or, if there are none, each with each that comes behind it (the matrix is
// symmetric). A cosine with a vector of zero length is undefined.
func CosinesOf(r *Representation, on Centring, targets ...string) (*Comparison, error) {
	c := &Comparison{}
	for k, layer := range r.Layers {
		centred, err := r.At(k, on)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInput, err)
		}
		if k == 0 {
			if c.Pairs, err = pairsOf(centred.names, targets); err != nil {
				return nil, err
			}
		}
		c.Measures = append(c.Measures, layerName(layer))
		units := make(map[string][]float64, len(centred.names))
		for i, name := range centred.names {
			if units[name], err = unit(centred.Row(i)); err != nil && !errors.Is(err, ErrZeroNorm) {
				return nil, fmt.Errorf("layer %d, %s: %w", layer, name, err)
			}
		}
		for i := range c.Pairs {
			p := &c.Pairs[i]
			var value *float64
			if a, b := units[p.Row], units[p.Target]; a != nil && b != nil {
				cosine := dot(a, b)
				value = &cosine
			}
			p.Values = append(p.Values, value)
		}
	}
	return c, nil
}

// pairsOf lists what is compared with what.
func pairsOf(names, targets []string) ([]Pair, error) {
	var pairs []Pair
	if len(targets) == 0 {
		for i, target := range names {
			for _, row := range names[i+1:] {
				pairs = append(pairs, Pair{Row: row, Target: target})
			}
		}
		return pairs, nil
	}
	for i, target := range targets {
		if !slices.Contains(names, target) {
			return nil, fmt.Errorf("%w: no group is called %q", ErrInput, target)
		}
		if slices.Contains(targets[:i], target) {
			return nil, fmt.Errorf("%w: %q is given twice", ErrInput, target)
		}
		for _, row := range names {
			if row != target {
				pairs = append(pairs, Pair{Row: row, Target: target})
			}
		}
	}
	return pairs, nil
}

// Leakage is how much of a source's marker leaked to a persona.
type Leakage struct {
	Persona, Source string
	Rate            float64 // the quotient of two counts, so that equal shares tie
}

// WithLeakage keeps the pairs of which the leakage is known, in its order, and
// correlates every measure with it: over all pairs, and target by target. Leakage
// between groups that were not compared is left out; one that concerns an unknown
// group is an error that wraps ErrInput.
func (c *Comparison) WithLeakage(leakage []Leakage) (*Comparison, error) {
	find := make(map[[2]string]*Pair, 2*len(c.Pairs))
	known := map[string]bool{}
	for i := range c.Pairs {
		p := &c.Pairs[i]
		find[[2]string{p.Row, p.Target}], find[[2]string{p.Target, p.Row}] = p, p
		known[p.Row], known[p.Target] = true, true
	}
	out := &Comparison{Measures: c.Measures}
	var targets []string
	for _, l := range leakage {
		for _, name := range []string{l.Persona, l.Source} {
			if !known[name] {
				return nil, fmt.Errorf("%w: leakage is given of %s to %s, but no group is called %q", ErrInput, l.Source, l.Persona, name)
			}
		}
		p := find[[2]string{l.Persona, l.Source}]
		if p == nil {
			continue
		}
		out.Pairs = append(out.Pairs, Pair{Row: l.Persona, Target: l.Source, Values: p.Values, Leakage: &l.Rate})
		if !slices.Contains(targets, l.Source) {
			targets = append(targets, l.Source)
		}
	}
	for _, target := range append([]string{""}, targets...) {
		one, err := out.correlate(target)
		if err != nil {
			return nil, err
		}
		out.Correlations = append(out.Correlations, one)
	}
	return out, nil
}

func (c *Comparison) correlate(target string) (Correlation, error) {
	out := Correlation{Target: target}
	for k := range c.Measures {
		var values, rates []float64
		for _, p := range c.Pairs {
			if (target == "" || p.Target == target) && p.Values[k] != nil {
				values, rates = append(values, *p.Values[k]), append(rates, *p.Leakage)
			}
		}
		out.N = max(out.N, len(values))
		var rho, p *float64
		s, err := stats.Spearman(values, rates)
		switch {
		case err == nil:
			rho, p = &s.Coefficient, &s.P
		case !errors.Is(err, stats.ErrUndefined):
			return out, fmt.Errorf("%s: %w", strings.TrimSpace(target+" "+c.Measures[k]), err)
		}
		out.Rho, out.P = append(out.Rho, rho), append(out.P, p)
	}
	return out, nil
}
