package hidden

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"personaprobe/internal/sums"
	"personaprobe/models/safetensors"
)

// Representation is where groups lie inside a model: their centroids at several
// layers, split into what they share and what tells them apart.
//
// Its file has, for every layer L, the tensors centered/L<L> (groups, hidden) and
// mean/L<L> (hidden), F32: a group's centroid is their sum. The names of the groups
// are a JSON list under "rows" in the metadata. The values are those of the file, float32,
// also before it is written, so that cosines do not depend on whether it was written
// just now or read back.
type Representation struct {
	Layers  []int        // 0-based decoder layers; a centroid is of their output
	Centred []*Centroids // per layer: minus the mean over all groups
	Mean    [][]float64  // per layer: that mean, (hidden); nil for a file without it
}

const (
	centredPrefix = "centered/L"
	meanPrefix    = "mean/L"
	rowsKey       = "rows"
)

// NewRepresentation splits the centroids of layers, one per layer and all of the same
// groups.
func NewRepresentation(layers []int, centroids []*Centroids) (*Representation, error) {
	if len(layers) != len(centroids) || len(layers) == 0 {
		return nil, fmt.Errorf("centroids of %d layers for %d layers", len(centroids), len(layers))
	}
	r := &Representation{Layers: slices.Clone(layers)}
	for k, c := range centroids {
		if !slices.Equal(c.names, centroids[0].names) {
			return nil, fmt.Errorf("layers %d and %d have other groups", layers[0], layers[k])
		}
		centred, mean, err := c.Centre(CentreMean)
		if err != nil {
			return nil, err
		}
		narrow(centred.data)
		narrow(mean)
		r.Centred, r.Mean = append(r.Centred, centred), append(r.Mean, mean)
	}
	return r, nil
}

// narrow rounds to float32 in place.
func narrow(v []float64) {
	for i, x := range v {
		v[i] = float64(float32(x))
	}
}

// Names are the groups.
func (r *Representation) Names() []string { return r.Centred[0].Names() }

// Select gives the representation at some of its layers, in the order given.
func (r *Representation) Select(layers []int) (*Representation, error) {
	out := &Representation{}
	for _, l := range layers {
		k := slices.Index(r.Layers, l)
		if k < 0 {
			return nil, fmt.Errorf("%w: there are no centroids at layer %d, only at %v", ErrInput, l, r.Layers)
		}
		out.Layers, out.Centred = append(out.Layers, l), append(out.Centred, r.Centred[k])
		if r.Mean != nil {
			out.Mean = append(out.Mean, r.Mean[k])
		}
	}
	return out, nil
}

// At gives the centroids of layer number k of Layers, centred.
func (r *Representation) At(k int, on Centring) (*Centroids, error) {
	c := r.Centred[k]
	switch {
	case on == CentreMean || on == "":
		return c, nil
	case on != CentreNone: // the mean cancels
		centred, _, err := c.Centre(on)
		return centred, err
	case r.Mean == nil:
		return nil, errors.New("the file has centred centroids only, so they cannot be compared without centring")
	}
	data := slices.Clone(c.data)
	for i := range data {
		data[i] += r.Mean[k][i%c.width]
	}
	return &Centroids{names: c.names, width: c.width, data: data}, nil
}

// Arrays are the tensors of the representation's file and its metadata, to which the
// caller may add.
func (r *Representation) Arrays() ([]safetensors.Array, map[string]string, error) {
	var arrays []safetensors.Array
	for k, l := range r.Layers {
		c := r.Centred[k]
		arrays = append(arrays, safetensors.Array{
			Name: centredPrefix + strconv.Itoa(l), Shape: []int64{int64(len(c.names)), int64(c.width)}, Values: toFloat32(c.data),
		})
		if r.Mean != nil {
			arrays = append(arrays, safetensors.Array{
				Name: meanPrefix + strconv.Itoa(l), Shape: []int64{int64(c.width)}, Values: toFloat32(r.Mean[k]),
			})
		}
	}
	names, err := json.Marshal(r.Names())
	return arrays, map[string]string{rowsKey: string(names)}, err
}

// Write writes the representation's file, whole or not at all; metadata is added to
// it.
func (r *Representation) Write(path string, metadata map[string]string) error {
	arrays, m, err := r.Arrays()
	if err != nil {
		return err
	}
	maps.Copy(m, metadata)
	return safetensors.Write(path, arrays, m)
}

// ReadRepresentation reads a file that Write, or a run of the study, has written.
func ReadRepresentation(path string) (r *Representation, metadata map[string]string, err error) {
	if _, _, err := sums.Check(path); err != nil {
		return nil, nil, err
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if r, err = parseRepresentation(f); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, f.Metadata, nil
}

func parseRepresentation(f *safetensors.File) (*Representation, error) {
	var names []string
	if err := json.Unmarshal([]byte(f.Metadata[rowsKey]), &names); err != nil {
		return nil, fmt.Errorf("%w: it holds no centroids: the metadata key %q is no list of names (%w)", ErrInput, rowsKey, err)
	}
	r := &Representation{}
	for _, t := range f.Tensors {
		if number, ok := strings.CutPrefix(t.Name, centredPrefix); ok {
			l, err := strconv.Atoi(number)
			if err != nil || l < 0 || strconv.Itoa(l) != number {
				return nil, fmt.Errorf("%w: tensor %s: %q is no layer", ErrInput, t.Name, number)
			}
			r.Layers = append(r.Layers, l)
		}
	}
	if len(r.Layers) == 0 {
		return nil, fmt.Errorf("%w: it holds no centroids: no tensor %s<layer>", ErrInput, centredPrefix)
	}
	slices.SortFunc(r.Layers, cmp.Compare[int])
	for _, l := range r.Layers {
		c, err := readCentroids(f.Tensor(centredPrefix+strconv.Itoa(l)), names)
		if err != nil {
			return nil, err
		}
		r.Centred = append(r.Centred, c)
		mean := f.Tensor(meanPrefix + strconv.Itoa(l))
		if mean == nil {
			continue
		}
		values, err := mean.Floats()
		if err != nil {
			return nil, err
		}
		if len(values) != c.width {
			return nil, fmt.Errorf("%w: tensor %s has shape %v, want [%d]", ErrInput, mean.Name, mean.Shape, c.width)
		}
		r.Mean = append(r.Mean, toFloat64(values))
	}
	if len(r.Mean) != 0 && len(r.Mean) != len(r.Layers) {
		return nil, fmt.Errorf("%w: it has means of %d of %d layers", ErrInput, len(r.Mean), len(r.Layers))
	}
	return r, nil
}

func readCentroids(t *safetensors.Tensor, rows []string) (*Centroids, error) {
	if len(t.Shape) != 2 || t.Shape[0] != int64(len(rows)) {
		return nil, fmt.Errorf("%w: tensor %s has shape %v, want %d rows", ErrInput, t.Name, t.Shape, len(rows))
	}
	values, err := t.Floats()
	if err != nil {
		return nil, err
	}
	c, err := NewCentroids(rows, toFloat64(values))
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
	}
	return c, nil
}

func toFloat32(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

func toFloat64(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
