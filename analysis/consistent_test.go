package analysis

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// Shards that say different things of one persona end the analysis: the error names
// the persona, both files and both values.
func TestShardsMustAgree(t *testing.T) {
	for _, c := range []struct {
		name, old, text string
		want            []string
	}{
		{"category", `"a_x_0":{"category":"x"`, `"a_x_0":{"category":"y"`, []string{"persona a_x_0", "category", `"x" in a_seed1`, `"y" in a_seed2`}},
		{"prompt", `You are a_x_0 of x.`, `You are somebody else.`, []string{"persona a_x_0", "prompt", `"You are a_x_0 of x." in a_seed1`, `"You are somebody else." in a_seed2`}},
		{"source", `"source":"a"`, `"source":"b"`, []string{"source", `"a" in a_seed1`, `"b" in a_seed2`}},
		{"an anchor's prompt", `You are anchor_b of anchor.`, `You are b.`, []string{"persona anchor_b", `"You are b." in a_seed2`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := smallDesign().write(t)
			replaceIn(t, filepath.Join(dir, "a_seed2", evalFile), c.old, c.text)
			_, err := Analyze(context.Background(), dir, quick)
			if !errors.Is(err, ErrInput) {
				t.Fatalf("got %v, want an ErrInput", err)
			}
			for _, text := range c.want {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%v does not say %s", err, text)
				}
			}
		})
	}
}

// In a run all shards may agree and still not be of its taxonomy.
func TestShardsMustFitTheTaxonomy(t *testing.T) {
	d := smallDesign()
	dir := d.write(t)
	d.asRun(t, dir)
	remove(t, filepath.Join(dir, cosineFile))
	for _, shard := range []string{"a_seed1", "a_seed2", "a_seed3"} {
		replaceIn(t, filepath.Join(dir, shard, evalFile), `"a_x_0":{"category":"x"`, `"a_x_0":{"category":"y"`)
	}
	_, err := Analyze(context.Background(), dir, quick)
	if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), `persona a_x_0: its category is "x" in taxonomy.json and "y" in a_seed1/marker_eval.json`) {
		t.Errorf("%v", err)
	}
}

// A category that one shard lacks is that of the others.
func TestMissingCategoryIsTaken(t *testing.T) {
	dir := smallDesign().write(t)
	replaceIn(t, filepath.Join(dir, "a_seed1", evalFile), `"a_x_0":{"category":"x"`, `"a_x_0":{"category":""`)
	if p := analyse(t, dir, quick).Personas[0]; p.ID != "a_x_0" || p.Category != "x" {
		t.Errorf("%+v", p)
	}
}

// Nor may the cosines have another category than the shards.
func TestCosinesMustAgree(t *testing.T) {
	dir := smallDesign().write(t)
	replaceField(t, dir, "category", `"z"`)
	_, err := Analyze(context.Background(), dir, quick)
	if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), `persona a_x_0: its category is "z" in`) {
		t.Errorf("%v", err)
	}
}
