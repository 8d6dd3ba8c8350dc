package hidden

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ErrInput marks a job that cannot be done as it is described: a layer that the model
// does not have, an empty prompt, a label that is missing. Nothing has been computed.
var ErrInput = errors.New("bad input")

// Layers choose decoder layers of a model: their numbers, ascending, or AllLayers or
// DefaultLayers, of which [Layers.Of] makes numbers once the model's depth is known.
//
// Layers have 0-based indices and a layer's state is its output; see the package
// documentation for the names that other programs give it.
type Layers []int

// These stand for numbers. No layer has such an index, and nobody writes one.
const (
	allLayers     = math.MinInt32
	defaultLayers = math.MinInt32 + 1
)

// AllLayers are all of the model.
func AllLayers() Layers { return Layers{allLayers} }

// DefaultLayers are the original study's 10, 15, 20 and 25 where the model has 28 layers,
// and those as far up in a model of another depth n: 10, 15, 20 and 25 times n/28, rounded
// to the nearest layer that there is.
func DefaultLayers() Layers { return Layers{defaultLayers} }

const studyDepth = 28 // decoder layers of the original study's model

var studyLayers = []int{10, 15, 20, 25}

// IsDefault reports whether the layers are those of [DefaultLayers].
func (l Layers) IsDefault() bool { return slices.Equal(l, DefaultLayers()) }

// Open reports whether the numbers depend on the model's depth.
func (l Layers) Open() bool { return l.IsDefault() || slices.Equal(l, AllLayers()) }

// Of are the layers' numbers in a model that has n of them. A layer beyond it is an error
// that matches ErrInput.
func (l Layers) Of(n int) ([]int, error) {
	out := slices.Clone([]int(l))
	switch {
	case l.IsDefault():
		out = out[:0]
		for _, s := range studyLayers {
			out = append(out, min((2*s*n+studyDepth)/(2*studyDepth), n-1)) // rounded
		}
		return slices.Compact(out), nil
	case l.Open():
		out = out[:0]
		for i := range n {
			out = append(out, i)
		}
		return out, nil
	}
	for _, layer := range l {
		if err := checkLayer(layer, n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// String is what ParseLayers reads.
func (l Layers) String() string {
	if slices.Equal(l, AllLayers()) {
		return "all"
	}
	numbers := make([]string, len(l))
	for i, layer := range l {
		numbers[i] = strconv.Itoa(layer)
	}
	return strings.Join(numbers, ",")
}

// maxDepth bounds a range before the model is known.
const maxDepth = 1 << 12

// ParseLayers reads numbers and ranges with commas between, such as "10,15,20,25", "0-27"
// and "0-3,27", or "all". The result is ascending and without repetitions. Errors match
// ErrInput.
func ParseLayers(s string) (Layers, error) {
	var layers Layers
	every := false
	for item := range strings.SplitSeq(s, ",") {
		item = strings.TrimSpace(item)
		if item == "all" {
			every = true
			continue
		}
		first, last, isRange := strings.Cut(item, "-")
		if !isRange {
			last = first
		}
		lo, errLo := strconv.ParseUint(strings.TrimSpace(first), 10, 31)
		hi, errHi := strconv.ParseUint(strings.TrimSpace(last), 10, 31)
		switch {
		case errLo != nil || errHi != nil:
			return nil, layersError(fmt.Sprintf("expected numbers, a range such as 0-27 or all, got %q", item))
		case lo > hi:
			return nil, layersError(fmt.Sprintf("the range %s runs backwards", item))
		case hi >= maxDepth:
			return nil, layersError(fmt.Sprintf("%s: no model has so many layers", item))
		}
		for l := lo; l <= hi; l++ {
			layers = append(layers, int(l))
		}
	}
	if every {
		return AllLayers(), nil
	}
	slices.Sort(layers)
	return slices.Compact(layers), nil
}

// layersError is about a choice of layers.
type layersError string

func (e layersError) Error() string { return "layers: " + string(e) }

// Is makes it match ErrInput.
func (e layersError) Is(target error) bool { return target == ErrInput }

func checkLayer(layer, n int) error {
	switch {
	case layer >= 0 && layer < n:
		return nil
	case layer == n: // counted from 1, or an index into hidden_states
		return layersError(fmt.Sprintf("layer %d: the model has decoder layers 0 to %d; transformers' hidden_states[%d] is layer %d here",
			layer, n-1, n, n-1))
	}
	return layersError(fmt.Sprintf("layer %d: the model has decoder layers 0 to %d", layer, n-1))
}
