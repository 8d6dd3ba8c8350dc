package analysis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"personaprobe/internal/sums"
)

// ErrInput marks a file that cannot be read as what it should be.
var ErrInput = errors.New("invalid input")

// readJSON reads a file that somebody else may have written: Python's json module
// writes NaN and Infinity, which JSON has not, and a byte order mark may lead. Both
// are read as null; odd is how many there were.
func (d *dataset) readJSON(path string, v any) (odd int, err error) {
	f, err := sums.Read(path)
	if err != nil {
		return 0, err
	}
	d.addInput(path, f.SHA256, f.Listed, "")
	data := f.Data
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if !utf8.Valid(data) {
		return 0, fmt.Errorf("%w: %s is not valid UTF-8; save it as UTF-8", ErrInput, path)
	}
	data, odd = withoutNaN(data)
	if err := json.Unmarshal(data, v); err != nil {
		return odd, jsonError(path, data, err)
	}
	return odd, nil
}

// jsonError says in which line of the file err is.
func jsonError(path string, data []byte, err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("%w: %s:%d: not valid JSON: %w", ErrInput, path, lineAt(data, syntax.Offset), err)
	}
	if typed, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		// The offset counts inside an object that decodes itself, so no line is given.
		return fmt.Errorf("%w: %s: %s: found a JSON %s, want %s", ErrInput, path, place(typed.Field, err), typed.Value, kind(typed))
	}
	return fmt.Errorf("%w: %s: %w", ErrInput, path, err)
}

func place(field string, err error) string {
	// An Ordered object names the member that it failed in, in front of the message.
	if prefix, _, found := strings.Cut(err.Error(), ": json:"); found {
		return strings.TrimSuffix(prefix+" "+field, " ")
	}
	if field == "" {
		return "top level"
	}
	return field
}

func kind(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "string":
		return "a string"
	case "slice":
		return "a list"
	case "struct", "map":
		return "an object"
	default:
		return "a number"
	}
}

func lineAt(data []byte, offset int64) int {
	end := max(0, min(int(offset), len(data)))
	return 1 + bytes.Count(data[:end], []byte{'\n'})
}

// withoutNaN replaces NaN, Infinity and -Infinity outside strings by null, and keeps
// lines as they are.
func withoutNaN(data []byte) ([]byte, int) {
	if !bytes.Contains(data, []byte("NaN")) && !bytes.Contains(data, []byte("Infinity")) {
		return data, 0
	}
	var out []byte
	replaced, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch {
		case inString && data[i] == '\\' && i+1 < len(data):
			out = append(out, data[i])
			i++
		case data[i] == '"':
			inString = !inString
		case !inString:
			if n := notFinite(data[i:]); n > 0 {
				out = append(out, "null"...)
				replaced++
				i += n - 1
				continue
			}
		}
		out = append(out, data[i])
	}
	return out, replaced
}

// notFinite is the length of the word that data begins with, or 0.
func notFinite(data []byte) int {
	for _, word := range []string{"NaN", "-NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(data, []byte(word)) {
			return len(word)
		}
	}
	return 0
}

// addInput records a file that was read, once, by its path inside the directory or, for
// one elsewhere, by its name: a path would differ between machines. option is the flag
// that named it, "" for the directory's own.
func (d *dataset) addInput(path, sum string, listed bool, option string) {
	name, err := filepath.Rel(d.dir, path)
	if err != nil || strings.HasPrefix(name, "..") {
		name = filepath.Base(path)
	}
	in := Input{File: filepath.ToSlash(name), SHA256: sum, Option: option}
	if slices.Contains(d.inputs, in) {
		return
	}
	d.inputs = append(d.inputs, in)
	if !listed {
		d.unlisted = append(d.unlisted, in.File)
	}
}
