package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The original study's files as its own scripts write and read them: every member is
// there, of this type, and never null. A pointer may be null, where the original writes
// None; "omitempty" marks what it leaves out where it has too few values.
type (
	originalFull struct {
		Experiment        string                                          `json:"experiment"`
		NumSources        int                                             `json:"n_sources"`
		Seeds             []int                                           `json:"seeds"`
		NumPersonas       int                                             `json:"n_taxonomy_personas"`
		Categories        []string                                        `json:"categories"`
		AnchorCalibration map[string]map[string]map[string]originalAnchor `json:"anchor_calibration"` // source, seed, anchor_<source>
		AnchorMaxDrift    *float64                                        `json:"anchor_max_drift"`
		KruskalWallis     map[string]originalTest                         `json:"kruskal_wallis"`
		BootstrapCIs      map[string]map[string]originalCell              `json:"bootstrap_cis"`
		ICC               map[string]originalICC                          `json:"icc"`
		KendallW          originalW                                       `json:"kendall_w"`
	}
	originalAnchor struct {
		Actual    float64  `json:"actual"`
		Reference *float64 `json:"reference"`
		Drift     *float64 `json:"drift"`
		Within    bool     `json:"within_10pp"`
	}
	originalTest struct {
		H         *float64 `json:"H"`
		P         *float64 `json:"p"`
		NumGroups int      `json:"n_groups"`
	}
	originalCell struct {
		Mean  float64 `json:"mean"`
		Lower float64 `json:"ci_lo,omitempty"`
		Upper float64 `json:"ci_hi,omitempty"`
		Width float64 `json:"ci_width,omitempty"`
		N     int     `json:"n"`
	}
	originalICC struct {
		ICC         *float64 `json:"icc"`
		NumPersonas int      `json:"n_personas"`
		MSRows      *float64 `json:"ms_rows"`
		MSError     *float64 `json:"ms_error"`
	}
	originalW struct {
		W         *float64 `json:"W"`
		ChiSq     *float64 `json:"chi2"`
		DF        int      `json:"df"`
		P         *float64 `json:"p"`
		NumJudges int      `json:"n_judges"`
		NumItems  int      `json:"n_items"`
	}
	originalCompiled struct {
		Sources         []string                                 `json:"sources"`
		Seeds           []int                                    `json:"seeds"`
		Categories      []string                                 `json:"categories"`
		NumPersonas     int                                      `json:"n_taxonomy_personas"`
		NumAnchors      int                                      `json:"n_anchors"`
		CategorySummary map[string]map[string]originalCategory   `json:"category_summary"`
		RawRates        map[string]map[string]map[string]float64 `json:"raw_rates"`
	}
	originalCategory struct {
		Mean float64 `json:"mean"`
		Min  float64 `json:"min"`
		Max  float64 `json:"max"`
		Std  float64 `json:"std"`
		N    int     `json:"n"`
	}
)

// fits checks that data has the members of a type, and returns what does not fit.
func fits(path string, data any, typ reflect.Type) (faults []string) {
	wrong := func(want string) []string {
		return []string{fmt.Sprintf("%s is %v (%T), want %s", path, data, data, want)}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		if data == nil {
			return nil
		}
		return fits(path, data, typ.Elem())
	case reflect.Struct:
		object, ok := data.(map[string]any)
		if !ok {
			return wrong("an object")
		}
		for field := range typ.Fields() {
			name, option, _ := strings.Cut(field.Tag.Get("json"), ",")
			v, there := object[name]
			if !there && option == "omitempty" {
				continue
			}
			if !there {
				faults = append(faults, path+" has no "+name)
				continue
			}
			faults = append(faults, fits(path+"."+name, v, field.Type)...)
		}
	case reflect.Map:
		object, ok := data.(map[string]any)
		if !ok {
			return wrong("an object")
		}
		for name, v := range object {
			faults = append(faults, fits(path+"."+name, v, typ.Elem())...)
		}
	case reflect.Slice:
		list, ok := data.([]any)
		if !ok {
			return wrong("a list")
		}
		for i, v := range list {
			faults = append(faults, fits(fmt.Sprintf("%s[%d]", path, i), v, typ.Elem())...)
		}
	case reflect.Int:
		if v, ok := data.(float64); !ok || v != math.Trunc(v) {
			return wrong("a whole number")
		}
	default:
		if reflect.TypeOf(data) != typ {
			return wrong("a " + typ.String())
		}
	}
	return faults
}

func readOriginal[T any](t *testing.T, path string) T {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	var out T
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	for _, fault := range fits(filepath.Base(path), tree, reflect.TypeFor[T]()) {
		t.Error(fault)
	}
	if err := json.Unmarshal(data, &out); err != nil {
		t.Error(err)
	}
	return out
}

// TestOriginalShape reads the files as the original study's scripts do, also where the
// data leave much undefined.
func TestOriginalShape(t *testing.T) {
	constant := smallDesign()
	constant.rate = func(int, int, int, int) float64 { return 0 }
	single := smallDesign()
	single.perCell, single.seeds = 1, single.seeds[:1]
	study := smallDesign()
	study.sources = []string{"villain", "software_engineer", "assistant", "kindergarten_teacher"}
	adapters, _ := nested(t)
	for name, dir := range map[string]string{
		"small": smallDesign().write(t), "constant": constant.write(t), "single": single.write(t), "study": study.write(t), "adapters": adapters,
	} {
		t.Run(name, func(t *testing.T) {
			opts := quick
			opts.Anchors = &AnchorReference{Rates: map[[2]string]float64{{"a", "a"}: 0.5, {"two", "two"}: 0.5}}
			out := t.TempDir()
			f := analyse(t, dir, opts)
			if _, err := f.Write(out); err != nil {
				t.Fatal(err)
			}
			full := readOriginal[originalFull](t, filepath.Join(out, fullFile))
			readOriginal[originalCompiled](t, filepath.Join(out, compiledFile))
			if full.Experiment != "persona_taxonomy" || len(full.AnchorCalibration) == 0 || len(full.BootstrapCIs) != full.NumSources {
				t.Errorf("%+v", full)
			}
			for source, row := range full.BootstrapCIs {
				for category, c := range row {
					if c.N > 1 && (c.Lower > c.Mean || c.Upper < c.Mean || c.Width != c.Upper-c.Lower) {
						t.Errorf("%s %s: %+v", source, category, c)
					}
				}
			}
			switch name {
			case "study": // the three judges of the original, though there are four sources
				if full.KendallW.NumJudges != 3 || f.KendallWSources.NumJudges != 4 {
					t.Errorf("%d judges, of all sources %d", full.KendallW.NumJudges, f.KendallWSources.NumJudges)
				}
			case "small":
				a := full.AnchorCalibration["a"]["2"]["anchor_a"]
				if a.Drift == nil || *a.Reference != 0.5 || math.Abs(*a.Drift-math.Abs(a.Actual-0.5)) > 1e-12 || a.Within != (*a.Drift <= 0.1+1e-9) {
					t.Errorf("anchor %+v", a)
				}
			case "constant": // what the original's percentiles give
				if c := full.BootstrapCIs["a"]["x"]; c.Lower != 0 || c.Upper != 0 || c.N != 4 {
					t.Errorf("cell %+v", c)
				}
			case "adapters": // 50 and 70 of 100
				if len(full.AnchorCalibration["two"]) != 3 || math.Abs(full.AnchorCalibration["two"]["42"]["anchor_two"].Actual-0.6) > 1e-12 {
					t.Errorf("anchors of two adapters: %+v", full.AnchorCalibration["two"])
				}
			}
		})
	}
}

// best_layer is a number, as in the original's cosine_analysis.json, and its key stands
// beside it.
func TestBestLayerIsANumber(t *testing.T) {
	out := t.TempDir()
	if _, err := analyse(t, claimsData(t), quick).Write(out); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Best int    `json:"best_layer"`
		Key  string `json:"best_layer_key"`
	}
	readFile(t, filepath.Join(out, fullFile), &got)
	if got.Best < 15 || got.Key != fmt.Sprintf("layer_%d", got.Best) {
		t.Errorf("%+v", got)
	}
}
