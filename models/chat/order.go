package chat

import (
	"fmt"
	"maps"
	"slices"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// A prompt has to be the same whenever it is rendered. What gonja draws at random, or
// takes from a Go map in the map's own order, is given an order here or refused.

// refusedFilters give another text every time: random by drawing, the others by the order
// of a map.
var refusedFilters = []string{"random", "pprint", "dictsort"}

// fixOrder replaces what does not render the same twice.
func fixOrder(filters *exec.FilterSet, globals *exec.Context) {
	for _, name := range refusedFilters {
		err := fmt.Errorf("the filter %s is refused: a prompt would not be the same every time", name)
		_ = filters.Replace(name, func(*exec.Evaluator, *exec.Value, *exec.VarArgs) *exec.Value { return exec.AsValue(err) })
	}
	if items, ok := filters.Get("items"); ok {
		_ = filters.Replace("items", sortedItems(items))
	}
	globals.Set("lipsum", func(*exec.Evaluator, *exec.VarArgs) (string, error) {
		return "", fmt.Errorf("the function lipsum is refused: a prompt would not be the same every time")
	})
	globals.Set("dict", sortedDict)
}

// sortedItems is the filter items with the pairs of a Go map, such as a message, by
// rising key, and with those of {"a": 1}, which gonja's leaves out.
func sortedItems(items exec.FilterFunction) exec.FilterFunction {
	return func(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
		pairs := []any{}
		switch m := in.Interface().(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(m)) {
				pairs = append(pairs, []any{key, m[key]})
			}
		case *exec.Dict:
			for _, p := range m.Pairs {
				pairs = append(pairs, []any{p.Key.Interface(), p.Value.Interface()})
			}
		default:
			return items(e, in, params)
		}
		return exec.AsValue(pairs)
	}
}

// sortedDict is Jinja's dict(a=1, b=2), with its keys in rising order: gonja does not
// keep the order in which they are written.
func sortedDict(_ *exec.Evaluator, params *exec.VarArgs) *exec.Value {
	dict := exec.NewDict()
	for _, key := range slices.Sorted(maps.Keys(params.KwArgs)) {
		dict.Pairs = append(dict.Pairs, &exec.Pair{Key: exec.AsValue(key), Value: params.KwArgs[key]})
	}
	return exec.AsValue(dict)
}
