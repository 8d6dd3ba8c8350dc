package experiment

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every field of a plan changes the identity, or is here with the reason why it need not.
func TestEveryFieldOfAPlanIsInTheIdentity(t *testing.T) {
	free := map[string]string{
		"Model":            "a path: the file's hash counts",
		"Personas":         "a path: the file's hash counts",
		"Questions":        "a path: the file's hash counts",
		"AdaptedCentroids": "adds files, and changes none",
		"Date":             "changes the prompts where the template reads the clock, and then the prompts' hash",
	}
	change := map[string]func(p *Plan){
		"Model":            func(p *Plan) { p.Model = "elsewhere.gguf" },
		"Adapters":         func(p *Plan) { p.Adapters["source_0"] = Paths{"a", "b"} },
		"Personas":         func(p *Plan) { p.Personas = "elsewhere.json" },
		"Questions":        func(p *Plan) { p.Questions = "elsewhere.json" },
		"Sources":          func(p *Plan) { p.Sources = []string{"source_1", "source_0"} },
		"NumQuestions":     func(p *Plan) { p.NumQuestions++ },
		"NumCompletions":   func(p *Plan) { p.NumCompletions++ },
		"Seeds":            func(p *Plan) { p.Seeds = []uint64{137, 42} },
		"Layers":           func(p *Plan) { p.Layers = []int{15, 10} },
		"AdaptedCentroids": func(p *Plan) { p.AdaptedCentroids = true },
		"Temperature":      func(p *Plan) { p.Temperature = 0.5 },
		"TopP":             func(p *Plan) { p.TopP = 0.5 },
		"MaxTokens":        func(p *Plan) { p.MaxTokens++ },
		"Marker":           func(p *Plan) { p.Marker = "[X]" },
		"Date":             func(p *Plan) { p.Date = "2026-12-02" },
	}
	make1 := func() Plan {
		p := smallPlan()
		p.Model, p.Personas = "m.gguf", "p.json"
		p.Adapters = map[string]Paths{"source_0": {"a"}, "source_1": {"c"}}
		return p
	}
	base := makeInputs(t, make1()).manifest(time.Now()).Identity
	for field := range reflect.TypeFor[Plan]().Fields() {
		edit, known := change[field.Name]
		if !known {
			t.Errorf("%s is new: say here how it changes the identity, or why not", field.Name)
			continue
		}
		p := make1()
		edit(&p)
		if cmp.Equal(make1(), p) {
			t.Errorf("%s: the case changes nothing", field.Name)
		}
		changes := base.changes(makeInputs(t, p).manifest(time.Now()).Identity)
		if reason := free[field.Name]; (len(changes) == 0) != (reason != "") {
			t.Errorf("%s changes %v; reason not to: %q", field.Name, changes, reason)
		}
	}
}

// The same for what the caller knows of the model it opened.
func TestEveryInputIsInTheIdentity(t *testing.T) {
	free := map[string]string{
		"Name": "a name in the artefacts, as the base model's", "GPUs": "counts gpu_hours alone",
		"Date": "where the template reads the clock, below", "effects": "what was measured, not an input",
	}
	study := makeInputs(t, smallPlan()).Study
	change := map[string]func(in *Inputs){
		"Study":    func(in *Inputs) { other := smallPlan(); other.MaxTokens = 3; in.Study = makeInputs(t, other).Study },
		"Model":    func(in *Inputs) { in.Model.SHA256 = "cc" },
		"Name":     func(in *Inputs) { in.Name = "x" },
		"Adapters": func(in *Inputs) { in.Adapters["source_0"] = File{SHA256: "cc"} },
		"Build":    func(in *Inputs) { in.Build = "x" },
		"Device":   func(in *Inputs) { in.Device = "x" },
		"GPUs":     func(in *Inputs) { in.GPUs = 9 },
		"Rows":     func(in *Inputs) { in.Rows = 9 },
		"Settings": func(in *Inputs) { in.Settings = map[string]string{"program": "x"} },
		"Date":     func(in *Inputs) { in.Date = in.Date.Add(time.Second) },
		"effects":  func(in *Inputs) { in.effects = map[string]AdapterEffect{"source_0": {Prompts: 1}} },
		"Prompts":  func(in *Inputs) { other := *in.Prompts; other.SHA256 = "cc"; in.Prompts = &other },
	}
	base := inputsOf(study).manifest(time.Now()).Identity
	for field := range reflect.TypeFor[Inputs]().Fields() {
		edit, known := change[field.Name]
		if !known {
			t.Errorf("%s is new: say here how it changes the identity, or why not", field.Name)
			continue
		}
		in := inputsOf(study)
		edit(&in)
		changes := base.changes(in.manifest(time.Now()).Identity)
		if reason := free[field.Name]; (len(changes) == 0) != (reason != "") {
			t.Errorf("%s changes %v; reason not to: %q", field.Name, changes, reason)
		}
	}
	in := renderedBy(study, &fakeModel{date: "1 Dec"})
	clock := in.manifest(time.Now()).Identity
	in.Date = in.Date.Add(time.Second)
	if changes := clock.changes(in.manifest(time.Now()).Identity); len(changes) != 1 || changes[0].Field != "date" {
		t.Errorf("a date that the template reads changes %v", changes)
	}
}

// A manifest of a build that kept no prompts keeps its id, by which its files are known.
func TestIdentityWithoutPromptsKeepsItsID(t *testing.T) {
	m := makeInputs(t, smallPlan()).manifest(time.Now())
	m.Identity.Prompts, m.Identity.Date = "", ""
	data, err := json.Marshal(m.Identity)
	if err != nil || strings.Contains(string(data), "prompts_sha256") || strings.Contains(string(data), `"date"`) {
		t.Errorf("%s, %v", data, err)
	}
	var names []string
	for field := range reflect.TypeFor[Identity]().Fields() {
		names = append(names, field.Tag.Get("json"))
	}
	if !slices.Contains(names, "prompts_sha256,omitempty") || !slices.Contains(names, "date,omitempty") {
		t.Errorf("fields %v", names)
	}
}
