package analysis

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type tree = map[string]any

// TestReferenceLayer computes the published data's analysis, from a folder as
// somebody else would have it, and compares every number that the reference has for
// it: 1e-9 for coefficients, 1e-6 relative for p-values. A key that is not known here
// fails. (The worked examples and binomial intervals of the same file are those of
// package stats.)
func TestReferenceLayer(t *testing.T) {
	dir, pairs := referencePairs(t)
	var expected tree
	readFile(t, filepath.Join(dir, "expected_layer15.json"), &expected)
	f := analyse(t, cosineFolder(t, pairs), Options{
		Personas: filepath.Join(dir, "personas_original.json"), Resamples: 100, Permutations: 99,
	})
	layer, _ := f.Layers.Get("layer_15")
	got := tree{
		"aggregate":                          associationTree(layer.Aggregate, true),
		"per_source":                         group(layer.PerSource, func(x Association) any { return associationTree(x, false) }),
		"per_category":                       group(layer.PerCategory, func(x Association) any { return associationTree(x, false) }),
		"partial_spearman":                   tree{"aggregate": partialTree(layer.Aggregate), "per_source": group(layer.PerSource, func(x Association) any { return partialTree(x) })},
		"covariates":                         covariateTree(f, layer),
		"kruskal_wallis_leakage_by_category": group(f.KruskalWallis, kruskalTree),
		"kruskal_wallis_cosine_by_category":  group(layer.CosineByCategory, kruskalTree),
		"kendall_w":                          tree{"all_sources": kendallTree(f.KendallWSources), "leaky_sources": kendallTree(f.KendallW)},
		"leakage_cells":                      group(f.Cells, func(row Ordered[RateSummary]) any { return group(row, rateTree) }),
		"cosine_cells":                       group(layer.Categories, func(row Ordered[CosineSummary]) any { return group(row, cosineTree) }),
		"linear_fit": tree{"slope": layer.Fit.Slope, "intercept": layer.Fit.Intercept, "r2": layer.Fit.R2,
			"r": layer.Aggregate.Pearson.Coefficient},
	}
	checked := 0
	for name, block := range got {
		checked += compareTrees(t, name, expected[name], block)
	}
	t.Logf("%d values", checked)
	if checked < 1000 {
		t.Errorf("only %d values were compared", checked)
	}
}

func group[V any](o Ordered[V], f func(V) any) tree {
	out := tree{}
	for name, v := range o.All() {
		out[name] = f(v)
	}
	return out
}

func intervalTree(i Interval) tree { return tree{"lo": i.Lower, "hi": i.Upper} }

func associationTree(x Association, aggregate bool) tree {
	s := x.Spearman
	out := tree{
		"n": s.N, "spearman_rho": s.Coefficient, "spearman_p": s.P, "pearson_r": x.Pearson.Coefficient, "pearson_p": x.Pearson.P,
		"kendall_tau_b": x.KendallTau.Coefficient, "fisher_z_ci95": intervalTree(s.FisherZ),
	}
	if aggregate {
		z := math.Atanh(*s.Coefficient)
		fisher, bonett := intervalTree(s.FisherZ), intervalTree(s.BonettWright)
		// The reference gives how it got there, too.
		fisher["z"], fisher["se"] = z, 1/math.Sqrt(float64(s.N-3))
		bonett["z"], bonett["se"] = z, math.Sqrt((1+*s.Coefficient**s.Coefficient/2)/float64(s.N-3))
		out["fisher_z_ci95"], out["bonett_wright_ci95"] = fisher, bonett
		return out
	}
	out["spearman_p_bonferroni"], out["spearman_p_holm"], out["spearman_p_bh"] = s.Bonferroni, s.Holm, s.BH
	out["bonferroni_m"], out["mean_cosine"], out["mean_leakage"] = s.Family, x.MeanCosine, x.MeanLeakage
	return out
}

// partialTree has every subset of covariates under the names in every order that the
// reference may use.
func partialTree(x Association) tree {
	out := tree{}
	for names, c := range x.Partial.All() {
		k := strings.Count(names, "+") + 1
		if c.Coefficient == nil {
			continue
		}
		r := *c.Coefficient
		v := tree{"rho": r, "p": c.P, "df": c.DF, "n": c.N, "k": k, "t": r * math.Sqrt(float64(c.DF)/(1-r*r))}
		out[names] = v
	}
	return out
}

func covariateTree(f *Full, layer Layer) tree {
	out := tree{}
	for name, c := range f.Covariates.All() {
		versus, _ := layer.CovariatesVsCosine.Get(name)
		out[name] = tree{
			"mean": c.Mean, "std_pop": c.StdPop, "min": c.Min, "max": c.Max,
			"spearman_vs_leakage": tree{"rho": c.VsLeakage.Coefficient, "p": c.VsLeakage.P},
			"spearman_vs_cosine":  tree{"rho": versus.Coefficient, "p": versus.P},
		}
	}
	return out
}

func kruskalTree(k KruskalWallis) any {
	return tree{"H": k.H, "p": k.P, "df": k.DF, "n": k.N, "epsilon_squared": k.EpsilonSquared, "eta_squared_H": k.EtaSquared}
}

func kendallTree(k KendallW) tree {
	ranks := tree{}
	for judge, row := range k.Ranks.All() {
		byItem := tree{}
		for i, item := range k.Items {
			byItem[item] = row[i]
		}
		ranks[judge] = byItem
	}
	return tree{
		"judges": k.Judges, "W": k.W, "W_uncorrected": k.Uncorrected, "chi2": k.ChiSquared, "df": k.DF, "p": k.P,
		"rank_sums": group(k.RankSums, func(v float64) any { return v }), "ranks": ranks,
	}
}

func rateTree(s RateSummary) any {
	return tree{"n": s.N, "mean": s.Mean, "std_pop": s.StdPop, "std_sample": s.StdSample, "min": s.Min, "max": s.Max, "median": s.Median}
}

func cosineTree(s CosineSummary) any {
	return tree{"mean": s.Mean, "std_pop": s.StdPop, "min": s.Min, "max": s.Max}
}

// compareTrees checks every value wanted and returns how many there were.
func compareTrees(t *testing.T, path string, want, got any) int {
	t.Helper()
	switch want := want.(type) {
	case tree:
		g, ok := got.(tree)
		if !ok {
			t.Errorf("%s: got %T", path, got)
			return 0
		}
		n := 0
		for _, key := range slices.Sorted(maps.Keys(want)) {
			child, known := find(g, key)
			if !known {
				t.Errorf("%s/%s is not computed", path, key)
				continue
			}
			n += compareTrees(t, path+"/"+key, want[key], child)
		}
		return n
	case float64:
		checkNumber(t, path, got, want)
		return 1
	case []any:
		if fmt.Sprint(want) != fmt.Sprint(got) {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
		return 1
	}
	t.Errorf("%s is a %T", path, want)
	return 0
}

// find looks a key up; names joined by "+" may stand in any order.
func find(g tree, key string) (any, bool) {
	if v, ok := g[key]; ok {
		return v, true
	}
	sorted := func(s string) string {
		parts := strings.Split(s, "+")
		slices.SortFunc(parts, cmp.Compare)
		return strings.Join(parts, "+")
	}
	for name, v := range g {
		if strings.Contains(key, "+") && sorted(name) == sorted(key) {
			return v, true
		}
	}
	return nil, false
}

func checkNumber(t *testing.T, path string, got any, want float64) {
	t.Helper()
	var v float64
	switch got := got.(type) {
	case *float64:
		if got == nil {
			t.Errorf("%s is null, want %v", path, want)
			return
		}
		v = *got
	case float64:
		v = got
	case int:
		v = float64(got)
	default:
		t.Errorf("%s is a %T", path, got)
		return
	}
	key := path[strings.LastIndex(path, "/")+1:]
	tolerance := 1e-9 * math.Max(1, math.Abs(want))
	if key == "p" || strings.HasSuffix(key, "_p") || strings.Contains(key, "_p_") {
		tolerance = 1e-6 * want
	}
	if math.Abs(v-want) > tolerance || math.IsNaN(v) {
		t.Errorf("%s = %v, want %v", path, v, want)
	}
}

// TestReferenceAnchors gives the analysis the published counts of the anchors.
func TestReferenceAnchors(t *testing.T) {
	dir := referenceDir(t)
	path := filepath.Join(dir, "anchors.json")
	var file struct {
		Rows []struct {
			Adapter, Anchor string
			K               []int   `json:"consistent_k_of_600"`
			Drift           float64 `json:"abs_drift_of_means"`
		}
		MaxDrift struct{ Value float64 } `json:"max_drift_of_means"`
	}
	readFile(t, path, &file)
	folder := t.TempDir()
	shards := map[string]tree{}
	for _, row := range file.Rows {
		if shards[row.Adapter] == nil {
			shards[row.Adapter] = tree{}
		}
		shards[row.Adapter]["anchor_"+row.Anchor] = tree{"found": row.K[0], "total": 600, "category": "anchor", "source": "all"}
	}
	for adapter, evals := range shards {
		writeFile(t, filepath.Join(folder, adapter+"_seed42", evalFile), evals)
	}
	reference, err := ReadAnchorReference(path)
	if err != nil {
		t.Fatal(err)
	}
	opts := quick
	opts.Anchors = reference
	f := analyse(t, folder, opts)
	const half = 0.0005 + 1e-9 // the published means have three decimals
	for _, row := range file.Rows {
		rates, _ := f.Anchors.Get(row.Adapter)
		rate, ok := rates.Get(row.Anchor)
		if !ok || rate.Drift == nil || math.Abs(*rate.Drift-row.Drift) > half || rate.Pass == nil || !*rate.Pass {
			t.Errorf("%s on %s: %+v, want a drift of %v", row.Adapter, row.Anchor, rate, row.Drift)
		}
	}
	if f.AnchorMaxDrift == nil || math.Abs(*f.AnchorMaxDrift-file.MaxDrift.Value) > half {
		t.Errorf("largest drift %v, want %v", f.AnchorMaxDrift, file.MaxDrift.Value)
	}
}

// TestReferenceClaims checks the write-up's tables: eight cosines are wrong, and no
// leakage.
func TestReferenceClaims(t *testing.T) {
	dir, pairs := referencePairs(t)
	claims, err := ReadClaims(filepath.Join(dir, "published_vs_data.json"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := CheckClaims(claims, analyse(t, cosineFolder(t, pairs), quick))
	if err != nil {
		t.Fatal(err)
	}
	var rows struct {
		Rows []struct {
			ID      string `json:"persona_id"`
			Cosine  bool   `json:"cosine_agrees"`
			Leakage bool   `json:"leakage_agrees"`
		}
	}
	readFile(t, filepath.Join(dir, "published_vs_data.json"), &rows)
	want := map[string]Verdict{}
	for _, row := range rows.Rows {
		for kind, agrees := range map[string]bool{kindCosine: row.Cosine, kindLeakage: row.Leakage} {
			want[kind+" "+row.ID] = Disagrees
			if agrees {
				want[kind+" "+row.ID] = Agrees
			}
		}
	}
	for _, result := range r.Results {
		if v := want[result.Kind+" "+result.Subject]; v != result.Verdict {
			t.Errorf("%s of %s: %s, want %s", result.Kind, result.Subject, result.Verdict, v)
		}
	}
	if r.Checked != 82 || r.Cosine != (ClaimTally{Agree: 33, Disagree: 8}) || r.Leakage != (ClaimTally{Agree: 41}) {
		t.Errorf("%d checked, cosine %+v, leakage %+v", r.Checked, r.Cosine, r.Leakage)
	}
}
