package hidden

import (
	"math"
	"testing"

	"personaprobe/internal/golden"
)

// goldenRepresentation is the reference's centred centroids by layer.
type goldenRepresentation struct {
	layers []int
	at     map[int]*Centroids
}

func loadGolden(t testing.TB) (*goldenRepresentation, error) {
	t.Helper()
	c, err := golden.LoadCentroids()
	if err != nil {
		return nil, err
	}
	out := &goldenRepresentation{at: map[int]*Centroids{}}
	for _, set := range goldenSets(t)[:1] {
		out.layers = set.Layers
	}
	for _, l := range out.layers {
		if out.at[l], err = NewCentroids(c.Names, toFloat64(c.Layers[l].Values)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func abs(x float64) float64 { return math.Abs(x) }
