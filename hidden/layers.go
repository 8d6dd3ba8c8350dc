package hidden

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrInput marks a job that cannot be done as it is described: a layer that the model
// does not have, an empty prompt, a label that is missing. Nothing has been computed.
var ErrInput = errors.New("bad input")

// ParseLayers reads a list of decoder layers for a model that has n of them: numbers
// and ranges with commas between ("10,15,20,25", "0-27", "0-3,27"), or "all". The
// result is ascending and without repetitions. Errors wrap ErrInput.
//
// Layers have 0-based indices and a layer's state is its output; see the package
// documentation for the names that other programs give it.
func ParseLayers(s string, n int) ([]int, error) {
	if strings.TrimSpace(s) == "all" {
		s = fmt.Sprintf("0-%d", n-1)
	}
	var layers []int
	for item := range strings.SplitSeq(s, ",") {
		item = strings.TrimSpace(item)
		first, last, isRange := strings.Cut(item, "-")
		if !isRange {
			last = first
		}
		lo, errLo := strconv.ParseUint(strings.TrimSpace(first), 10, 31)
		hi, errHi := strconv.ParseUint(strings.TrimSpace(last), 10, 31)
		if errLo != nil || errHi != nil {
			return nil, fmt.Errorf("%w: layers %q: %q is no layer; write numbers and ranges such as 10,15,20-25, or all", ErrInput, s, item)
		}
		if lo > hi {
			return nil, fmt.Errorf("%w: layers %q: the range %s runs backwards", ErrInput, s, item)
		}
		if err := checkLayer(int(hi), n); err != nil {
			return nil, err
		}
		for l := lo; l <= hi; l++ {
			layers = append(layers, int(l))
		}
	}
	slices.Sort(layers)
	return slices.Compact(layers), nil
}

func checkLayer(layer, n int) error {
	switch {
	case layer >= 0 && layer < n:
		return nil
	case layer == n: // counted from 1, or an index into hidden_states
		return fmt.Errorf("%w: layer %d: the model has the decoder layers 0 to %d; transformers' hidden_states[%d] is layer %d here", ErrInput, layer, n-1, n, n-1)
	}
	return fmt.Errorf("%w: layer %d: the model has the decoder layers 0 to %d", ErrInput, layer, n-1)
}
