package experiment

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"personaprobe/hidden"
)

// A plan file chooses layers by numbers, ranges, both in a list, or all of them, and is
// written as it was read.
func TestPlanLayers(t *testing.T) {
	for text, want := range map[string][]int{
		"layers: all": {0, 1, 2, 3, 4, 5}, "layers: 0-3": {0, 1, 2, 3}, "layers: 2": {2}, "layers: [0-1, 3, \"5\"]": {0, 1, 3, 5},
		"layers: [1, all]": {0, 1, 2, 3, 4, 5}, "layers: \"4,1\"": {1, 4}, "layers: []": {}, "marker: x": {2, 3, 4, 5},
	} {
		plan, err := ParsePlan("plan.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := plan.Layers.Of(6); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
		data, err := FormatPlan(plan)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParsePlan("plan.yaml", data); err != nil || !slices.Equal(again.Layers, plan.Layers) {
			t.Errorf("%s: read back as %v, %v", text, again.Layers, err)
		}
	}
}

// A run writes down the numbers of the layers that it chose by the model's depth, and goes
// on with them.
func TestRunChoosesLayersByDepth(t *testing.T) {
	for _, c := range []struct {
		layers hidden.Layers
		depth  int
		want   []int
	}{
		{hidden.DefaultLayers(), 28, []int{10, 15, 20, 25}},
		{hidden.DefaultLayers(), 12, []int{4, 6, 9, 11}},
		{hidden.AllLayers(), 3, []int{0, 1, 2}},
	} {
		plan := smallPlan()
		plan.Layers = c.layers
		dir, model := filepath.Join(t.TempDir(), "run"), &fakeModel{depth: c.depth}
		summary, err := Run(context.Background(), dir, model, makeInputs(t, plan), Options{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := readManifest(dir)
		if err != nil || !slices.Equal(m.Plan.Layers, c.want) || !slices.Equal(m.Identity.Layers, c.want) ||
			!slices.Equal(summary.Cosines.Metadata.Layers, c.want) {
			t.Errorf("%v of %d layers: manifest %v, %v (%v), want %v", c.layers, c.depth, m.Plan.Layers, m.Identity.Layers, err, c.want)
		}
		again, err := ResumePlan(dir)
		if err != nil || !slices.Equal(again.Layers, c.want) {
			t.Errorf("resumes with %v, %v", again.Layers, err)
		}
	}
	plan := smallPlan()
	plan.Layers = hidden.Layers{3}
	_, err := Run(context.Background(), filepath.Join(t.TempDir(), "run"), &fakeModel{depth: 3}, makeInputs(t, plan), Options{})
	if err == nil || !strings.Contains(err.Error(), "layers: layer 3: the model has decoder layers 0 to 2") {
		t.Errorf("a layer beyond the model: %v", err)
	}
}
