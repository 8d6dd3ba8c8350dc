package lora

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dlclark/regexp2"

	"personaprobe/internal/fault"
	"personaprobe/internal/jsonobj"
)

// matcher is a Python regular expression that must match a whole module name.
// PEFT's users write lookaheads, which Go's regexp lacks.
type matcher struct{ re *regexp2.Regexp }

func newMatcher(expr string) (*matcher, error) {
	re, err := regexp2.Compile(`\A(?:`+expr+`)\z`, regexp2.RE2)
	if err != nil {
		return nil, err
	}
	re.MatchTimeout = time.Second // an expression from a stranger may backtrack for ever
	return &matcher{re}, nil
}

func (m *matcher) matches(module string) (bool, error) {
	ok, err := m.re.MatchString(module)
	if err != nil {
		return false, fault.Formatf("match %s: %w", module, err)
	}
	return ok, nil
}

// names is PEFT's "string or list" of modules: an expression for the whole name,
// or a list of names and dotted suffixes. The zero value is absent.
type names struct {
	expr *matcher
	list []string
}

func (n names) empty() bool { return n.expr == nil && len(n.list) == 0 }

func (n names) match(module string) (bool, error) {
	if n.expr != nil {
		return n.expr.matches(module)
	}
	return slices.ContainsFunc(n.list, func(s string) bool {
		return module == s || strings.HasSuffix(module, "."+s)
	}), nil
}

func parseNames(m jsonobj.Member) (names, error) {
	if string(m.Value) == "null" {
		return names{}, nil
	}
	var list []string
	if json.Unmarshal(m.Value, &list) == nil {
		return names{list: list}, nil
	}
	var expr string
	if err := json.Unmarshal(m.Value, &expr); err != nil {
		return names{}, fault.Formatf("%s: neither a string nor a list of strings", m.Key)
	}
	match, err := newMatcher(expr)
	if err != nil {
		return names{}, fault.Formatf("%s: %q: %w", m.Key, expr, err)
	}
	return names{expr: match}, nil
}

// selector says which modules an adapter changes, as PEFT's
// check_target_module_exists does.
type selector struct {
	target, exclude names
	layers          []int64          // layers_to_transform, nil for all
	layersPattern   []*regexp.Regexp // find the layer's index in a name
}

// linear are the linear modules of a Qwen2 decoder layer.
var linear = []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}

func (s *selector) option(m jsonobj.Member) (err error) {
	switch m.Key {
	case "target_modules":
		var text string
		if json.Unmarshal(m.Value, &text) == nil && strings.EqualFold(text, "all-linear") {
			s.target = names{list: linear} // PEFT: every linear layer but the output head
			return nil
		}
		s.target, err = parseNames(m)
	case "exclude_modules":
		s.exclude, err = parseNames(m)
	case "layers_to_transform":
		s.layers, err = oneOrMany[int64](m)
	case "layers_pattern":
		var list []string
		if list, err = oneOrMany[string](m); err != nil {
			return err
		}
		for _, p := range list {
			re, err := regexp.Compile(fmt.Sprintf(`^.*\.(?:%s)\.(\d+)\.`, p))
			if err != nil {
				return fault.Formatf("%s: %w", m.Key, err)
			}
			s.layersPattern = append(s.layersPattern, re)
		}
	}
	return err
}

// oneOrMany decodes a value or a list of values; null and "" are none.
func oneOrMany[T comparable](m jsonobj.Member) ([]T, error) {
	var list []T
	if json.Unmarshal(m.Value, &list) == nil {
		return list, nil
	}
	var one, zero T
	if err := json.Unmarshal(m.Value, &one); err != nil {
		return nil, fault.Formatf("%s: %w", m.Key, err)
	}
	if _, text := any(one).(string); text && one == zero {
		return nil, nil
	}
	return []T{one}, nil
}

func (s *selector) check() error {
	if s.target.expr != nil && len(s.layers) > 0 {
		return fault.Formatf("layers_to_transform needs target_modules to be a list, as in PEFT")
	}
	if s.target.empty() {
		s.target = names{list: []string{"q_proj", "v_proj"}} // PEFT's default for qwen2
	}
	return nil
}

// selects reports whether the adapter changes a module.
func (s *selector) selects(module string) (bool, error) {
	if ok, err := s.exclude.match(module); ok || err != nil {
		return false, err
	}
	ok, err := s.target.match(module)
	if !ok || err != nil || len(s.layers) == 0 {
		return ok, err
	}
	layer, ok := s.layerOf(module)
	return ok && slices.Contains(s.layers, layer), nil
}

var anyLayer = regexp.MustCompile(`^.*\.[^.]*\.(\d+)\.`)

// layerOf finds a module's layer index, after the names in layers_pattern or
// after any name.
func (s *selector) layerOf(module string) (int64, bool) {
	m := anyLayer.FindStringSubmatch(module)
	for _, re := range s.layersPattern {
		if m = re.FindStringSubmatch(module); m != nil {
			break
		}
	}
	if m == nil {
		return 0, false
	}
	layer, err := strconv.ParseInt(m[1], 10, 64)
	return layer, err == nil
}
