package analysis

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
)

func number(v float64) *float64 { return &v }

// claimsData is a folder with two layers and known numbers.
func claimsData(t *testing.T) string {
	t.Helper()
	pairs := func(shift float64) []pair {
		return []pair{
			{"p1", "a", "x", number(0.545 + shift), number(0.25)},
			{"p2", "a", "x", number(0.1 + shift), number(0.05)},
			{"p3", "a", "y", number(0.3 + shift), number(0.15)},
			{"p4", "a", "y", number(-0.2 + shift), number(1.0 / 3)},
			{"p5", "b", "x", number(0.7 + shift), number(0.2)},
		}
	}
	return cosineFolder(t, pairs(0), pairs(0.1))
}

func TestClaims(t *testing.T) {
	f := analyse(t, claimsData(t), quick)
	const mean = (0.25 + 0.05 + 0.15 + 1.0/3) / 4 // of source a
	for _, c := range []struct {
		name, file, text string
		want             Verdict
		difference       float64 // claimed - data
	}{
		{"two decimals", "c.csv", "persona_id,cosine,layer\np1,0.54,15\n", Agrees, -0.005},
		{"either rounding of a half", "c.csv", "persona_id,cosine,layer\np1,0.55,15\n", Agrees, 0.005},
		{"outside rounding", "c.csv", "persona_id,cosine,layer\np1,0.56,15\n", Disagrees, 0.015},
		{"three decimals", "c.csv", "persona_id,cosine,layer\np1,0.540,15\n", Disagrees, -0.005},
		{"decimals given", "c.csv", "persona_id,cosine,layer,decimals\np1,0.54,15,3\n", Disagrees, -0.005},
		{"typeset minus", "c.csv", "persona_id,cosine,layer\np4,\u22120.20,layer_15\n", Agrees, 0},
		{"other layer", "c.csv", "persona_id,cosine,layer\np1,0.645,layer_16\n", Agrees, 0},
		{"share", "c.csv", "persona_id,leakage\np4,0.333\n", Agrees, 0.333 - 1.0/3},
		{"percentage", "c.csv", "persona_id,leakage_pct\np4,33.3\n", Agrees, 33.3 - 100.0/3},
		{"percent sign", "c.csv", "persona_id,leakage\np4,33.4%\n", Disagrees, 33.4 - 100.0/3},
		{"source", "c.csv", "persona_id,source,leakage\np5,b,0.2\n", Agrees, 0},
		{"another source", "c.csv", "persona_id,source,leakage\np5,a,0.2\n", Unavailable, 0},
		{"nobody", "c.csv", "persona_id,leakage\nnobody,0.2\n", Unavailable, 0},
		{"statistic", "c.json", `[{"statistic": "/by_source/a/mean", "value": 0.196}]`, Agrees, 0.196 - (0.25+0.05+0.15+1.0/3)/4},
		{"less", "c.json", `[{"statistic": "/n_sources", "value": 3, "relation": "<"}]`, Agrees, 1},
		{"not less", "c.json", `[{"statistic": "/n_sources", "value": 2, "relation": "<"}]`, Disagrees, 0},
		{"at least", "c.json", `[{"statistic": "/n_sources", "value": 2, "relation": ">="}]`, Agrees, 0},
		{"at least, rounded", "c.json", `[{"statistic": "/by_source/a/mean", "value": 0.196, "relation": ">="}]`,
			Agrees, 0.196 - mean},
		{"at least, not rounded", "c.json", `[{"statistic": "/by_source/a/mean", "value": 0.196, "relation": ">=", "decimals": 6}]`,
			Disagrees, 0.196 - mean},
		{"at most, rounded", "c.json", `[{"statistic": "/by_source/a/mean", "value": 0.1958, "relation": "<="}]`,
			Agrees, 0.1958 - mean},
		{"at most, not rounded", "c.json", `[{"statistic": "/by_source/a/mean", "value": 0.1958, "relation": "<=", "decimals": 6}]`,
			Disagrees, 0.1958 - mean},
		{"below is exact", "c.json", `[{"statistic": "/by_source/a/mean", "value": 0.1958, "relation": "<"}]`,
			Disagrees, 0.1958 - mean},
		{"above is exact", "c.json", `[{"statistic": "/by_source/a/mean", "value": 0.2, "relation": ">"}]`,
			Disagrees, 0.2 - mean},
		{"list", "c.json", `[{"statistic": "/seeds/1", "value": 137}]`, Agrees, 0},
		{"null", "c.json", `[{"statistic": "/kendall_w/W", "value": 1}]`, Unavailable, 0},
		{"no number", "c.json", `[{"statistic": "kendall_w", "value": 1}]`, Unavailable, 0},
		{"name", "c.json", `[{"statistic": "kendall_w.n_judges", "value": 2}]`, Agrees, 0},
		{"name in a layer", "c.json", `[{"statistic": "aggregate.spearman.n", "layer": 16, "value": 5}]`, Agrees, 0},
		{"text", "c.json", `[{"statistic": "/experiment", "value": 1}]`, Unavailable, 0},
		{"nothing", "c.json", `{"claims": [{"statistic": "/nothing/there", "value": 1}]}`, Unavailable, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.file)
			writeFile(t, path, c.text)
			claims, err := ReadClaims(path)
			if err != nil {
				t.Fatal(err)
			}
			r, err := CheckClaims(claims, f)
			if err != nil {
				t.Fatal(err)
			}
			got := r.Results[0]
			if got.Verdict != c.want {
				t.Fatalf("%s (%s), want %s: %+v", got.Verdict, got.Reason, c.want, got)
			}
			switch {
			case c.want == Unavailable:
				if got.Reason == "" {
					t.Error("no reason")
				}
			case math.Abs(*got.Difference-c.difference) > 1e-12:
				t.Errorf("difference %v, want %v", *got.Difference, c.difference)
			}
		})
	}
}

// A cosine without a layer is compared with the layer of the claims, or is unavailable
// if the data have several.
func TestClaimsLayer(t *testing.T) {
	f := analyse(t, claimsData(t), quick)
	path := filepath.Join(t.TempDir(), "c.csv")
	writeFile(t, path, "persona_id,cosine\np1,0.645\n")
	claims, err := ReadClaims(path)
	if err != nil {
		t.Fatal(err)
	}
	for layer, want := range map[string]Verdict{"": Unavailable, "16": Agrees, "layer_15": Disagrees} {
		claims.Layer = layer
		r, err := CheckClaims(claims, f)
		if err != nil || r.Results[0].Verdict != want {
			t.Errorf("layer %q: %v, %+v; want %s", layer, err, r, want)
		}
	}
	claims.Layer = "99"
	if _, err := CheckClaims(claims, f); !errors.Is(err, ErrInput) {
		t.Errorf("layer 99: %v", err)
	}
}

func TestBadClaims(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"number":   {"c.csv", "persona_id,cosine\np1,high\n", "c.csv:2"},
		"nothing":  {"c.csv", "persona_id,cosine\n", "no claims"},
		"subject":  {"c.csv", "cosine\n0.5\n", "neither"},
		"both":     {"c.json", `[{"persona_id": "p", "statistic": "/x", "value": 1}]`, "both"},
		"twofold":  {"c.csv", "persona_id,cosine,published_cosine\np1,0.5,0.5\n", "both"},
		"relation": {"c.json", `[{"statistic": "/x", "value": 1, "relation": "about"}]`, "about"},
		"value":    {"c.json", `[{"statistic": "/x"}]`, "no value"},
		"decimals": {"c.csv", "persona_id,cosine,decimals\np1,0.5,few\n", "few"},
		"name":     {"c.txt", "x", ".json or .csv"},
		"json":     {"c.json", "[\noops]", "c.json:2"},
		"object":   {"c.json", `{"figures": []}`, "rows"},
	} {
		path := filepath.Join(t.TempDir(), c.file)
		writeFile(t, path, c.text)
		if _, err := ReadClaims(path); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an ErrInput with %q", name, err, c.want)
		}
	}
}

// The figures of a table are readable, however many decimals the claim has.
func TestFigure(t *testing.T) {
	for _, c := range []struct {
		v        float64
		decimals int
		want     string
	}{{0.7, 2, "0.70"}, {1e-36, 36, "1e-36"}, {4.2345678e-32, 38, "4.235e-32"}, {0.71, 38, "0.71"}, {0, 36, "0"}, {-2e-9, 10, "-2e-09"}, {0.123456789012, 12, "0.123456789012"}} {
		if got := figure(c.v, c.decimals); got != c.want {
			t.Errorf("%v with %d decimals: %s, want %s", c.v, c.decimals, got, c.want)
		}
	}
}

// Claims of which some disagree or are not there are no success, and are told apart.
func TestClaimsErr(t *testing.T) {
	for _, c := range []struct {
		r    ClaimsReport
		want error
	}{
		{ClaimsReport{Checked: 2, Agree: 2}, nil},
		{ClaimsReport{Checked: 2, Agree: 1, Unavailable: 1}, ErrUnavailable},
		{ClaimsReport{Checked: 2, Unavailable: 2}, ErrUnavailable},
		{ClaimsReport{Checked: 3, Agree: 1, Disagree: 1, Unavailable: 1}, ErrDisagree},
	} {
		if err := c.r.Err(); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.r, err, c.want)
		}
	}
}

// What is opened is the analysis that is there, with its options, if it is not stale;
// somebody else's is none.
func TestOpenTakesTheAnalysisThatIsThere(t *testing.T) {
	dir := smallDesign().write(t)
	open := func() (*Full, bool, error) { return Open(t.Context(), dir, quick) }
	writeFile(t, filepath.Join(dir, fullFile), `{"experiment": "persona_taxonomy", "n_sources": 5}`)
	if f, made, err := open(); err != nil || !made || f.NumSources != 2 {
		t.Errorf("somebody else's: %v, %v", made, err)
	}
	remove(t, filepath.Join(dir, fullFile))
	opts := quick
	opts.Judges = []string{"b", "a"}
	opts.Level = 0.8
	if _, err := analyse(t, dir, opts).Write(dir); err != nil {
		t.Fatal(err)
	}
	if f, made, err := open(); err != nil || made || f.Settings.Level != 0.8 || f.KendallW.Judges[0] != "b" {
		t.Errorf("ours: %v, %v", made, err)
	}
	replaceIn(t, filepath.Join(dir, "a_seed1", rawFile), `"no"`, `"No"`)
	if _, _, err := open(); !errors.Is(err, ErrStale) {
		t.Errorf("older than the data: %v", err)
	}
}
