package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"personaprobe/engine"
	"personaprobe/hidden"
	"personaprobe/models/safetensors"
)

const centroidsFile = "centroids.safetensors"

// Representation is where the personas lie inside the base model: one set of centred
// centroids per layer, with the taxonomy's Distinct personas as rows.
//
// Its file has, for every layer L of the plan, the tensors centered/L<L> (personas,
// hidden) and mean/L<L> (hidden), F32: a persona's centroid is their sum. The names
// of the rows are a JSON list under "rows" in the metadata. Cosines are always taken
// from the float32 values of the file, so that they do not depend on whether it was
// written just now or read back.
type Representation struct {
	Layers  []int               // 0-based decoder layers; a centroid is of their output
	Centred []*hidden.Centroids // per layer: minus the mean over all rows
}

// centroids makes the centroid file, unless it is there. It comes before the
// completions: it takes minutes where they take hours, and a model whose states are
// unusable shows early.
func (r *runner) centroids(ctx context.Context) error {
	path := filepath.Join(r.store.dir, centroidsFile)
	if rep, err := readRepresentation(path, r.study); err == nil && rep.id == r.store.id {
		return nil // anything else is made again: it follows from the inputs
	}
	personas, questions := r.study.Taxonomy.Distinct(), len(r.study.Questions)
	groups := make([]hidden.Group, len(personas))
	var prompts [][]engine.Message
	for i, p := range personas {
		groups[i] = hidden.Group{Name: p.ID, Size: questions}
		for _, q := range r.study.Questions {
			prompts = append(prompts, chat(p.Prompt, q))
		}
	}
	if err := r.tracker.phase(PhaseCentroids, 0, len(prompts)); err != nil {
		return err
	}
	sums, err := hidden.NewAccumulator(groups, len(r.study.Plan.Layers), r.model.HiddenSize())
	if err != nil {
		return err
	}
	err = r.states(ctx, prompts, func(prompt int, states [][]float32) error {
		if err := sums.Add(prompt/questions, prompt%questions, states); err != nil {
			return err
		}
		return r.tracker.prompt()
	})
	switch {
	case errors.Is(err, ErrInterrupted):
		return err
	case err != nil:
		return fmt.Errorf("hidden states of the base model: %w", err)
	}
	layers, err := sums.Centroids()
	if err != nil {
		return fmt.Errorf("hidden states of the base model: %w", err)
	}
	return r.writeRepresentation(path, layers)
}

// errDrained stops the reading of states, which is short enough to begin again.
var errDrained = errors.New("drained")

func (r *runner) states(ctx context.Context, prompts [][]engine.Message, each func(int, [][]float32) error) error {
	err := r.model.LastStates(ctx, "", prompts, r.study.Plan.Layers, func(prompt int, states [][]float32) error {
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

func (r *runner) writeRepresentation(path string, layers []*hidden.Centroids) error {
	var arrays []safetensors.Array
	for k, c := range layers {
		centred, mean, err := c.Centre(hidden.CentreMean)
		if err != nil {
			return err
		}
		rows := make([]float32, 0, len(c.Names())*c.Width())
		for i := range c.Names() {
			rows = append(rows, narrow(centred.Row(i))...)
		}
		l, width := r.study.Plan.Layers[k], int64(c.Width())
		arrays = append(arrays,
			safetensors.Array{Name: centredTensor(l), Shape: []int64{int64(len(c.Names())), width}, Values: rows},
			safetensors.Array{Name: fmt.Sprintf("mean/L%d", l), Shape: []int64{width}, Values: narrow(mean)})
	}
	names, err := json.Marshal(layers[0].Names())
	if err != nil {
		return err
	}
	return r.store.disk.writeTensors(path, arrays, map[string]string{
		"rows": string(names), "manifest": r.store.id,
		"note": "persona centroids of the base model at the last prompt token, minus their mean",
	})
}

func centredTensor(layer int) string { return fmt.Sprintf("centered/L%d", layer) }

func narrow(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// storedRepresentation is a centroid file with the run it belongs to.
type storedRepresentation struct {
	Representation
	id string
}

// ReadRepresentation reads the centroid file of a run directory.
func ReadRepresentation(r *Results) (*Representation, error) {
	path := filepath.Join(r.Dir, centroidsFile)
	stored, err := readRepresentation(path, r.Study)
	if err != nil {
		return nil, err
	}
	if stored.id != r.Manifest.ID() {
		return nil, fmt.Errorf("%s is of another run; remove it and run again", path)
	}
	return &stored.Representation, nil
}

func readRepresentation(path string, study *Study) (*storedRepresentation, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	if err := json.Unmarshal([]byte(f.Metadata["rows"]), &names); err != nil {
		return nil, fmt.Errorf("%s: metadata key \"rows\": %w", path, err)
	}
	want := study.Taxonomy.Distinct()
	if !slices.EqualFunc(names, want, func(name string, p Persona) bool { return name == p.ID }) {
		return nil, fmt.Errorf("%s: its rows are not the personas of this study", path)
	}
	out := &storedRepresentation{Representation{Layers: study.Plan.Layers}, f.Metadata["manifest"]}
	for _, l := range study.Plan.Layers {
		c, err := readCentroids(f, centredTensor(l), names)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out.Centred = append(out.Centred, c)
	}
	return out, nil
}

func readCentroids(f *safetensors.File, name string, rows []string) (*hidden.Centroids, error) {
	t := f.Tensor(name)
	if t == nil {
		return nil, fmt.Errorf("tensor %s is missing", name)
	}
	if len(t.Shape) != 2 || t.Shape[0] != int64(len(rows)) {
		return nil, fmt.Errorf("tensor %s has shape %v, want %d rows", name, t.Shape, len(rows))
	}
	values, err := t.Floats()
	if err != nil {
		return nil, err
	}
	data := make([]float64, len(values))
	for i, x := range values {
		data[i] = float64(x)
	}
	return hidden.NewCentroids(rows, data)
}
