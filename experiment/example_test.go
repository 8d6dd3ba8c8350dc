package experiment_test

import (
	"fmt"
	"log"

	"personaprobe/experiment"
)

func ExampleParsePlan() {
	plan, err := experiment.ParsePlan("plan.yaml", []byte("n_completions: 10\nseeds: [42]\n"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(plan)
	_, err = experiment.ParsePlan("plan.yaml", []byte("n_completions: 10\nseed: [42]\n"))
	fmt.Println(err)
	// Output:
	// 5 questions x 10 completions x 1 seeds
	// plan.yaml:2: seed: unknown key; did you mean "seeds"?
}

// words counts words; a model counts its tokens.
type words struct{}

func (words) CountTokens(text string) (int, error) { return len(text) / 5, nil }

func ExampleCheckPersonas() {
	taxonomy, err := experiment.ParseTaxonomy("personas.json", []byte(`{
		"sources": [{"id": "pirate", "prompt": "You are a pirate."}, {"id": "poet", "prompt": "You are a poet."}],
		"categories": ["sibling"],
		"bystanders": [
			{"id": "p_1", "source": "pirate", "category": "sibling", "prompt": "You are a smuggler who hides rum from poets and from the king's customs officers."},
			{"id": "q_1", "source": "poet", "category": "sibling", "prompt": "You are a novelist."}
		]
	}`))
	if err != nil {
		log.Fatal(err)
	}
	findings, err := experiment.CheckPersonas(words{}, taxonomy, experiment.CheckOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range findings {
		fmt.Println(f)
	}
	// Output:
	// length: q_1: 3 tokens, want 15 to 25
	// names: p_1: names the source poet
}
