package experiment

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"

	"personaprobe/hidden"
	"personaprobe/internal/atomicfile"
)

// ReadPlan reads a plan from a YAML file. Keys that it leaves out keep the values of
// DefaultPlan; an unknown key is an error. Relative paths count from the folder of
// the file. Errors are *[InputError] values, with lines.
func ReadPlan(path string) (Plan, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Plan{}, fmt.Errorf("read plan: %w", err)
	}
	p, err := ParsePlan(path, data)
	if err != nil {
		return Plan{}, err
	}
	p.resolve(filepath.Dir(path))
	return p, nil
}

// resolve makes relative paths count from dir.
func (p *Plan) resolve(dir string) {
	from := func(path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	if p.Model != EmbeddedModel {
		p.Model = from(p.Model)
	}
	p.Personas, p.Questions = from(p.Personas), from(p.Questions)
	for _, paths := range p.Adapters {
		for i := range paths {
			paths[i] = from(paths[i])
		}
	}
}

// absolute is the plan with paths that hold in any folder.
func (p Plan) absolute() Plan {
	adapters := make(map[string]Paths, len(p.Adapters))
	for source, paths := range p.Adapters {
		adapters[source] = slices.Clone(paths)
	}
	p.Adapters = adapters
	if dir, err := os.Getwd(); err == nil { // else they stay as they are
		p.resolve(dir)
	}
	return p
}

// ResumePlan is the plan that the run in dir was begun with. Personas and questions are
// the run's own copies, so the files may be gone; model and adapters must be where they
// were.
func ResumePlan(dir string) (Plan, error) {
	m, err := readManifest(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Plan{}, fmt.Errorf("%w: %s has no %s: no run was begun there", ErrRunDir, dir, manifestFile)
	case err != nil:
		return Plan{}, fmt.Errorf("%w: %w", ErrRunDir, err)
	case m.Plan.Model == "":
		return Plan{}, fmt.Errorf("%w: the %s of %s holds no plan: give the options that began the run", ErrRunDir, manifestFile, dir)
	}
	if m.Plan.Personas != "" {
		m.Plan.Personas = filepath.Join(dir, taxonomyFile)
	}
	if m.Plan.Questions != "" {
		m.Plan.Questions = filepath.Join(dir, questionsFile)
	}
	return m.Plan, nil
}

// ParsePlan is ReadPlan on bytes; name is the file's, for the messages, and paths stay
// as they are.
func ParsePlan(name string, data []byte) (Plan, error) {
	p := DefaultPlan()
	lines, err := decodePlan(data, &p)
	if err != nil {
		if problem, ok := errors.AsType[*InputError](err); ok {
			problem.File = name
			return Plan{}, problem
		}
		return Plan{}, &InputError{File: name, Problem: "not a plan: " + yamlMessage(err)}
	}
	if err := p.problems().err(name, lines); err != nil {
		return Plan{}, err
	}
	return p, nil
}

// decodePlan fills p and gives the line of every key.
func decodePlan(data []byte, p *Plan) (map[string]int, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var root yaml.Node
	if err := decoder.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) { // empty or comments only: all defaults
			return nil, nil
		}
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, &InputError{Problem: "more than one YAML document; a plan is one"}
	}
	if len(root.Content) != 1 || root.Content[0].Kind != yaml.MappingNode {
		return nil, &InputError{Line: root.Line, Problem: "want keys and values, such as \"seeds: [42]\""}
	}
	return planFields(root.Content[0], reflect.ValueOf(p).Elem())
}

// planFields decodes key by key: yaml.v3 would ignore an unknown key or call it by the
// name of a Go type, and its errors do not say which key they are about.
func planFields(mapping *yaml.Node, plan reflect.Value) (map[string]int, error) {
	fields := make(map[string]reflect.Value)
	for field, value := range plan.Fields() {
		fields[field.Tag.Get("yaml")] = value
	}
	lines := make(map[string]int)
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i].Value, mapping.Content[i+1]
		problem := func(format string, args ...any) error {
			return &InputError{Line: mapping.Content[i].Line, Path: key, Problem: fmt.Sprintf(format, args...)}
		}
		field, known := fields[key]
		switch {
		case !known:
			return nil, problem("unknown key%s", didYouMean(key, slices.Collect(maps.Keys(fields))))
		case lines[key] != 0:
			return nil, problem("the key occurs twice (first on line %d)", lines[key])
		case value.Tag == "!!null":
			return nil, problem("has no value; leave the key out for the default")
		}
		if text, fraction := findFraction(value, field.Type()); fraction {
			return nil, problem("found %s, want a whole number", text)
		}
		if err := decodeValue(value, field.Addr().Interface()); err != nil {
			return nil, problem("%s", yamlMessage(err))
		}
		lines[key] = mapping.Content[i].Line
		if key == "adapters" {
			for k := 0; k < len(value.Content); k += 2 {
				lines["adapters."+value.Content[k].Value] = value.Content[k].Line
			}
		}
	}
	return lines, nil
}

// decodeValue decodes the value of a key. Layers may be a text, or a list of numbers and
// such texts.
func decodeValue(node *yaml.Node, to any) error {
	layers, ok := to.(*hidden.Layers)
	if !ok {
		return node.Decode(to)
	}
	items := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		items = node.Content
	}
	if len(items) == 0 {
		*layers = hidden.Layers{}
		return nil
	}
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = item.Value // "" where it is no scalar
	}
	parsed, err := hidden.ParseLayers(strings.Join(texts, ","))
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "layers: ")) // the key says it
	}
	*layers = parsed
	return nil
}

// findFraction looks for a number with a point or an exponent where an integer belongs.
// yaml.v3 would cut the fraction off.
func findFraction(node *yaml.Node, t reflect.Type) (text string, found bool) {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Int && t.Kind() != reflect.Uint64 {
		return "", false
	}
	for _, n := range append([]*yaml.Node{node}, node.Content...) {
		if n.Kind == yaml.ScalarNode && n.Tag == "!!float" {
			return n.Value, true
		}
	}
	return "", false
}

// UnmarshalYAML accepts a string as a list of one.
func (p *Paths) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*p = Paths{node.Value}
		return nil
	}
	return node.Decode((*[]string)(p))
}

// yamlMessage is err in the words of YAML, without the library's name.
func yamlMessage(err error) string {
	if typed, ok := errors.AsType[*yaml.TypeError](err); ok {
		return strings.Join(typed.Errors, "; ")
	}
	return strings.TrimPrefix(err.Error(), "yaml: ")
}

//go:embed plan.yaml.tmpl
var planText string

var planTemplate = template.Must(template.New("plan").Funcs(template.FuncMap{"yaml": inlineYAML}).Parse(planText))

// inlineYAML is a value as YAML on one line.
func inlineYAML(v any) (string, error) {
	if layers, ok := v.(hidden.Layers); ok && layers.Open() {
		return layers.String(), nil
	}
	var node yaml.Node
	if err := node.Encode(v); err != nil {
		return "", err
	}
	node.Style = yaml.FlowStyle
	out, err := yaml.Marshal(&node)
	return strings.TrimSpace(string(out)), err
}

// FormatPlan is the plan as YAML with comments; ParsePlan reads it back.
func FormatPlan(p Plan) ([]byte, error) {
	var b bytes.Buffer
	if err := planTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("write plan: %w", err)
	}
	return b.Bytes(), nil
}

// WritePlan writes the plan to a new file, with comments. A file that is there already
// is left alone: the error then matches fs.ErrExist.
func WritePlan(path string, p Plan) error {
	data, err := FormatPlan(p)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("write plan: %s: %w; remove it or choose another name", path, fs.ErrExist)
	}
	return atomicfile.WriteFile(path, data)
}
