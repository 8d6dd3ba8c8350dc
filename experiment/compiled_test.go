package experiment

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestDescribeAgainstTheTextbook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(1, 600).Draw(t, "total")
		found := rapid.SliceOfN(rapid.IntRange(0, total), 1, 20).Draw(t, "found")
		var rates []Rate
		mean := 0.0
		for _, k := range found {
			rates = append(rates, Rate{k, total})
			mean += float64(k) / float64(total) / float64(len(found))
		}
		variance := 0.0
		for _, k := range found {
			d := float64(k)/float64(total) - mean
			variance += d * d / float64(len(found))
		}
		got := describe(rates)
		if math.Abs(got.Mean-mean) > 1e-12 || math.Abs(got.Std-math.Sqrt(variance)) > 1e-7 || got.N != len(found) ||
			got.Min != float64(slices.Min(found))/float64(total) || got.Max != float64(slices.Max(found))/float64(total) {
			t.Fatalf("%v of %d: %+v, want mean %v, std %v", found, total, got, mean, math.Sqrt(variance))
		}
	})
	// 1 to 5 of 10: mean 0.3, population standard deviation sqrt(2)/10.
	got := describe([]Rate{{1, 10}, {2, 10}, {3, 10}, {4, 10}, {5, 10}})
	if want := (CategoryStats{0.3, 0.1, 0.5, math.Sqrt2 / 10, 5}); math.Abs(got.Std-want.Std) > 1e-15 || got.Mean != want.Mean || got.N != 5 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := describe([]Rate{{1, 3}, {1, 3}, {1, 3}}); got.Std != 0 {
		t.Errorf("equal rates have a spread of %v", got.Std)
	}
}

// summary.json and compiled_analysis.json follow from the marker counts.
func TestSummariesFollowFromTheCounts(t *testing.T) {
	in := makeInputs(t, smallPlan())
	dir := t.TempDir()
	summary, err := Run(context.Background(), dir, &fakeModel{}, in, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var compiled Compiled
	readTestJSON(t, filepath.Join(dir, compiledFile), &compiled)
	pooled := make(map[string]map[string]Rate)
	for _, shard := range in.Study.Shards() {
		source := shard.Adapter.Source
		var evals Ordered[PersonaEval]
		readTestJSON(t, filepath.Join(dir, shard.Name(), evalFile), &evals)
		var s ShardSummary
		readTestJSON(t, filepath.Join(dir, shard.Name(), summaryFile), &s)
		sum, most := 0.0, 0.0
		byCategory := make(map[string]float64)
		raw, _ := compiled.RawRates.Get(source)
		rates, _ := raw.Get(shard.Key())
		for id, e := range evals.All() {
			if rate, ok := rates.Get(id); !ok || rate != e.Rate {
				t.Errorf("%s, %s: raw rate %v, want %v", shard.Name(), id, rate, e.Rate)
			}
			if length, _ := s.TokenLengths.Get(id); length < 5 {
				t.Errorf("%s: %d tokens", id, length)
			}
			if id == "anchor_"+source && s.SourceMarkerRate != e.Rate {
				t.Errorf("%s: source rate %v, want %v", shard.Name(), s.SourceMarkerRate, e.Rate)
			}
			if e.Category == AnchorCategory {
				continue
			}
			sum, most = sum+e.Rate, max(most, e.Rate)
			byCategory[e.Category] += e.Rate / 2
			if pooled[source] == nil {
				pooled[source] = make(map[string]Rate)
			}
			pooled[source][e.Category] = pooled[source][e.Category].plus(Rate{e.Found, e.Total})
		}
		if s.Seed != shard.Seed || s.Source != source || s.NumPersonas != 6 || s.NumBystanders != 4 || s.NumAnchors != 2 ||
			s.MaxBystander != most || math.Abs(s.MeanBystander-sum/4) > 1e-15 || s.NumTokens == 0 {
			t.Errorf("%s: summary %+v, want mean %v, max %v", shard.Name(), s, sum/4, most)
		}
		for c, want := range byCategory {
			if got, _ := s.CategorySummary.Get(c); math.Abs(got.Mean-want) > 1e-15 || got.N != 2 {
				t.Errorf("%s, %s: %+v, want mean %v", shard.Name(), c, got, want)
			}
		}
	}
	for source, cells := range pooled {
		all, _ := compiled.CategorySummary.Get(source)
		for c, want := range cells {
			if got, _ := all.Get(c); math.Abs(got.Mean-want.Value()) > 1e-15 || got.N != 4 {
				t.Errorf("%s, %s: compiled %+v, want mean %v of 4", source, c, got, want.Value())
			}
			if summary.Cells[source][c] != want {
				t.Errorf("%s, %s: summary %v, want %v", source, c, summary.Cells[source][c], want)
			}
		}
	}
}
