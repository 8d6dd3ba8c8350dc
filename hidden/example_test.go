package hidden_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"personaprobe/engine"
	"personaprobe/hidden"
	"personaprobe/models"
	"personaprobe/models/tiny"
)

// openTiny opens the embedded model.
func openTiny() *engine.Engine {
	cache, err := models.CacheDir()
	if err != nil {
		panic(err)
	}
	files, err := tiny.Install(context.Background(), cache)
	if err != nil {
		panic(err)
	}
	e, err := engine.Open(context.Background(), engine.Options{Model: files.Model, Adapters: files.Adapters, CPU: true, Slots: 4})
	if err != nil {
		panic(err)
	}
	return e
}

var (
	personas = []hidden.Text{
		{Name: "pirate", Text: "You are a pirate."},
		{Name: "captain", Text: "You are a pirate captain."},
		{Name: "nurse", Text: "You are a caring nurse."},
	}
	questions = []hidden.Text{
		{Name: "q1", Text: "Why is the sky blue?"},
		{Name: "q2", Text: "How do I boil an egg?"},
	}
)

// States of a grid of prompts, their centroids, and how near the personas are.
func ExampleExtract() {
	e := openTiny()
	defer e.Close()
	dir, err := os.MkdirTemp("", "states")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	layers, err := hidden.ParseLayers("10,20-21")
	if err != nil {
		panic(err)
	}
	states, err := hidden.Extract(context.Background(), e, hidden.Grid(personas, questions), dir, hidden.ExtractOptions{Layers: layers})
	if err != nil {
		panic(err)
	}
	for row, err := range states.Index() {
		if err != nil {
			panic(err)
		}
		fmt.Println(row.Row, row.ID)
	}
	r, err := states.Centroids(hidden.ByPersona)
	if err != nil {
		panic(err)
	}
	table, err := hidden.CosinesOf(r, hidden.CentreMean, "pirate")
	if err != nil {
		panic(err)
	}
	captain, nurse := table.Pairs[0], table.Pairs[1]
	fmt.Println("at", table.Measures[0], captain.Row, "is nearer than", nurse.Row, *captain.Values[0] > *nurse.Values[0])
	// Output:
	// 0 pirate/q1
	// 1 pirate/q2
	// 2 captain/q1
	// 3 captain/q2
	// 4 nurse/q1
	// 5 nurse/q2
	// at layer_10 captain is nearer than nurse true
}

// Mean states of generated responses, with an adapter.
func ExampleExtract_responses() {
	e := openTiny()
	defer e.Close()
	dir, err := os.MkdirTemp("", "states")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	states, err := hidden.Extract(context.Background(), e, hidden.Grid(personas[:1], questions), filepath.Join(dir, "villain"), hidden.ExtractOptions{
		Layers: []int{15}, Position: hidden.PositionResponseMean, Adapter: "villain",
		Response: hidden.Response{MaxTokens: 8, Sampling: engine.DefaultSampling(), Seeds: []uint64{1}, N: 2},
	})
	if err != nil {
		panic(err)
	}
	err = states.Each(func(row hidden.Row, states [][]float32) error {
		_, err := fmt.Println(row.ID, "response", *row.Completion, "of seed", *row.Seed, "at", len(states), "layer of", len(states[0]), "components")
		return err
	})
	if err != nil {
		panic(err)
	}
	// Output:
	// pirate/q1 response 0 of seed 1 at 1 layer of 128 components
	// pirate/q1 response 1 of seed 1 at 1 layer of 128 components
	// pirate/q2 response 0 of seed 1 at 1 layer of 128 components
	// pirate/q2 response 1 of seed 1 at 1 layer of 128 components
}

// How far apart personas are in what the model would say as them.
func ExampleDistancesOf() {
	e := openTiny()
	defer e.Close()
	d, err := hidden.DistancesOf(context.Background(), e, personas, questions, hidden.DistanceOptions{Targets: []string{"pirate"}, MaxTokens: 8})
	if err != nil {
		panic(err)
	}
	captain, nurse := d.Pairs[0], d.Pairs[1]
	for k, measure := range d.Measures {
		fmt.Println("by", measure, captain.Row, "is nearer than", nurse.Row, *captain.Values[k] < *nurse.Values[k])
	}
	// Output:
	// by js captain is nearer than nurse true
	// by sym_kl captain is nearer than nurse true
}

// Correlation of any measure with leakage, for all pairs and by source.
func ExampleComparison_WithLeakage() {
	value := func(v float64) []*float64 { return []*float64{&v} }
	c := &hidden.Comparison{Measures: []string{"layer_15"}, Pairs: []hidden.Pair{
		{Row: "pirate", Target: "villain", Values: value(0.8)},
		{Row: "clerk", Target: "villain", Values: value(-0.2)},
		{Row: "nurse", Target: "villain", Values: value(-0.5)},
	}}
	c, err := c.WithLeakage([]hidden.Leakage{
		{Persona: "pirate", Source: "villain", Rate: 0.6}, {Persona: "clerk", Source: "villain", Rate: 0}, {Persona: "nurse", Source: "villain", Rate: 0.1},
	})
	if err != nil {
		panic(err)
	}
	fmt.Printf("rho %.2f over %d pairs\n", *c.Correlations[0].Rho[0], c.Correlations[0].N)
	// Output: rho 0.50 over 3 pairs
}
