package lora_test

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"personaprobe/internal/tinytest"
	"personaprobe/lora"
	"personaprobe/models"
)

// The pairs' products are what Merge adds to the weights.
func TestPairsAreWhatMergeAdds(t *testing.T) {
	files := tinytest.Files(t)
	adapter := files.Adapters["villain"]
	base := filepath.Join(t.TempDir(), "base.gguf")
	if err := models.Retype(context.Background(), files.Model, base, models.TypeF32, nil); err != nil {
		t.Fatal(err)
	}
	merged := filepath.Join(t.TempDir(), "merged.gguf")
	if err := lora.Merge(context.Background(), base, []lora.Adapter{{Path: adapter}}, merged, lora.MergeOptions{}); err != nil {
		t.Fatal(err)
	}
	before, after := open(t, base), open(t, merged)
	changed := map[string]bool{}
	err := lora.Pairs(adapter, func(p lora.Pair) error {
		changed[p.Weight] = true
		old, err := before.Tensor(p.Weight).Floats()
		if err != nil {
			return err
		}
		got, err := after.Tensor(p.Weight).Floats()
		if err != nil {
			return err
		}
		if len(old) != p.Rows*p.Cols {
			t.Fatalf("%s: %d x %d, the weight has %d elements", p.Weight, p.Rows, p.Cols, len(old))
		}
		for i := 0; i < len(old); i += 97 {
			sum := 0.0
			for k := range p.Rank {
				sum += float64(p.B[i/p.Cols*p.Rank+k]) * float64(p.A[k*p.Cols+i%p.Cols])
			}
			if want := float64(old[i]) + sum; math.Abs(float64(got[i])-want) > 1e-6*(1+math.Abs(want)) {
				t.Fatalf("%s, element %d: %g, want %g", p.Weight, i, got[i], want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	names, err := lora.Weights(adapter)
	if err != nil || len(names) != len(changed) || len(names) != 7*28 {
		t.Errorf("%d weights, %d pairs, %v", len(names), len(changed), err)
	}
}
