package analysis

import (
	"fmt"
	"math"
	"testing"
)

// simpsonPairs are five sources within which leakage falls with cosine, and over which
// it rises.
func simpsonPairs() []pair {
	var out []pair
	for g := range 5 {
		for i := range 40 {
			wobble := 0.02 * math.Sin(float64(7*g+5*i))
			x, y := float64(g)+0.9*float64(i)/40+wobble, float64(g)-0.9*float64(i)/40+wobble
			id, source, category := fmt.Sprintf("p%d_%d", g, i), fmt.Sprintf("s%d", g), fmt.Sprintf("c%d", i/5)
			out = append(out, pair{id, source, category, number(x / 6), number((y + 1) / 6)})
		}
	}
	return out
}

// A rho that resampling nearly always lowers is inside its interval, which says how it
// came about, and a note does.
func TestIntervalHoldsItsEstimate(t *testing.T) {
	f := analyse(t, cosineFolder(t, simpsonPairs()), Options{Resamples: 1000, Permutations: 99})
	s := aggregate(f).Spearman
	ci := s.ClusterBootstrap
	if ci.Lower == nil || *ci.Lower > *s.Coefficient || *ci.Upper < *s.Coefficient || ci.Method != methodWidened {
		t.Errorf("rho %v, interval %v to %v, method %q", *s.Coefficient, *ci.Lower, *ci.Upper, ci.Method)
	}
	mustMention(t, "note", "widened", fmt.Sprint(f.Notes))
}
