package experiment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"personaprobe/engine"
	"personaprobe/hidden"
	"personaprobe/internal/sums"
	"personaprobe/models/safetensors"
)

const centroidsFile = "centroids.safetensors"

// Representation is where the personas lie inside the base model: the centroids of
// the taxonomy's Distinct personas at the plan's layers.
type Representation = hidden.Representation

// centroids makes the centroid file, unless it is there. It comes before the
// completions: it takes minutes where they take hours, and a model whose states are
// unusable shows early.
func (r *runner) centroids(ctx context.Context) error {
	path := filepath.Join(r.store.dir, centroidsFile)
	personas := r.study.Taxonomy.Distinct()
	if has, err := r.hasCentroids(path, personas); has || err != nil {
		return err
	}
	layers, err := r.centroidsOf(ctx, "", personas)
	if err != nil {
		return err
	}
	return r.writeRepresentation(path, layers, "persona centroids of the base model at the last prompt token, minus their mean")
}

// centroidsOf reads the personas' centroids with an adapter; "" is the base model.
func (r *runner) centroidsOf(ctx context.Context, adapter string, personas []Persona) ([]*hidden.Centroids, error) {
	model := "the base model"
	if adapter != "" {
		model = "the adapter " + adapter
	}
	questions := len(r.study.Questions)
	groups := make([]hidden.Group, len(personas))
	var prompts [][]engine.Message
	for i, p := range personas {
		groups[i] = hidden.Group{Name: p.ID, Size: questions}
		for _, q := range r.study.Questions {
			prompts = append(prompts, chat(p.Prompt, q))
		}
	}
	if err := r.tracker.phase(PhaseCentroids, 0, len(prompts)); err != nil {
		return nil, err
	}
	if err := r.tracker.adapter(adapter); err != nil {
		return nil, err
	}
	sums, err := hidden.NewAccumulator(groups, len(r.study.Plan.Layers), r.model.HiddenSize())
	if err != nil {
		return nil, err
	}
	err = r.states(ctx, adapter, prompts, func(prompt int, states [][]float32) error {
		if err := sums.Add(prompt/questions, prompt%questions, states); err != nil {
			return err
		}
		return r.tracker.prompt()
	})
	switch {
	case errors.Is(err, ErrInterrupted):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("hidden states of %s: %w", model, err)
	}
	layers, err := sums.Centroids()
	if err != nil {
		return nil, fmt.Errorf("hidden states of %s: %w", model, err)
	}
	return layers, nil
}

// errDrained stops the reading of states, which is short enough to begin again.
var errDrained = errors.New("drained")

func (r *runner) states(ctx context.Context, adapter string, prompts [][]engine.Message, each func(int, [][]float32) error) error {
	err := r.model.LastStates(ctx, adapter, prompts, r.study.Plan.Layers, func(prompt int, states [][]float32) error {
		if r.draining() {
			return errDrained
		}
		if prompt < 0 || prompt >= len(prompts) {
			return fmt.Errorf("the model returned states of prompt %d of %d", prompt, len(prompts))
		}
		return each(prompt, states)
	})
	switch {
	case ctx.Err() != nil:
		return r.interrupted(ctx.Err())
	case errors.Is(err, errDrained):
		return r.interrupted(nil)
	}
	return err
}

func (r *runner) writeRepresentation(path string, layers []*hidden.Centroids, note string) error {
	rep, err := hidden.NewRepresentation(r.study.Plan.Layers, layers)
	if err != nil {
		return err
	}
	arrays, metadata, err := rep.Arrays()
	if err != nil {
		return err
	}
	metadata["manifest"], metadata["note"] = r.store.id, note
	return sums.Write(path, func(w io.Writer) error { return safetensors.Encode(w, arrays, metadata) })
}

// ReadRepresentation reads the centroid file of a run directory.
func ReadRepresentation(r *Results) (*Representation, error) {
	return readRepresentation(filepath.Join(r.Dir, centroidsFile), r.Study, r.Study.Taxonomy.Distinct(), r.Manifest.ID())
}

// readRepresentation reads a file of the centroids of personas and checks that it
// belongs to the run with a manifest's id.
func readRepresentation(path string, study *Study, personas []Persona, id string) (*Representation, error) {
	rep, metadata, err := hidden.ReadRepresentation(path)
	if err != nil {
		return nil, err
	}
	if metadata["manifest"] != id {
		return nil, fmt.Errorf("%s is of another run; remove it and run again", path)
	}
	if !slices.EqualFunc(rep.Names(), personas, func(name string, p Persona) bool { return name == p.ID }) {
		return nil, fmt.Errorf("%s: its rows are not the personas of this study", path)
	}
	return rep.Select(study.Plan.Layers)
}
