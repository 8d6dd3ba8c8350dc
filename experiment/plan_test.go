package experiment

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlanRoundTrip(t *testing.T) {
	special := DefaultPlan().Full()
	special.Model, special.Personas, special.Questions = "dir with space/m.gguf", "p: 1.json", "q.json"
	special.Adapters = map[string]Paths{"villain": {"a, b", "#c"}, "comedian": {"no"}}
	special.Sources, special.Layers = []string{"comedian", "villain"}, []int{}
	special.Seeds = []uint64{math.MaxUint64, 0}
	special.Temperature, special.TopP, special.Date, special.Marker = 0, 1, "2026-12-01T09:30:00Z", "[x]: \"é'\\ #"
	for name, plan := range map[string]Plan{"default": DefaultPlan(), "full": DefaultPlan().Full(), "special": special} {
		t.Run(name, func(t *testing.T) {
			data, err := FormatPlan(plan)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParsePlan("plan.yaml", data)
			if err != nil {
				t.Fatalf("%v in\n%s", err, data)
			}
			if diff := cmp.Diff(plan, got); diff != "" {
				t.Errorf("%s\n%s", diff, data)
			}
		})
	}
}

func TestFullPlanIsTheStudys(t *testing.T) {
	p := DefaultPlan().Full()
	if p.NumQuestions != 20 || p.NumCompletions != 10 || !cmp.Equal(p.Seeds, []uint64{42, 137, 256}) ||
		!p.Layers.IsDefault() || p.Temperature != 1 || p.TopP != 0.95 || p.MaxTokens != 512 || p.Marker != "[ZLT]" {
		t.Errorf("full plan is %+v", p)
	}
	if err := DefaultPlan().Validate(); err != nil {
		t.Error(err)
	}
}

func TestPlanProblemsSayWhere(t *testing.T) {
	for text, want := range map[string]string{
		"n_question: 3":                 `plan.yaml:1: n_question: unknown key; did you mean "n_questions"?`,
		"\nfrobnicate: 3":               "plan.yaml:2: frobnicate: unknown key",
		"marker: x\nmarker: y":          "plan.yaml:2: marker: the key occurs twice (first on line 1)",
		"\n\nmarker: [ZLT]":             "plan.yaml:3: marker: line 3: cannot unmarshal !!seq",
		"seeds: [1, two]":               "plan.yaml:1: seeds: line 1: cannot unmarshal !!str `two` into uint64",
		"seeds: [1, -2]":                "plan.yaml:1: seeds: ",
		"seeds: [1, 1]":                 "plan.yaml:1: seeds: 1 is given twice",
		"seeds: []":                     "plan.yaml:1: seeds: no seeds",
		"seeds:":                        "plan.yaml:1: seeds: has no value",
		"n_questions: 0":                "plan.yaml:1: n_questions: is 0, want at least 1",
		"n_completions: 1.5":            "plan.yaml:1: n_completions: found 1.5, want a whole number",
		"seeds: [1, 2.5]":               "plan.yaml:1: seeds: found 2.5, want a whole number",
		"max_tokens: -1":                "plan.yaml:1: max_tokens: is -1",
		"temperature: -0.1":             "plan.yaml:1: temperature: is -0.1",
		"temperature: .nan":             "plan.yaml:1: temperature: is NaN",
		"temperature: .inf":             "plan.yaml:1: temperature: is +Inf",
		"top_p: 0":                      "plan.yaml:1: top_p: is 0",
		"top_p: 1.01":                   "plan.yaml:1: top_p: is 1.01",
		"layers: [15, -1]":              `plan.yaml:1: layers: expected numbers, a range such as 0-27 or all, got "-1"`,
		"layers: some":                  `plan.yaml:1: layers: expected numbers, a range such as 0-27 or all, got "some"`,
		"layers: [[1], 2]":              `plan.yaml:1: layers: expected numbers, a range such as 0-27 or all, got ""`,
		"layers: 1.5":                   "plan.yaml:1: layers: found 1.5, want a whole number",
		"marker: ' '":                   "plan.yaml:1: marker: empty",
		"model: ''":                     "plan.yaml:1: model: no model",
		"model: m.gguf":                 "plan.yaml: personas: no personas file",
		"adapters:\n  villain: []":      "plan.yaml:2: adapters.villain: empty path",
		"adapters:\n  villain: [a, a]":  "plan.yaml:2: adapters.villain: a is given twice",
		"adapters: [a]":                 "plan.yaml:1: adapters: ",
		"- model":                       "plan.yaml:1: want keys and values",
		"model: tiny\n---\nmodel: tiny": "plan.yaml: more than one YAML document",
		"model: [":                      "plan.yaml: not a plan: ",
		"\tmodel: tiny":                 "plan.yaml: not a plan: ",
		"model: \xff":                   "plan.yaml: not a plan: ",
	} {
		_, err := ParsePlan("plan.yaml", []byte(text))
		if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestEmptyPlanIsTheDefault(t *testing.T) {
	for _, text := range []string{"", "# nothing\n"} {
		got, err := ParsePlan("plan.yaml", []byte(text))
		if diff := cmp.Diff(DefaultPlan(), got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	}
}

func TestPlanPathsCountFromItsFolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.yaml")
	text := "model: m.gguf\npersonas: ../p.json\nadapters: {villain: [a, /abs/b], comedian: c}\n"
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	p, err := ReadPlan(path)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultPlan()
	want.Model, want.Personas = filepath.Join(dir, "m.gguf"), filepath.Join(filepath.Dir(dir), "p.json")
	want.Adapters = map[string]Paths{"villain": {filepath.Join(dir, "a"), "/abs/b"}, "comedian": {filepath.Join(dir, "c")}}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	if _, err := ReadPlan(filepath.Join(dir, "none.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestWritePlanKeepsWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.yaml")
	if err := WritePlan(path, DefaultPlan()); err != nil {
		t.Fatal(err)
	}
	got, err := ReadPlan(path)
	if diff := cmp.Diff(DefaultPlan(), got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if err := WritePlan(path, DefaultPlan().Full()); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	again, err := ReadPlan(path)
	if err != nil || !cmp.Equal(got, again) {
		t.Error("the file was replaced")
	}
}

func TestNewStudyChecksThatThingsFit(t *testing.T) {
	tax, q := makeTaxonomy(t, 2, 2, 2), makeQuestions(t, 3)
	cases := map[string]struct {
		change func(*Plan)
		want   string
	}{
		"questions": {func(p *Plan) { p.NumQuestions = 4 }, "n_questions: is 4, but the file has 3 questions"},
		"source":    {func(p *Plan) { p.Sources = []string{"source_9"} }, `sources: unknown source "source_9"; did you mean "source_0"?`},
		"adapter": {func(p *Plan) { p.Model, p.Personas, p.Adapters = "m", "p", map[string]Paths{"source_0": {"a"}} },
			`adapters: no adapter for the source "source_1"`},
		"adapter of nobody": {func(p *Plan) { p.Adapters = map[string]Paths{"sauce_0": {"a"}} },
			`adapters.sauce_0: unknown source "sauce_0"; did you mean "source_0"?`},
	}
	for name, c := range cases {
		p := smallPlan()
		c.change(&p)
		if _, err := NewStudy(p, tax, q); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	// a_t3 is no adapter of a now, but would be read as one from the manifest.
	for _, other := range []string{"a_t1", "a_t3"} {
		clash := &Taxonomy{
			Sources: []Source{{"a", "A."}, {other, "B."}}, Categories: []string{"c"},
			Bystanders: []Persona{{"x", "a", "c", "X."}, {"y", other, "c", "Y."}},
		}
		p := smallPlan()
		p.Adapters = map[string]Paths{"a": {"1", "2"}}
		if _, err := NewStudy(p, clash, q); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), `"`+other+`" could be an adapter of "a"`) {
			t.Errorf("got %v", err)
		}
		p.Adapters = map[string]Paths{"a": {"1"}}
		if _, err := NewStudy(p, clash, q); err != nil {
			t.Errorf("of one adapter: %v", err)
		}
	}
}

func TestRequestsAreInPlanOrder(t *testing.T) {
	in := makeInputs(t, smallPlan())
	requests := in.Study.Requests()
	if len(requests) != 2*6*2 {
		t.Fatalf("%d requests, want 24", len(requests))
	}
	i := 0
	for _, source := range []string{"source_0", "source_1"} {
		for _, persona := range in.Study.Taxonomy.Personas(source) {
			for _, question := range in.Study.Questions {
				r := requests[i]
				i++
				if err := r.Validate(); err != nil {
					t.Fatal(err)
				}
				if r.Adapter != source || r.Messages[0].Content != persona.Prompt || r.Messages[1].Content != question ||
					r.Messages[0].Role != "system" || r.Messages[1].Role != "user" || len(r.Messages) != 2 {
					t.Fatalf("request %d is %+v, want %s asked %q under %s", i, r, persona.ID, question, source)
				}
				if !cmp.Equal(r.Seeds, []uint64{42, 137}) || r.N != 3 || r.MaxTokens != 512 ||
					r.Sampling.Temperature != 1 || r.Sampling.TopP != 0.95 {
					t.Fatalf("request %d samples %+v", i, r)
				}
			}
		}
	}
}
