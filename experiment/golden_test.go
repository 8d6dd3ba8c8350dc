package experiment_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"personaprobe/engine"
	"personaprobe/experiment"
	"personaprobe/internal/golden"
)

// goldenStudy is a study on the embedded model and how closely it must agree with
// the golden evaluation.
type goldenStudy struct {
	questions, completions int
	seeds                  []uint64
	spearman               float64 // largest difference of layer 15's rho
}

// The golden evaluation sampled 20 x 8 completions a persona with another program and
// other random numbers. Every test run takes one completion of each question;
// PERSONAPROBE_GOLDEN=default and =full take the default plan and the evaluation's own
// settings, which need some minutes.
func goldenSettings(t *testing.T) goldenStudy {
	switch size := os.Getenv("PERSONAPROBE_GOLDEN"); size {
	case "":
		return goldenStudy{20, 1, []uint64{42}, 0.1}
	case "default":
		p := experiment.DefaultPlan()
		return goldenStudy{p.NumQuestions, p.NumCompletions, p.Seeds, 0.1}
	case "full":
		return goldenStudy{20, 8, []uint64{42}, 0.03}
	default:
		t.Fatalf("PERSONAPROBE_GOLDEN is %q, want default or full", size)
		return goldenStudy{}
	}
}

// A run on the embedded model has the golden evaluation's leakage rates, within
// binomial noise, and its correlation.
func TestStudyAgreesWithGolden(t *testing.T) {
	if testing.Short() {
		t.Skip("samples thousands of completions")
	}
	want, err := golden.LoadLeakage()
	if err != nil {
		t.Fatal(err)
	}
	size := goldenSettings(t)
	dir, summary := runGolden(t, size)
	results, err := experiment.LoadResults(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][2]int{} // persona -> completions with the marker, all
	for _, shard := range results.Shards {
		for id, e := range shard.Evals.All() {
			got[id] = [2]int{got[id][0] + e.Found, got[id][1] + e.Total}
		}
	}
	// Personas ask different questions differently, so only all twenty compare rates.
	if size.questions == 20 {
		compareRates(t, got, want.Rows)
	}
	layer, _ := summary.Cosines.PerLayer.Get("layer_15")
	if layer.Aggregate.Rho == nil {
		t.Fatal("no correlation at layer 15")
	}
	rho := *layer.Aggregate.Rho
	wantRho := want.Spearman["15"]["all"]
	t.Logf("Spearman at layer 15: %.4f, golden %.4f", rho, wantRho)
	if math.Abs(rho-wantRho) > size.spearman {
		t.Errorf("Spearman at layer 15 is %.4f, golden %.4f, allowed difference %g", rho, wantRho, size.spearman)
	}
}

func runGolden(t *testing.T, size goldenStudy) (string, *experiment.Summary) {
	t.Helper()
	plan := experiment.DefaultPlan()
	plan.NumQuestions, plan.NumCompletions, plan.Seeds = size.questions, size.completions, size.seeds
	s, err := experiment.Open(context.Background(), plan, experiment.SessionOptions{Build: "test",
		Backend: engine.Backend(os.Getenv("PERSONAPROBE_BACKEND"))}) // tests on a GPU try both
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	t.Logf("device: %s", s.Model.Device())
	dir := filepath.Join(t.TempDir(), "run")
	summary, err := experiment.Run(context.Background(), dir, s.Model, s.Inputs, experiment.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return dir, summary
}

// compareRates tests every persona's rate by Fisher's exact test at a twentieth over
// the number of personas, and all of them together by the sum of squares.
func compareRates(t *testing.T, got map[string][2]int, rows []golden.LeakageRow) {
	t.Helper()
	if len(rows) != 200 {
		t.Fatalf("%d golden rates", len(rows))
	}
	level := 0.05 / float64(len(rows))
	least, foundHere, foundThere := 1.0, 0, 0.0
	squares, counted := 0.0, 0
	for _, row := range rows {
		found := int(math.Round(row.Leakage * float64(row.N)))
		here := got[row.ID]
		if here[1] == 0 {
			t.Fatalf("no completions of %s", row.ID)
		}
		p := fisher(here[0], here[1], found, row.N)
		least = min(least, p)
		if p < level {
			t.Errorf("%s leaks %d of %d, golden %d of %d: p = %.2g", row.ID, here[0], here[1], found, row.N, p)
		}
		foundHere += here[0]
		foundThere += row.Leakage * float64(here[1])
		if z, ok := zScore(here[0], here[1], found, row.N); ok {
			squares += z * z
			counted++
		}
	}
	t.Logf("%d rates: least p %.2g (bound %.2g), mean z² %.2f over %d, %d with the marker, %.0f expected",
		len(rows), least, level, squares/float64(counted), counted, foundHere, foundThere)
	if m := squares / float64(counted); m > 1.5 {
		t.Errorf("mean z² is %.2f: the rates differ by more than chance", m)
	}
	if wrong := swapped(got, rows, level); wrong < 20 {
		t.Errorf("only %d rates differ from those of another source: the test sees nothing", wrong)
	}
}

// swapped counts the rates that would be refused if every persona were taken for the
// one forty rows on, which belongs to another source.
func swapped(got map[string][2]int, rows []golden.LeakageRow, level float64) int {
	wrong := 0
	for i, row := range rows {
		other := rows[(i+40)%len(rows)]
		here := got[row.ID]
		if fisher(here[0], here[1], int(math.Round(other.Leakage*float64(other.N))), other.N) < level {
			wrong++
		}
	}
	return wrong
}

// zScore is the two-sample z of two rates, if they are not both 0 or both 1.
func zScore(k1, n1, k2, n2 int) (float64, bool) {
	p := float64(k1+k2) / float64(n1+n2)
	v := p * (1 - p) * (1/float64(n1) + 1/float64(n2))
	return (float64(k1)/float64(n1) - float64(k2)/float64(n2)) / math.Sqrt(v), v > 0
}

// fisher is the two-sided p of Fisher's exact test: the probability, with the margins
// given, of all tables that are no more probable than the one seen.
func fisher(k1, n1, k2, n2 int) float64 {
	choose := func(n, k int) float64 {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(k + 1))
		c, _ := math.Lgamma(float64(n - k + 1))
		return a - b - c
	}
	k := k1 + k2
	probability := func(x int) float64 {
		return math.Exp(choose(n1, x) + choose(n2, k-x) - choose(n1+n2, k))
	}
	seen, sum := probability(k1), 0.0
	for x := max(0, k-n2); x <= min(k, n1); x++ {
		if p := probability(x); p <= seen*(1+1e-9) {
			sum += p
		}
	}
	return min(sum, 1)
}

// The first is scipy.stats.fisher_exact's example, the others are sums of exact fractions.
func TestFisher(t *testing.T) {
	for _, c := range []struct {
		k1, n1, k2, n2 int
		p              float64
	}{
		{8, 10, 1, 6, 0.03496503496503495},
		{3, 20, 60, 160, 0.0500229895},
		{5, 20, 100, 160, 0.0016914507},
		{0, 20, 0, 160, 1},
	} {
		if got := fisher(c.k1, c.n1, c.k2, c.n2); math.Abs(got-c.p) > 1e-9 {
			t.Errorf("%v: %.6f", c, got)
		}
	}
}
