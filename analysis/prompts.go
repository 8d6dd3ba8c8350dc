package analysis

import (
	"context"
	"fmt"
	"math"

	"personaprobe/engine"
	"personaprobe/internal/sums"
)

// Prompt is a persona's system prompt beside its source's.
type Prompt struct {
	ID, Source string
	Text       string // the persona's
	SourceText string // its source's
}

// ReadPrompts reads the bystanders' prompts of the artefacts in dir, from the personas
// file if one is given, else from the run's own, else from the marker_eval.json files.
// Bystanders without a prompt, or whose source has none, are left out.
func ReadPrompts(dir, personas string) ([]Prompt, error) {
	d, _, _, err := read(dir, Options{Personas: personas})
	if err != nil {
		return nil, err
	}
	var out []Prompt
	for _, r := range d.bystanders(nil) {
		if source := d.prompts[r.source]; r.prompt != "" && source != "" {
			out = append(out, Prompt{ID: r.id, Source: r.source, Text: r.prompt, SourceText: source})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s has no prompts; give a personas file", ErrInput, dir)
	}
	return out, nil
}

// Model is what the numbers that need the base model ask of it.
type Model interface {
	// MeanStates is, for each text, the mean over its tokens of the output of the last
	// decoder layer: no chat template, no adapter.
	MeanStates(ctx context.Context, texts []string) ([][]float32, error)

	// Answers is, for each chat, how likely the reply begins with each of the answers,
	// which are one token each: probabilities that sum to 1 over the answers.
	Answers(ctx context.Context, chats [][]engine.Message, answers []string) ([][]float64, error)
}

// SemanticSimilarity is, by persona id, the cosine of the model's mean-pooled
// embeddings of the persona's prompt and its source's; see [Model.MeanStates].
func SemanticSimilarity(ctx context.Context, m Model, prompts []Prompt) (map[string]float64, error) {
	var texts []string
	place := make(map[string]int)
	for _, p := range prompts {
		for _, text := range []string{p.Text, p.SourceText} {
			if _, known := place[text]; !known {
				place[text] = len(texts)
				texts = append(texts, text)
			}
		}
	}
	states, err := m.MeanStates(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("embed prompts: %w", err)
	}
	out := make(map[string]float64)
	for _, p := range prompts {
		if c, ok := cosine(states[place[p.Text]], states[place[p.SourceText]]); ok {
			out[p.ID] = c
		}
	}
	return out, nil
}

// cosine is undefined for a vector of zeros.
func cosine(a, b []float32) (value float64, ok bool) {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0, false
	}
	return max(-1, min(1, ab/math.Sqrt(aa*bb))), true
}

// The question behind a rating. The score is the mean of the digits, weighted by how
// likely the model answers with each.
const (
	OceanSystem   = "You rate personalities from short descriptions."
	OceanQuestion = "Description: \"%s\"\n\nHow %s is somebody who fits this description, on a scale from 1 (not at all) to 5 (extremely)? Answer with one digit."
)

var oceanAnswers = []string{"1", "2", "3", "4", "5"}

// oceanWords are the traits as the question names them, in the order of Traits.
var oceanWords = []string{
	"open to experience (curious, imaginative, unconventional)",
	"conscientious (organised, reliable, diligent)",
	"extraverted (sociable, talkative, energetic)",
	"agreeable (kind, cooperative, trusting)",
	"neurotic (anxious, moody, easily upset)",
}

// RateOcean lets the model rate the Big Five of every persona and source by their
// prompts, from 1 to 5. Nothing is sampled: same prompts and model, same scores.
func RateOcean(ctx context.Context, m Model, prompts []Prompt) (OceanScores, error) {
	var ids []string
	var chats [][]engine.Message
	out := make(OceanScores)
	ask := func(id, text string) {
		if _, known := out[id]; known {
			return
		}
		out[id] = [5]float64{}
		ids = append(ids, id)
		for _, words := range oceanWords {
			chats = append(chats, []engine.Message{
				{Role: "system", Content: OceanSystem},
				{Role: "user", Content: fmt.Sprintf(OceanQuestion, text, words)},
			})
		}
	}
	for _, p := range prompts {
		ask(p.Source, p.SourceText)
		ask(p.ID, p.Text)
	}
	shares, err := m.Answers(ctx, chats, oceanAnswers)
	if err != nil {
		return nil, fmt.Errorf("rate traits: %w", err)
	}
	for i, id := range ids {
		var scores [5]float64
		for k := range scores {
			for digit, p := range shares[i*len(oceanWords)+k] {
				scores[k] += float64(digit+1) * p
			}
		}
		out[id] = scores
	}
	return out, nil
}

// OceanFile is where analyze keeps the scores that a model gave.
const OceanFile = "ocean.json"

// Write writes the scores as [ReadOcean] reads them.
func (o OceanScores) Write(path string) error {
	personas := make(map[string]map[string]float64)
	for id, scores := range o {
		personas[id] = make(map[string]float64)
		for k, trait := range Traits {
			personas[id][trait] = scores[k]
		}
	}
	data, err := encode(personas)
	if err != nil {
		return err
	}
	return sums.WriteFile(path, data)
}
