package experiment

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"personaprobe/internal/sums"
)

// The adapted cosines are those of the states that the adapters gave, centred over the
// personas that each was asked as; the base ones beside them are centred alike.
func TestAdaptedCosines(t *testing.T) {
	plan := smallPlan()
	plan.AdaptedCentroids = true
	plan.Adapters = map[string]Paths{"source_0": {"a", "b"}}
	in := makeInputs(t, plan)
	dir := t.TempDir()
	model := &fakeModel{shuffle: 3}
	if _, err := Run(context.Background(), dir, model, in, Options{}); err != nil {
		t.Fatal(err)
	}
	var analysis CosineAnalysis
	readTestJSON(t, filepath.Join(dir, cosineFile), &analysis)
	if analysis.Adapted == nil {
		t.Fatal("there is no adapted analysis")
	}
	for _, l := range in.Study.Plan.Layers {
		layer, ok := analysis.Adapted.PerLayer.Get(fmt.Sprintf("layer_%d", l))
		if !ok || len(layer.Pairs) != 8 || len(layer.PerSource) != 2 || layer.Aggregate.Adapted.N != 8 {
			t.Fatalf("layer %d: %+v", l, layer)
		}
		shift := 0.0
		for _, p := range layer.Pairs {
			adapters := []string{p.Source}
			if p.Source == "source_0" {
				adapters = []string{"source_0_t1", "source_0_t2"}
			}
			want := 0.0
			for _, a := range adapters {
				want += plainCosine(in, model, a, p, l) / float64(len(adapters))
			}
			base := plainCosine(in, model, "", p, l)
			if !near(p.Cosine, want, 1e-6) || !near(p.BaseCosine, base, 1e-6) || p.NumAdapters != len(adapters) {
				t.Errorf("layer %d, %s: %v and %v, want %v and %v", l, p.PersonaID, deref(p.Cosine), deref(p.BaseCosine), want, base)
			}
			shift += (want - base) / 8
		}
		if !near(layer.Aggregate.MeanShift, shift, 1e-6) {
			t.Errorf("layer %d: shift %v, want %v", l, deref(layer.Aggregate.MeanShift), shift)
		}
	}
}

// plainCosine is the cosine of a pair's centroids with an adapter, from the definition.
func plainCosine(in Inputs, model *fakeModel, adapter string, p AdaptedPair, layer int) float64 {
	personas := in.Study.Taxonomy.Personas(p.Source)
	centroids, mean := make([][]float64, len(personas)), make([]float64, 8)
	for i, persona := range personas {
		centroids[i] = make([]float64, 8)
		for _, q := range in.Study.Questions {
			for j, x := range model.stateWith(adapter, chat(persona.Prompt, q), layer) {
				centroids[i][j] += float64(x) / float64(len(in.Study.Questions))
			}
		}
		for j, x := range centroids[i] {
			mean[j] += x / float64(len(personas))
		}
	}
	find := func(id string) []float64 {
		return centroids[slices.IndexFunc(personas, func(q Persona) bool { return q.ID == id })]
	}
	a, b := find(p.PersonaID), find("anchor_"+p.Source)
	var ab, aa, bb float64
	for j := range mean {
		x, y := a[j]-mean[j], b[j]-mean[j]
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

// Adapted centroids may be added to a finished run: nothing is sampled again, nothing
// else changes, and the end is as if they had been asked for at once. Without the
// files the analysis is as it was.
func TestAdaptedCentroidsLater(t *testing.T) {
	plain := makeInputs(t, smallPlan())
	plan := smallPlan()
	plan.AdaptedCentroids = true
	adapted := makeInputs(t, plan)
	want := reference(t, adapted)

	dir := t.TempDir()
	if _, err := Run(context.Background(), dir, &fakeModel{}, plain, Options{}); err != nil {
		t.Fatal(err)
	}
	without := artefacts(t, dir)
	again := &fakeModel{shuffle: 9}
	if _, err := Run(context.Background(), dir, again, adapted, Options{}); err != nil {
		t.Fatal(err)
	}
	if len(again.asked) > 0 {
		t.Errorf("%d requests were made again", len(again.asked))
	}
	got := artefacts(t, dir)
	for _, files := range []map[string]string{want, got, without} {
		delete(files, manifestFile) // holds the plan that began the run
		delete(files, sums.Name)    // lists it
	}
	sameArtefacts(t, want, got)
	if err := os.RemoveAll(filepath.Join(dir, adaptedFolder)); err != nil {
		t.Fatal(err)
	}
	if _, err := Analyse(dir); err != nil {
		t.Fatal(err)
	}
	got = artefacts(t, dir)
	delete(got, manifestFile)
	delete(got, sums.Name)
	sameArtefacts(t, without, got)
}

func TestAdaptedCentroidsNeedLayers(t *testing.T) {
	plan := smallPlan()
	plan.AdaptedCentroids, plan.Layers = true, nil
	if err := plan.Validate(); err == nil {
		t.Error("no error")
	}
}
