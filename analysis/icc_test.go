package analysis

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"personaprobe/stats"
)

// nested writes a study with a source "two" of two adapters that order the personas
// opposite ways, and a source "one" of one adapter, with three sampling seeds that
// hardly matter. It returns the rates of "two" as (adapters, personas, seeds).
func nested(t *testing.T) (dir string, rates [2][8][3]float64) {
	t.Helper()
	dir = t.TempDir()
	found := func(adapter, p, k int) int {
		base := 10 * (p + 1)
		if adapter == 1 {
			base = 10 * (8 - p)
		}
		return base + (3*p+5*k)%3
	}
	for k, seed := range []int{42, 137, 256} {
		for adapter := range 2 {
			for _, source := range []string{"two", "one"} {
				folder := fmt.Sprintf("two_t%d_seed%d", adapter+1, seed)
				if source == "one" {
					folder = fmt.Sprintf("one_seed%d", seed)
				}
				evals := map[string]any{"anchor_two": tree{"found": 50 + 20*adapter, "total": 100, "category": "anchor", "source": "all"}}
				for p := range 8 {
					n := found(adapter, p, k)
					if source == "two" {
						rates[adapter][p][k] = float64(n) / 100
					}
					evals[fmt.Sprintf("%s_%d", source, p)] = tree{"found": n, "total": 100, "category": fmt.Sprintf("c%d", p%2), "source": source}
				}
				writeFile(t, filepath.Join(dir, folder, evalFile), evals)
			}
		}
	}
	return dir, rates
}

func iccOf(t *testing.T, table [][]float64) float64 {
	t.Helper()
	r, err := stats.ICC(table, stats.ICC31)
	if err != nil {
		t.Fatal(err)
	}
	return r.Coefficient
}

// Sampling seeds are nested in adapters: seeds agree within each of two adapters that
// contradict each other, and only icc_adapters shows that.
func TestAdaptersAreNotSeeds(t *testing.T) {
	dir, rates := nested(t)
	opts := quick
	opts.Anchors = &AnchorReference{Rates: map[[2]string]float64{{"two", "two"}: 0.6, {"one", "two"}: 0.7}}
	f := analyse(t, dir, opts)
	within, _ := f.ICC.Get("two")
	means := make([][]float64, 8)
	for p := range means {
		for a := range 2 {
			means[p] = append(means[p], (rates[a][p][0]+rates[a][p][1]+rates[a][p][2])/3)
		}
	}
	for a := range 2 {
		var table [][]float64
		for p := range 8 {
			table = append(table, rates[a][p][:])
		}
		one, _ := within.ByAdapter.Get(fmt.Sprintf("t%d", a+1))
		if want := iccOf(t, table); one.ICC == nil || math.Abs(*one.ICC-want) > 1e-12 || one.NumSeeds != 3 || one.NumAdapters != 1 {
			t.Errorf("adapter t%d: %+v, want an ICC of %v", a+1, one, want)
		}
	}
	msr, mse := *within.MSRows, *within.MSError
	if want := (msr - mse) / (msr + 2*mse); within.ICC == nil || math.Abs(*within.ICC-want) > 1e-12 || want < 0.98 {
		t.Errorf("within adapters %v, want %v, of mean squares %v and %v", *within.ICC, want, msr, mse)
	}
	if within.NumSeeds != 3 || within.NumAdapters != 2 || within.NumPersonas != 8 || within.CI.Lower == nil {
		t.Errorf("within adapters: %+v", within)
	}
	across, _ := f.ICCAdapters.Get("two")
	if want := iccOf(t, means); across.ICC == nil || math.Abs(*across.ICC-want) > 1e-12 || want > -0.9 {
		t.Errorf("across adapters %v, want %v", across.ICC, want)
	}
	if across.NumAdapters != 2 || across.NumSeeds != 3 || across.NumPersonas != 8 {
		t.Errorf("across adapters: %+v", across)
	}
	single, _ := f.ICC.Get("one")
	if _, ok := f.ICCAdapters.Get("one"); ok || single.NumAdapters != 1 || len(single.ByAdapter) != 0 {
		t.Errorf("a source of one adapter: %+v", single)
	}
	kw, _ := f.KruskalWallisBySeed.Get("two")
	if kw.N != 8*3 {
		t.Errorf("%d values at seed level, want 24: 8 personas x 3 seeds", kw.N)
	}
	cells, _ := f.BootstrapCIsBySeed.Get("two")
	if c, _ := cells.Get("c0"); c.N != 4*3 {
		t.Errorf("%d values of a cell at seed level, want 12", c.N)
	}
	if d := f.AnchorDriftBySeed; d == nil || math.Abs(*d) > 1e-12 { // 50 and 70 of 100 are 60 % of every seed
		t.Errorf("drift at seed level %v, want 0", d)
	}
	mustMention(t, "note", "two: several adapters", fmt.Sprint(f.Notes))
}
