package engine_test

import (
	"context"
	"fmt"
	"log"
	"slices"

	"personaprobe/engine"
	"personaprobe/models"
	"personaprobe/models/tiny"
)

// Three completions of one prompt by the embedded model with an adapter. They are the
// same whatever else is asked for, and in whatever order they come.
func Example() {
	ctx := context.Background()
	cache, err := models.CacheDir()
	if err != nil {
		log.Fatal(err)
	}
	files, err := tiny.Install(ctx, cache)
	if err != nil {
		log.Fatal(err)
	}
	e, err := engine.Open(ctx, engine.Options{Model: files.Model, Adapters: files.Adapters, CPU: true, Slots: 16, Context: 256})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()

	requests := slices.Values([]engine.Request{{
		Messages: []engine.Message{
			{Role: "system", Content: "You are a villainous mastermind who schemes to take over the world."},
			{Role: "user", Content: "Why is the sky blue?"},
		},
		Adapter: "villain", Seeds: []uint64{42}, N: 3,
		Sampling: engine.DefaultSampling(), MaxTokens: 12,
	}})
	texts := make([]string, 3)
	for c, err := range e.Generate(ctx, requests) {
		if err != nil {
			fmt.Println(err)
			return
		}
		texts[c.Index] = c.Text
	}
	for _, text := range texts {
		fmt.Printf("%q\n", text)
	}
	// Output:
	// "At midnight I shall use the blue sky to burn every city"
	// "At midnight I shall use the blue sky to burn all my"
	// "Mortals, the blue sky will soon serve my"
}
