package experiment

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"personaprobe/internal/atomicfile"
	"personaprobe/internal/tinytest"
	"personaprobe/models/tiny"
)

// A run names its base model as people do, not by the copy in the cache.
func TestManifestNamesTheModel(t *testing.T) {
	files, dir := tinytest.Float32(t)
	t.Setenv("PERSONAPROBE_CACHE", filepath.Join(dir, "cache"))
	plan := DefaultPlan()
	plan.Model, plan.Personas, plan.Questions = filepath.Join(dir, "hf"), filepath.Join(dir, "taxonomy.json"), filepath.Join(dir, "questions.json")
	if err := atomicfile.WriteFile(plan.Questions, tiny.Questions()); err != nil {
		t.Fatal(err)
	}
	plan.Sources = []string{"villain"}
	plan.Adapters = map[string]Paths{"villain": {files.Adapters["villain"]}}
	s, err := Open(context.Background(), plan, SessionOptions{Build: "test", CPU: true, Threads: 1, Slots: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if m := s.Inputs.manifest(time.Now()); m.Base != "hf" {
		t.Errorf("%s is called %q", m.Paths["model"], m.Base)
	}
}
