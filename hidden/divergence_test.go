package hidden

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"personaprobe/engine"
)

func distributionOf(logits ...float32) *distribution {
	d := &distribution{}
	d.set(logits)
	d.normalise()
	return d
}

// logsOf gives logits of probabilities.
func logsOf(p ...float64) []float32 {
	out := make([]float32, len(p))
	for i, x := range p {
		out[i] = float32(math.Log(x))
	}
	return out
}

// Values computed apart, with Python's math.log.
func TestDivergencesKnown(t *testing.T) {
	for _, c := range []struct {
		p, q   []float64
		js, kl float64
	}{
		{[]float64{0.5, 0.5}, []float64{0.9, 0.1}, 0.10174922507919676, 0.4394449154672439},
		{[]float64{0.1, 0.2, 0.7}, []float64{0.3, 0.3, 0.4}, 0.051912259238103414, 0.2140768524625325},
	} {
		js, kl := divergences(distributionOf(logsOf(c.p...)...), distributionOf(logsOf(c.q...)...))
		if math.Abs(js-c.js) > 1e-6 || math.Abs(kl-c.kl) > 1e-6 { // the logits are float32
			t.Errorf("%v, %v: %v, %v, want %v, %v", c.p, c.q, js, kl, c.js, c.kl)
		}
	}
	// Disjoint distributions: the bound, and a finite symmetric divergence of logits.
	js, kl := divergences(distributionOf(0, -2000), distributionOf(-2000, 0))
	if math.Abs(js-math.Ln2) > 1e-12 || math.Abs(kl-2000) > 1e-9 {
		t.Errorf("disjoint: %v, want ln 2; %v, want 2000", js, kl)
	}
}

// plainDivergences is the definition, term by term.
func plainDivergences(p, q []float64) (js, kl float64) {
	for i := range p {
		m := (p[i] + q[i]) / 2
		js += p[i]*math.Log(p[i]/m)/2 + q[i]*math.Log(q[i]/m)/2
		kl += p[i]*math.Log(p[i]/q[i])/2 + q[i]*math.Log(q[i]/p[i])/2
	}
	return js, kl
}

// Symmetric, zero for equal distributions, within bounds, unmoved by a constant added
// to all logits, and equal to the definition.
func TestDivergencesProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "n")
		logits := rapid.SliceOfN(rapid.Float32Range(-20, 20), n, n)
		x, y := logits.Draw(t, "x"), logits.Draw(t, "y")
		a, b := distributionOf(x...), distributionOf(y...)
		js, kl := divergences(a, b)
		if js2, kl2 := divergences(b, a); js2 != js || kl2 != kl {
			t.Fatalf("not symmetric: %v %v, %v %v", js, js2, kl, kl2)
		}
		if js < 0 || js > math.Ln2+1e-12 || kl < 0 || js > kl/2+1e-12 { // JS <= J/4: Lin, 1991
			t.Fatalf("js %v, kl %v", js, kl)
		}
		if js, kl := divergences(a, distributionOf(x...)); js > 1e-13 || kl != 0 {
			t.Fatalf("with itself: %v, %v", js, kl)
		}
		wantJS, wantKL := plainDivergences(a.p, b.p)
		if math.Abs(js-wantJS) > 1e-12 || math.Abs(kl-wantKL) > 1e-9*(1+kl) {
			t.Fatalf("%v, %v, the definition gives %v, %v", js, kl, wantJS, wantKL)
		}
	})
}

// The distances are those of the definition, computed from single rows of logits.
func TestDistances(t *testing.T) {
	e := open(t, nil)
	personas, questions := grid(t, 4, 2)
	personas = append(personas, Text{Name: "twin", Text: personas[0].Text})
	for _, adapter := range []string{"", "comedian"} {
		got, err := DistancesOf(context.Background(), e, personas, questions, DistanceOptions{MaxTokens: 7, Adapter: adapter})
		if err != nil {
			t.Fatal(err)
		}
		logits := map[string][][]float32{} // by "persona/question", by token
		for q, question := range questions {
			answer := greedy(t, e, question.Text, 7)
			if !slices.Equal(answer, got.Answers[q].Tokens) {
				t.Fatalf("the answer is %v, want %v", got.Answers[q].Tokens, answer)
			}
			for _, p := range personas {
				ids, err := e.Tokenizer().EncodeChat([]engine.Message{{Role: "system", Content: p.Text}, {Role: "user", Content: question.Text}})
				if err != nil {
					t.Fatal(err)
				}
				for k := range answer {
					one := []engine.Forced{{Prompt: slices.Concat(ids, answer[:k]), Continuation: answer[k : k+1]}}
					if err := e.Logits(context.Background(), one, adapter, func(_, _ int, row []float32) error {
						logits[p.Name+"/"+question.Name] = append(logits[p.Name+"/"+question.Name], slices.Clone(row))
						return nil
					}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if len(got.Pairs) != 10 {
			t.Errorf("%d pairs, want 10", len(got.Pairs))
		}
		for _, pair := range got.Pairs {
			js, kl := 0.0, 0.0
			for q, question := range questions {
				n := float64(len(got.Answers[q].Tokens))
				for k := range got.Answers[q].Tokens {
					p := distributionOf(logits[pair.Row+"/"+question.Name][k]...).p
					r := distributionOf(logits[pair.Target+"/"+question.Name][k]...).p
					a, b := plainDivergences(p, r)
					js, kl = js+a/n/2, kl+b/n/2
				}
			}
			if math.Abs(*pair.Values[0]-js) > 1e-9 || math.Abs(*pair.Values[1]-kl) > 1e-9 {
				t.Errorf("%s and %s: %v, %v, want %v, %v", pair.Row, pair.Target, *pair.Values[0], *pair.Values[1], js, kl)
			}
			if twins := pair.Row == "twin" && pair.Target == personas[0].Name; twins != (*pair.Values[1] == 0) {
				t.Errorf("%s and %s: %v", pair.Row, pair.Target, *pair.Values[1])
			}
		}
	}
}

func greedy(t *testing.T, e *engine.Engine, question string, tokens int) []int32 {
	t.Helper()
	r := engine.Request{Messages: []engine.Message{{Role: "user", Content: question}}, MaxTokens: tokens}
	for c, err := range e.Generate(context.Background(), slices.Values([]engine.Request{r})) {
		if err != nil {
			t.Fatal(err)
		}
		return c.Tokens
	}
	return nil
}

// With chosen targets the distances are the same bytes as with all.
func TestDistancesToTargets(t *testing.T) {
	e := open(t, nil)
	personas, questions := grid(t, 7, 3)
	all, err := DistancesOf(context.Background(), e, personas, questions, DistanceOptions{MaxTokens: 5})
	if err != nil {
		t.Fatal(err)
	}
	some, err := DistancesOf(context.Background(), e, personas, questions, DistanceOptions{MaxTokens: 5, Targets: []string{"comedian", "villain"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(some.Pairs) != 12 {
		t.Errorf("%d pairs", len(some.Pairs))
	}
	for _, p := range some.Pairs {
		i := slices.IndexFunc(all.Pairs, func(q Pair) bool {
			return q.Row == p.Row && q.Target == p.Target || q.Row == p.Target && q.Target == p.Row
		})
		if i < 0 || *all.Pairs[i].Values[0] != *p.Values[0] || *all.Pairs[i].Values[1] != *p.Values[1] {
			t.Errorf("%s and %s differ", p.Row, p.Target)
		}
	}
}

// No tile has more personas than go in step, and every pair is in one.
func TestTiles(t *testing.T) {
	for _, n := range []int{2, 256, 257, 700} {
		for _, targets := range [][]string{nil, {"0", "1", "255"}} {
			if n < 256 && targets != nil {
				continue
			}
			names := make([]string, n)
			for i := range names {
				names[i] = fmt.Sprint(i)
			}
			var pairs []pair
			named, err := pairsOf(names, targets)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range named {
				pairs = append(pairs, pair{slices.Index(names, p.Row), slices.Index(names, p.Target)})
			}
			seen := make([]int, len(pairs))
			for _, tile := range tiles(pairs) {
				if len(tile.members) > engine.LogitsTogether {
					t.Errorf("%d personas: a tile has %d", n, len(tile.members))
				}
				for _, p := range tile.pairs {
					seen[p]++
					if !slices.Contains(tile.members, pairs[p].row) || !slices.Contains(tile.members, pairs[p].target) {
						t.Errorf("%d personas: pair %v is in a tile without it", n, pairs[p])
					}
				}
			}
			if slices.ContainsFunc(seen, func(k int) bool { return k != 1 }) {
				t.Errorf("%d personas: a pair is in no tile or in two", n)
			}
		}
	}
}

func TestDistancesRefuses(t *testing.T) {
	e := open(t, nil)
	personas, questions := grid(t, 3, 1)
	long := []Text{{Name: "long", Text: strings.Repeat("word ", e.Info().Context)}}
	for want, c := range map[string]struct {
		personas, questions []Text
		opts                DistanceOptions
	}{
		"no questions":                 {personas, nil, DistanceOptions{}},
		"give nothing to compare":      {personas[:1], questions, DistanceOptions{}},
		`no group is called "nobody"`:  {personas, questions, DistanceOptions{Targets: []string{"nobody"}}},
		`no adapter is called "ghost"`: {personas, questions, DistanceOptions{Adapter: "ghost"}},
		"is empty or given twice":      {append(personas, personas[0]), questions, DistanceOptions{}},
		"exceeds the model's context":  {append(long, personas...), questions, DistanceOptions{}},
		"answers of -1 tokens":         {personas, questions, DistanceOptions{MaxTokens: -1}},
		`"villain" is given twice`:     {personas, questions, DistanceOptions{Targets: []string{"villain", "villain"}}},
	} {
		if _, err := DistancesOf(context.Background(), e, c.personas, c.questions, c.opts); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// KL has a direction: the first row's distribution gives the weights. Values as above.
func TestKLKnown(t *testing.T) {
	half, skew := logsOf(0.5, 0.5), logsOf(0.9, 0.1)
	for _, c := range []struct {
		p, q []float32
		want float64
	}{
		{half, skew, 0.5108256237659907},
		{skew, half, 0.3680642071684971},
		{logsOf(0.1, 0.2, 0.7), logsOf(0.3, 0.3, 0.4), 0.20077680106635187},
		{[]float32{1, 2, 3}, []float32{1, 2, 3}, 0},
		{[]float32{0, -2000}, []float32{-2000, 0}, 2000}, // q underflows, its logarithm does not
	} {
		if got := KL(c.p, c.q); math.Abs(got-c.want) > 1e-6 || (c.want == 0) != (got == 0) {
			t.Errorf("KL(%v, %v) = %v, want %v", c.p, c.q, got, c.want)
		}
	}
	if got := KL([]float32{float32(math.NaN()), 0}, []float32{0, 0}); !math.IsNaN(got) {
		t.Errorf("KL of no number is %v", got)
	}
}
