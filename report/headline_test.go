package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"personaprobe/analysis"
)

// related is a study of n personas a source whose cosines and rates (in per cent) are
// given, from the artefacts on.
func related(sources, n int, place func(source, persona int) (cosine float64, rate int)) fixture {
	f := smallFixture()
	f.sources = nil
	for s := range sources {
		f.sources = append(f.sources, fmt.Sprintf("source_%d", s))
	}
	f.categories, f.perCell = []string{"kind"}, n
	f.questions, f.completions, f.seeds = []string{"a?", "b?", "c?", "d?"}, 25, []int{42}
	f.resamples, f.permutate = 300, 199
	f.rate = func(i int) int {
		_, rate := place(min(i/n, sources-1), i%n)
		return rate
	}
	f.changePairs = func(pairs []map[string]any) []map[string]any {
		for i, p := range pairs {
			p["cosine"], _ = place(i/n, i%n)
		}
		return pairs
	}
	return f
}

// shuffled moves neighbours past each other, so that correlations are not exactly 1.
func shuffled(k int) int { return k ^ 1 }

// TestFirstSentence builds studies whose relation over all bystanders and within the
// sources is known, from artefacts to report, and reads the first sentence.
func TestFirstSentence(t *testing.T) {
	const more, less = "the more the marker leaks to it", "the less the marker leaks to it"
	for _, test := range []struct {
		name       string
		fixture    fixture
		says, nots []string
		caveat     bool
	}{
		{"agreement", related(5, 12, func(s, k int) (float64, int) { return 0.05 * float64(shuffled(k)), 8 * k }),
			[]string{"The more similar", more, "over all bystanders and within the sources",
				"above zero in 5 of 5 sources"}, []string{less, "reversed"}, false},
		{"falling agreement", related(5, 12, func(s, k int) (float64, int) {
			return -0.05 * float64(shuffled(k)),
				8 * k
		}),
			[]string{"The more similar", less, "below zero in 5 of 5 sources"}, []string{more, "reversed"}, false},
		{"Simpson", related(5, 12, func(s, k int) (float64,
			int) {
			return 0.15*float64(s) - 0.01*float64(shuffled(k)) - 0.3, 18*s + k
		}),
			[]string{"Across all bystanders leakage rises",
				"but within each of the 5 sources the relation is reversed (ρ −0.9",
				"reflects differences between sources"},
			[]string{less, more, "within the sources: "}, true},
		{"Simpson, falling", related(5, 12, func(s, k int) (float64,
			int) {
			return -0.15*float64(s) + 0.01*float64(shuffled(k)), 18*s + k
		}),
			[]string{"Across all bystanders leakage falls",
				"but within each of the 5 sources the relation is reversed (ρ 0.9"}, []string{more, less}, true},
		{"nothing within", related(5, 12, func(s, k int) (float64,
			int) {
			return 0.15*float64(s) + 0.01*float64(k*7%12), 18*s + k%4
		}),
			[]string{"Across all bystanders", "but within single sources the data do not settle it",
				"may reflect differences between sources"},
			[]string{"reversed"}, true},
		{"sources disagree", related(4, 12, func(s, k int) (float64, int) {
			sign := 1 - 2*(s%2)
			return 0.15*float64(s) + 0.005*float64(sign*shuffled(k)), 22*s + k
		}), []string{"Across all bystanders", "the sources disagree", "above zero in 2 and below zero in 2 of 4"},
			[]string{"reversed"}, true},
		{"within only", related(5, 12, func(s, k int) (float64,
			int) {
			return -0.07*float64(s) + 0.04*float64(shuffled(k)), 12*s + 3*k
		}),
			[]string{"Within the sources the more similar", "the data do not settle it"}, []string{"reversed"}, true},
		{"one persona a source", related(8, 1, func(s, _ int) (float64, int) { return 0.1 * float64(s^1), 10 * s }),
			[]string{"but within single sources ρ is undefined"}, []string{"within the sources:"}, true},
		{"one source", related(1, 12, func(_, k int) (float64, int) { return 0.05 * float64(shuffled(k)), 8 * k }),
			[]string{"source"}, []string{"Across all", "within"}, false},
		{"rho is 1", related(1, 12, func(_, k int) (float64, int) { return 0.05 * float64(k), 8 * k }),
			[]string{"Under the one source, the more similar", more, "is 1.000", "no interval", "permutation p"},
			[]string{"do not settle"}, false},
		{"rho is 1, three personas", related(1, 3, func(_, k int) (float64, int) { return 0.05 * float64(k), 8 * k }),
			[]string{"do not settle", "is 1.000", "permutation p = 0.33"}, []string{"p = <10"}, false},
		{"rho is 1 within, two sources undefined", related(5, 12, func(s, k int) (float64, int) {
			if s > 2 {
				return 0.05 * float64(k), 40
			}
			return 0.05 * float64(k), 8 * k
		}), []string{"above zero in 3 of 3 sources, with ρ 1.00; ρ is undefined in 2 more"}, []string{"reversed"},
			false},
		{"all zero", related(5, 12, func(_, k int) (float64, int) { return 0.05 * float64(k), 0 }),
			[]string{"cannot be said: ρ is undefined"}, []string{more, less}, false},
		{"all the same cosine", related(5, 12, func(_, k int) (float64, int) { return 0.5, 8 * k }),
			[]string{"cannot be said: ρ is undefined"}, []string{more, less}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := test.fixture.report(t)
			md := read(t, dir, markdownFile)
			first := regexp.MustCompile(`(?m)^- (.*)$`).FindStringSubmatch(md)[1]
			t.Log(first)
			for _, s := range test.says {
				if !strings.Contains(first, s) {
					t.Errorf("does not say %q", s)
				}
			}
			for _, s := range test.nots {
				if strings.Contains(first, s) {
					t.Errorf("says %q", s)
				}
			}
			if strings.Contains(md, "**Differences between sources.**") != test.caveat {
				t.Errorf("the caveat on differences between sources: want %v", test.caveat)
			}
		})
	}
}

// TestHeadlineTable goes through every pair of what all bystanders and the sources say:
// the claim without a reservation is only made where both agree.
func TestHeadlineTable(t *testing.T) {
	number := func(v float64) number { return in(&v, two, "rho", "") }
	for _, all := range []call{open, up, down} {
		for _, e := range []evidence{
			{call: up, sources: 3, defined: 3, up: 3}, {call: down, sources: 3, defined: 3, down: 3}, {call: mixed,
				sources: 3, defined: 3, up: 1, down: 2},
			{call: open, sources: 3, defined: 2, up: 1}, {call: none, sources: 3}, {call: alone, sources: 1,
				defined: 1, up: 1},
		} {
			e.lowest, e.highest = number(-0.5), number(0.5)
			text := headline(all, e, say("EVIDENCE")).String()
			t.Logf("%d %d: %s", all, e.call, text)
			claims := strings.HasPrefix(text, "The more similar") || strings.HasPrefix(text, "Under the one source")
			if want := all != open && (all == e.call || e.call == alone); claims != want {
				t.Errorf("claims: %v, want %v", claims, want)
			}
			if !strings.Contains(text, "EVIDENCE") || !strings.HasSuffix(text, ".") {
				t.Error("not a sentence with its evidence")
			}
			if reserved := []string{"but ", "do not settle", "disagree"}; !claims && !slices.ContainsFunc(reserved,
				func(s string) bool { return strings.Contains(text, s) }) {
				t.Error("no reservation")
			}
		}
	}
}

// A correlation counts only if all of its intervals lie on one side of zero.
func TestCallOf(t *testing.T) {
	v := func(x float64) *float64 { return &x }
	ci := func(lo, hi float64) analysis.Interval { return analysis.Interval{Lower: &lo, Upper: &hi} }
	s := &study{full: &analysis.Full{}}
	rho := func(r float64) analysis.Correlation { return analysis.Correlation{Coefficient: &r} }
	for i, test := range []struct {
		p    analysis.Spearman
		want call
	}{
		{analysis.Spearman{}, undefined},
		{analysis.Spearman{Correlation: rho(0.5)}, open},
		{analysis.Spearman{Correlation: rho(0.5), BonettWright: ci(0.1, 0.8)}, up},
		{analysis.Spearman{Correlation: rho(0.5), BonettWright: ci(0.1, 0.8), ClusterBootstrap: ci(-0.1, 0.9)}, open},
		{analysis.Spearman{Correlation: rho(0.5), BonettWright: ci(-0.1, 0.8), ClusterBootstrap: ci(0.4, 0.9)}, open},
		{analysis.Spearman{Correlation: rho(-0.5), BonettWright: ci(-0.8, -0.1), ClusterBootstrap: ci(-0.7, -0.4)},
			down},
		{analysis.Spearman{Correlation: rho(0)}, open},
		{analysis.Spearman{Correlation: rho(1), PermutationP: v(0.001)}, up},
		{analysis.Spearman{Correlation: rho(-1), PermutationP: v(0.001)}, down},
		{analysis.Spearman{Correlation: rho(1), PermutationP: v(0.33)}, open},
		{analysis.Spearman{Correlation: rho(0.9), PermutationP: v(0.001)}, open},
	} {
		if got := s.callOf(test.p); got != test.want {
			t.Errorf("%d: %d, want %d", i, got, test.want)
		}
	}
}
