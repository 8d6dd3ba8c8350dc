package experiment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// ErrInput marks a plan, taxonomy or question file that cannot be used as it is.
var ErrInput = errors.New("invalid input")

// InputError is one problem in an input; errors.Is(err, ErrInput) holds for it.
type InputError struct {
	File    string // "" for a value made in memory
	Line    int    // 1-based; 0 if it concerns no single line
	Path    string // place in the document, such as bystanders[3].prompt; "" for the whole
	Problem string
}

func (e *InputError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
		if e.Line > 0 {
			fmt.Fprintf(&b, "%d:", e.Line)
		}
		b.WriteByte(' ')
	}
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	return b.String() + e.Problem
}

// Is makes every InputError match ErrInput.
func (e *InputError) Is(target error) bool { return target == ErrInput }

// problems collects what is wrong with one document, so that a user sees all of it.
type problems []*InputError

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, &InputError{Path: path, Problem: fmt.Sprintf(format, args...)})
}

// maxProblems keeps the report readable when one mistake repeats on every line.
const maxProblems = 20

// err joins the problems, or is nil. Where a document was read from a file, lines
// gives the line of every path.
func (p problems) err(file string, lines map[string]int) error {
	var all []error
	for i, problem := range p {
		if i == maxProblems {
			all = append(all, &InputError{File: file, Problem: fmt.Sprintf("and %d more problems", len(p)-i)})
			break
		}
		problem.File, problem.Line = file, lines[problem.Path]
		all = append(all, problem)
	}
	return errors.Join(all...)
}

// jsonValue is a JSON value that knows its place. encoding/json alone would accept
// a key given twice and could not tell on which line a value stands.
type jsonValue struct {
	path string // "" at the top
	data any    // nil, bool, json.Number, string, []*jsonValue or map[string]*jsonValue
}

// document reads a JSON file. lines holds the line of every path in it.
type document struct {
	problems
	lines map[string]int
}

// parse reads the one JSON value in data.
func (d *document) parse(file string, data []byte) (*jsonValue, error) {
	data = bytes.TrimPrefix(data, []byte("\uFEFF")) // some editors write a byte order mark
	if !utf8.Valid(data) {
		line := lineAt(data, invalidAt(data))
		return nil, &InputError{File: file, Line: line, Problem: "not valid UTF-8; save the file as UTF-8"}
	}
	// Unmarshal checks the whole document first: syntax, depth and trailing data.
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		line := lineAt(data, len(data))
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			line = lineAt(data, int(syntax.Offset)-1)
		}
		return nil, &InputError{File: file, Line: line, Problem: "not valid JSON: " + err.Error()}
	}
	d.lines = make(map[string]int)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	tree := &treeReader{document: d, decoder: decoder, data: data, line: 1}
	value, err := tree.value("")
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, &InputError{File: file, Problem: "not valid JSON: " + err.Error()}
	}
	return value, nil
}

// treeReader walks the tokens of a document that is known to be well-formed.
type treeReader struct {
	*document
	decoder *json.Decoder
	data    []byte
	offset  int // up to here lines are counted
	line    int
	raw     []byte // of the last token
}

func (t *treeReader) token() (json.Token, error) {
	token, err := t.decoder.Token()
	end := int(t.decoder.InputOffset())
	t.raw = t.data[t.offset:end]
	t.line += bytes.Count(t.raw, []byte{'\n'})
	t.offset = end
	return token, err
}

func (t *treeReader) value(path string) (*jsonValue, error) {
	token, err := t.token()
	if err != nil {
		return nil, err
	}
	t.lines[path] = t.line
	v := &jsonValue{path: path, data: token}
	if text, ok := token.(string); ok && strings.ContainsRune(text, utf8.RuneError) && !bytes.Contains(t.raw, []byte("\uFFFD")) &&
		!bytes.Contains(bytes.ToLower(t.raw), []byte(`\ufffd`)) {
		t.add(path, `half a surrogate pair, such as \ud83d alone, is no character`) // the decoder replaces it
	}
	switch token {
	case json.Delim('['):
		v.data, err = t.list(path)
	case json.Delim('{'):
		v.data, err = t.object(path)
	}
	return v, err
}

func (t *treeReader) list(path string) ([]*jsonValue, error) {
	items := []*jsonValue{}
	for t.decoder.More() {
		item, err := t.value(fmt.Sprintf("%s[%d]", path, len(items)))
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	_, err := t.token()
	return items, err
}

func (t *treeReader) object(path string) (map[string]*jsonValue, error) {
	members := make(map[string]*jsonValue)
	for t.decoder.More() {
		token, err := t.token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string) // the decoder gives nothing else here
		place := join(path, key)
		if members[key] != nil {
			t.add(place, "the key occurs twice (first on line %d)", t.lines[place])
		}
		if members[key], err = t.value(place); err != nil {
			return nil, err
		}
	}
	_, err := t.token()
	return members, err
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// items are the elements of the list under key, or nil with a problem noted.
func (d *document) items(v *jsonValue, key string) []*jsonValue {
	m := d.required(v, key)
	if m == nil {
		return nil
	}
	items, ok := m.data.([]*jsonValue)
	if !ok {
		d.add(m.path, "want a list, found %s", kindOf(m.data))
	}
	return items
}

// text is the string under key, or "" with a problem noted.
func (d *document) text(v *jsonValue, key string) string {
	m := d.required(v, key)
	if m == nil {
		return ""
	}
	return d.string(m)
}

func (d *document) string(v *jsonValue) string {
	s, ok := v.data.(string)
	if !ok {
		d.add(v.path, "want a string, found %s", kindOf(v.data))
	}
	return s
}

// required is the member key of the object v, or nil with a problem noted.
func (d *document) required(v *jsonValue, key string) *jsonValue {
	members, ok := v.data.(map[string]*jsonValue)
	if !ok {
		d.add(v.path, "want an object with the key %q, found %s", key, kindOf(v.data))
		return nil
	}
	m := members[key]
	if m == nil {
		keys := make([]string, 0, len(members))
		for k := range members {
			keys = append(keys, k)
		}
		d.add(v.path, "the key %q is missing%s", key, didYouMean(key, keys))
	}
	return m
}

func (v *jsonValue) has(key string) bool {
	members, _ := v.data.(map[string]*jsonValue)
	return members[key] != nil
}

func kindOf(data any) string {
	switch data.(type) {
	case nil:
		return "null"
	case bool:
		return "a truth value"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []*jsonValue:
		return "a list"
	default:
		return "an object"
	}
}

func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:max(0, min(offset, len(data)))], []byte{'\n'})
}

func invalidAt(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(data)
}

// didYouMean suggests the candidate nearest to word by edit distance (Levenshtein),
// or is "" if none is near. Equal distances go to the alphabetically first.
func didYouMean(word string, candidates []string) string {
	best, distance := "", len(word)/3+2
	for _, c := range candidates {
		d := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(c))
		if d < distance || d == distance && best != "" && c < best {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}
