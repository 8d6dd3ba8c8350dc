package hidden

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// threeGroups are centroids at two layers, with b in the middle at layer 2.
func threeGroups(t *testing.T) *Representation {
	t.Helper()
	names := []string{"a", "b", "c"}
	one, err := NewCentroids(names, []float64{1, 2, 3, 4, 5, 9})
	if err != nil {
		t.Fatal(err)
	}
	two, err := NewCentroids(names, []float64{0, 0, 1, 1, 2, 2})
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRepresentation([]int{2, 7}, []*Centroids{two, one})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRepresentationFile(t *testing.T) {
	r := threeGroups(t)
	path := filepath.Join(t.TempDir(), "c.safetensors")
	if err := r.Write(path, map[string]string{"by": "persona"}); err != nil {
		t.Fatal(err)
	}
	got, metadata, err := ReadRepresentation(path)
	if err != nil {
		t.Fatal(err)
	}
	if metadata["by"] != "persona" || !slices.Equal(got.Layers, r.Layers) || !slices.Equal(got.Names(), r.Names()) {
		t.Errorf("got %v %v %v", metadata, got.Layers, got.Names())
	}
	for k := range r.Layers {
		if !slices.Equal(got.Centred[k].data, r.Centred[k].data) || !slices.Equal(got.Mean[k], r.Mean[k]) {
			t.Errorf("layer %d differs", r.Layers[k])
		}
	}
	for on, want := range map[Centring][]float64{
		CentreMean: {-2, -3, 0, -1, 2, 4}, CentreNone: {1, 2, 3, 4, 5, 9}, CentreOn("b"): {-2, -2, 2, 5},
	} {
		c, err := got.At(1, on)
		if err != nil || !slices.Equal(c.data, want) {
			t.Errorf("%s: %v, %v", on, c, err)
		}
	}
	some, err := got.Select([]int{7})
	if err != nil || len(some.Centred) != 1 || !slices.Equal(some.Centred[0].data, r.Centred[1].data) {
		t.Errorf("selected %v, %v", some, err)
	}
	if _, err := got.Select([]int{3}); !errors.Is(err, ErrInput) {
		t.Errorf("a layer that is not there: %v", err)
	}
	got.Mean = nil
	if _, err := got.At(0, CentreNone); err == nil {
		t.Error("no centring without the mean: no error")
	}
}

func TestCosinesOf(t *testing.T) {
	r := threeGroups(t)
	all, err := CosinesOf(r, CentreMean)
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Pairs) != 3 || !slices.Equal(all.Measures, []string{"layer_2", "layer_7"}) {
		t.Fatalf("%+v", all)
	}
	for _, p := range all.Pairs {
		// b is the mean at layer 2 and has no direction there.
		if undefined := p.Row == "b" || p.Target == "b"; undefined != (p.Values[0] == nil) {
			t.Errorf("%s and %s at layer 2: %v", p.Row, p.Target, p.Values[0])
		}
		want, err := r.Centred[1].Cosine(p.Row, p.Target)
		if err != nil || math.Abs(*p.Values[1]-want) > 1e-15 {
			t.Errorf("%s and %s: %v, want %v, %v", p.Row, p.Target, *p.Values[1], want, err)
		}
	}
	to, err := CosinesOf(r, CentreNone, "c", "a")
	if err != nil || len(to.Pairs) != 4 || to.Pairs[0].Row != "a" || to.Pairs[0].Target != "c" {
		t.Errorf("%+v, %v", to, err)
	}
	for _, c := range []struct {
		on      Centring
		targets []string
	}{{"median", nil}, {CentreOn("z"), nil}, {CentreMean, []string{"z"}}, {CentreMean, []string{"a", "a"}}, {CentreOn("a"), []string{"a"}}} {
		if _, err := CosinesOf(r, c.on, c.targets...); !errors.Is(err, ErrInput) {
			t.Errorf("%s %v: %v", c.on, c.targets, err)
		}
	}
}

// All layers with undefined cells, in the three formats.
func TestWriteComparison(t *testing.T) {
	table, err := CosinesOf(threeGroups(t), CentreMean)
	if err != nil {
		t.Fatal(err)
	}
	table, err = table.WithLeakage([]Leakage{{"a", "c", 0.25}, {"c", "b", 0.5}, {"b", "a", 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	var text, csv, js bytes.Buffer
	if err := errors.Join(table.WriteText(&text), table.WriteCSV(&csv), table.WriteJSON(&js)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"group", "a      c     0.2500   -1.0000", "Spearman with leakage", "all"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if lines := strings.Split(csv.String(), "\n"); lines[0] != "group,with,leakage,layer_2,layer_7" || !strings.HasPrefix(lines[2], "c,b,0.5,,-0.") {
		t.Errorf("csv is %q", lines)
	}
	var out struct {
		Pairs []struct {
			Group, With string
			Leakage     float64
			Layer2      *float64 `json:"layer_2"`
		}
		Spearman []struct {
			With   *string
			N      int
			Layer2 struct{ Rho *float64 } `json:"layer_2"`
			Layer7 struct{ Rho *float64 } `json:"layer_7"`
		}
	}
	if err := json.Unmarshal(js.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Pairs) != 3 || out.Pairs[1].Layer2 != nil || out.Spearman[0].With != nil || out.Spearman[0].N != 3 ||
		out.Spearman[0].Layer2.Rho != nil || out.Spearman[0].Layer7.Rho == nil || len(out.Spearman) != 4 {
		t.Errorf("json is %s", js.String())
	}
}

// No name becomes a formula of a spreadsheet.
func TestWriteCSVFormula(t *testing.T) {
	table := &Comparison{Measures: []string{"layer_1"}, Pairs: []Pair{{Row: `=HYPERLINK("x")`, Target: "@a", Values: []*float64{nil}}}}
	var out bytes.Buffer
	if err := table.WriteCSV(&out); err != nil {
		t.Fatal(err)
	}
	if want := "group,with,leakage,layer_1\n\"'=HYPERLINK(\"\"x\"\")\",'@a,,\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestWithLeakage(t *testing.T) {
	table, err := CosinesOf(threeGroups(t), CentreMean, "a")
	if err != nil {
		t.Fatal(err)
	}
	got, err := table.WithLeakage([]Leakage{{"b", "a", 0.1}, {"c", "b", 0.9}}) // the second is not compared
	if err != nil || len(got.Pairs) != 1 || len(got.Correlations) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := table.WithLeakage([]Leakage{{"z", "a", 0.1}}); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), `"z"`) {
		t.Errorf("an unknown group: %v", err)
	}
}

func TestReadLeakage(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "l.csv")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	got, err := ReadLeakage(write("source,note,persona,found,total\ns,x,p,1,3\ns,y,q,2,6\n"))
	if err != nil || len(got) != 2 || got[0].Rate != got[1].Rate || got[1].Persona != "q" || got[1].Source != "s" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := ReadLeakage(write("persona,source,rate\np,s,0.25\n")); err != nil || got[0].Rate != 0.25 {
		t.Errorf("%v, %v", got, err)
	}
	for text, want := range map[string]string{
		"":                                    "no header",
		"persona,rate\n":                      "want persona, source",
		"persona,source,rate\np,s,2\n":        "line 2",
		"persona,source,rate\np,s,NaN\n":      "line 2",
		"persona,source,rate\np,s\n":          "line 2",
		"persona,source,found,total\np,s,3,0": "line 2",
		"persona,source,found,total\np,s,3,2": "line 2",
		"persona,source,found,total\np,s,x,2": "line 2",
	} {
		if _, err := ReadLeakage(write(text)); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
