package hidden

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"personaprobe/internal/golden"
)

func TestCosineKnownAngles(t *testing.T) {
	cases := []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 0}, []float64{0, 1}, 0},
		{[]float64{1, 0}, []float64{1, 1}, math.Sqrt2 / 2},
		{[]float64{3, 4}, []float64{-3, -4}, -1},
		{[]float64{1, 2, 3}, []float64{4, 5, 6}, 0.9746318461970762}, // 32/sqrt(14*77)
		{[]float64{1e300, 0}, []float64{1e300, 1e300}, math.Sqrt2 / 2},
		{[]float64{1e-300, 0}, []float64{1e-300, 1e-300}, math.Sqrt2 / 2},
		{[]float64{5e-324, 5e-324}, []float64{1, 1}, 1},
	}
	for _, c := range cases {
		if got, err := Cosine(c.a, c.b); err != nil || math.Abs(got-c.want) > 1e-15 {
			t.Errorf("cosine of %v and %v is %v (%v), want %v", c.a, c.b, got, err, c.want)
		}
	}
}

func TestCosineWithoutValueIsAnError(t *testing.T) {
	if _, err := Cosine([]float64{0, 0}, []float64{1, 0}); !errors.Is(err, ErrZeroNorm) {
		t.Errorf("zero first: %v", err)
	}
	if _, err := Cosine([]float64{1, 0}, []float64{0, 0}); !errors.Is(err, ErrZeroNorm) {
		t.Errorf("zero second: %v", err)
	}
	if _, err := Cosine([]float64{1}, []float64{1, 0}); err == nil {
		t.Error("lengths differ: no error")
	}
	if _, err := Cosine([]float64{math.Inf(1)}, []float64{1}); !errors.Is(err, ErrState) {
		t.Errorf("infinite: %v", err)
	}
	c, err := NewCentroids([]string{"a", "zero"}, []float64{1, 2, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CosineMatrix(); !errors.Is(err, ErrZeroNorm) || !strings.Contains(err.Error(), "row zero") {
		t.Errorf("matrix: %v", err)
	}
	if _, err := c.Cosine("a", "nobody"); err == nil {
		t.Error("unknown row: no error")
	}
}

func TestCosineProperties(t *testing.T) {
	vector := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 4, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := vector.Draw(t, "a"), vector.Draw(t, "b")
		ab, err := Cosine(a, b)
		if errors.Is(err, ErrZeroNorm) {
			return
		}
		ba, _ := Cosine(b, a)
		self, _ := Cosine(a, a)
		if err != nil || ab != ba || ab < -1 || ab > 1 || math.IsNaN(ab) || math.Abs(self-1) > 1e-15 {
			t.Fatalf("%v, %v, self %v, %v", ab, ba, self, err)
		}
		scaled := make([]float64, len(a))
		for i := range a {
			scaled[i] = -8 * a[i]
		}
		if s, _ := Cosine(scaled, b); math.Abs(s+ab) > 1e-14 {
			t.Fatalf("cosine of -8a and b is %v, of a and b %v", s, ab)
		}
	})
}

func TestCosineMatrixIsSymmetric(t *testing.T) {
	c, err := NewCentroids([]string{"a", "b", "c"}, []float64{1, 2, 3, -4, 5, 7, 0.1, 0.2, -9})
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.CosineMatrix()
	if err != nil {
		t.Fatal(err)
	}
	for i := range m {
		for j := range m {
			want, _ := Cosine(c.Row(i), c.Row(j))
			if m[i][j] != m[j][i] || m[i][j] != want {
				t.Errorf("[%d][%d] is %v, [%d][%d] %v, the pair's %v", i, j, m[i][j], j, i, m[j][i], want)
			}
		}
	}
}

// The reference computed its cosines with another program from the same states.
func TestCosinesOfTheGoldenCentroids(t *testing.T) {
	centroids, err := golden.LoadCentroids()
	if err != nil {
		t.Fatal(err)
	}
	leakage, err := golden.LoadLeakage()
	if err != nil {
		t.Fatal(err)
	}
	sets, err := golden.Load()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for layer, rows := range goldenLayers(t, centroids) {
		key := fmt.Sprint(layer)
		check := func(what, a, b string, want float64) {
			got, err := rows.Cosine(a, b)
			if err != nil || math.Abs(got-want) > 1e-6 {
				t.Errorf("%s, layer %d: cosine of %s and %s is %v (%v), want %v", what, layer, a, b, got, err, want)
			}
			checked++
		}
		for _, set := range sets {
			for _, c := range set.Cosines {
				check("golden_"+set.Name, c.ID, c.Source, c.Cos[key])
			}
		}
		for _, r := range leakage.Rows {
			check("leakage", r.ID, r.Source, r.Cos[key])
		}
		for a, others := range leakage.SourceCos[key] {
			for b, want := range others {
				check("source_cos", a, b, want)
			}
		}
	}
	if checked < 4*(100+200+25) {
		t.Errorf("only %d cosines were there to check", checked)
	}
}

// goldenLayers are the golden centroids by layer. They are centred already: their mean
// must be nothing beside them.
func goldenLayers(t *testing.T, g *golden.Centroids) map[int]*Centroids {
	t.Helper()
	out := make(map[int]*Centroids)
	for _, layer := range []int{10, 15, 20, 25} {
		array, ok := g.Layers[layer]
		if !ok {
			t.Fatalf("layer %d is missing", layer)
		}
		data := make([]float64, len(array.Values))
		for i, x := range array.Values {
			data[i] = float64(x)
		}
		c, err := NewCentroids(g.Names, data)
		if err != nil {
			t.Fatal(err)
		}
		_, mean, err := c.Centre(CentreMean)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range mean {
			if math.Abs(x) > 1e-4 {
				t.Errorf("layer %d, component %d: the mean is %v", layer, i, x)
			}
		}
		out[layer] = c
	}
	return out
}
