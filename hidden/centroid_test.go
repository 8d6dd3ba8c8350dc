package hidden

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func ExampleAccumulator() {
	a, err := NewAccumulator([]Group{{"pirate", 2}, {"poet", 1}, {"clerk", 1}}, 1, 2)
	if err != nil {
		panic(err)
	}
	for _, s := range []struct {
		group, member int
		state         []float32
	}{{2, 0, []float32{1, 2}}, {0, 1, []float32{3, 1}}, {0, 0, []float32{1, 1}}, {1, 0, []float32{0, 0}}} {
		if err := a.Add(s.group, s.member, [][]float32{s.state}); err != nil {
			panic(err)
		}
	}
	layers, err := a.Centroids()
	if err != nil {
		panic(err)
	}
	centred, mean, err := layers[0].Centre(CentreMean)
	if err != nil {
		panic(err)
	}
	cosine, err := centred.Cosine("pirate", "poet")
	fmt.Printf("pirate %v, mean %v, cosine %.4f %v\n", layers[0].Row(0), mean, cosine, err)
	// Output: pirate [2 1], mean [1 1], cosine -0.7071 <nil>
}

// The bits of a centroid must not depend on the order in which states arrive.
func TestCentroidsDoNotDependOnArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layers, width := rapid.IntRange(1, 3).Draw(t, "layers"), rapid.IntRange(1, 5).Draw(t, "width")
		var groups []Group
		type item struct{ group, member int }
		var items []item
		for g := range rapid.IntRange(1, 4).Draw(t, "groups") {
			size := rapid.IntRange(1, 6).Draw(t, "size")
			groups = append(groups, Group{fmt.Sprint(g), size})
			for m := range size {
				items = append(items, item{g, m})
			}
		}
		states := make(map[item][][]float32)
		for _, it := range items {
			for range layers {
				v := rapid.SliceOfN(rapid.Float32Range(-1e30, 1e30), width, width).Draw(t, "state")
				states[it] = append(states[it], v)
			}
		}
		run := func(order []item) []*Centroids {
			a, err := NewAccumulator(groups, layers, width)
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range order {
				lent := make([][]float32, layers) // the caller may reuse its buffers
				for k := range lent {
					lent[k] = slices.Clone(states[it][k])
				}
				if err := a.Add(it.group, it.member, lent); err != nil {
					t.Fatal(err)
				}
				for k := range lent {
					clear(lent[k])
				}
			}
			out, err := a.Centroids()
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		want, got := run(items), run(rapid.Permutation(items).Draw(t, "order"))
		for k := range want {
			if !slices.Equal(want[k].data, got[k].data) {
				t.Fatalf("layer %d: %v in order, %v out of order", k, want[k].data, got[k].data)
			}
			// And it is the mean.
			for i := range want[k].data {
				g, sum := i/width, 0.0
				for m := range groups[g].Size {
					sum += float64(states[item{g, m}][k][i%width])
				}
				if mean := sum / float64(groups[g].Size); want[k].data[i] != mean {
					t.Fatalf("component %d: %v, want %v", i, want[k].data[i], mean)
				}
			}
		}
	})
}

func TestAccumulatorRefusesBadStates(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	cases := map[string]struct {
		group, member int
		vectors       [][]float32
		want          string
	}{
		"group":   {1, 0, [][]float32{{1, 2}}, "group 1 of 1"},
		"member":  {0, 3, [][]float32{{1, 2}}, "a has 3 states, got number 3"},
		"summed":  {0, 0, [][]float32{{1, 2}}, "number 0 of a was given twice"},
		"waiting": {0, 2, [][]float32{{1, 2}}, "number 2 of a was given twice"},
		"layers":  {0, 1, nil, "0 layers, want 1"},
		"width":   {0, 1, [][]float32{{1}}, "width 1, want 2"},
		"nan":     {0, 1, [][]float32{{1, nan}}, "component 1 is NaN"},
		"inf":     {0, 1, [][]float32{{inf, 1}}, "component 0 is +Inf"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, err := NewAccumulator([]Group{{"a", 3}}, 1, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []int{0, 2} {
				if err := a.Add(0, m, [][]float32{{1, 2}}); err != nil {
					t.Fatal(err)
				}
			}
			err = a.Add(c.group, c.member, c.vectors)
			if !errors.Is(err, ErrState) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if _, err := a.Centroids(); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "number 1 of a is missing") {
				t.Errorf("got %v", err)
			}
			if err := a.Add(0, 1, [][]float32{{1, 2}}); err != nil {
				t.Errorf("the refused state did harm: %v", err)
			}
			if _, err := a.Centroids(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewRefusesBadShapes(t *testing.T) {
	for name, groups := range map[string][]Group{"none": nil, "empty": {{"a", 0}}, "twice": {{"a", 1}, {"a", 1}}} {
		if _, err := NewAccumulator(groups, 1, 1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := NewAccumulator([]Group{{"a", 1}}, 0, 1); err == nil {
		t.Error("no layers: no error")
	}
	if _, err := NewCentroids([]string{"a", "b"}, []float64{1, 2, 3}); err == nil {
		t.Error("ragged rows: no error")
	}
	if _, err := NewCentroids([]string{"a"}, []float64{math.NaN()}); !errors.Is(err, ErrState) {
		t.Errorf("NaN: %v", err)
	}
}

func TestCentre(t *testing.T) {
	c, err := NewCentroids([]string{"a", "b", "c"}, []float64{1, 2, 3, 4, 5, 9})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[Centring]struct{ data, centre []float64 }{
		CentreMean:    {[]float64{-2, -3, 0, -1, 2, 4}, []float64{3, 5}},
		"":            {[]float64{-2, -3, 0, -1, 2, 4}, []float64{3, 5}},
		CentreNone:    {[]float64{1, 2, 3, 4, 5, 9}, []float64{0, 0}},
		CentreOn("b"): {[]float64{-2, -2, 2, 5}, []float64{3, 4}},
	}
	for on, want := range cases {
		centred, centre, err := c.Centre(on)
		if err != nil || !slices.Equal(centred.data, want.data) || !slices.Equal(centre, want.centre) {
			t.Errorf("%q: %v, centre %v, %v", on, centred, centre, err)
		}
	}
	if centred, _, _ := c.Centre(CentreOn("b")); !slices.Equal(centred.Names(), []string{"a", "c"}) {
		t.Errorf("rows are %v", centred.Names())
	}
	if !slices.Equal(c.data, []float64{1, 2, 3, 4, 5, 9}) {
		t.Errorf("the original changed: %v", c.data)
	}
	for _, on := range []Centring{"median", CentreOn("z"), "source:"} {
		if _, _, err := c.Centre(on); err == nil {
			t.Errorf("%q: no error", on)
		}
	}
}
