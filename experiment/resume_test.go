package experiment

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A run directory knows the plan that began it, with paths that hold anywhere, and
// has its own copies of personas and questions.
func TestResumePlan(t *testing.T) {
	plan := smallPlan()
	plan.Model, plan.Personas, plan.Questions = "models/fake.gguf", "personas.json", "q.json"
	plan.Adapters = map[string]Paths{"s1": {"adapters/one", "/abs/two"}, "s0": {"three"}}
	taxonomy := makeTaxonomy(t, 2, 2, 2)
	for source, id := range map[string]int{"s0": 0, "s1": 1} {
		if paths, id := plan.Adapters[source], taxonomy.Sources[id].ID; id != source {
			plan.Adapters[id] = paths
			delete(plan.Adapters, source)
		}
	}
	study, err := NewStudy(plan, taxonomy, makeQuestions(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	if _, err := Run(context.Background(), dir, &fakeModel{}, inputsOf(study), Options{}); err != nil {
		t.Fatal(err)
	}
	got, err := ResumePlan(dir)
	if err != nil {
		t.Fatal(err)
	}
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := plan
	want.Model = filepath.Join(cwd, "models/fake.gguf")
	want.Personas, want.Questions = filepath.Join(dir, "taxonomy.json"), filepath.Join(dir, "questions.json")
	want.Adapters = map[string]Paths{
		taxonomy.Sources[1].ID: {filepath.Join(cwd, "adapters/one"), "/abs/two"},
		taxonomy.Sources[0].ID: {filepath.Join(cwd, "three")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if study.Plan.Adapters[taxonomy.Sources[0].ID][0] != "three" {
		t.Error("writing the manifest changed the study's plan")
	}
	if _, err := ResumePlan(t.TempDir()); !errors.Is(err, ErrRunDir) {
		t.Errorf("an empty folder: %v", err)
	}
}
