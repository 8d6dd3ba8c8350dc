package experiment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
)

// Ordered is a JSON object whose members keep their order. Readers of the artefacts
// see personas, questions and categories as the study lists them, not by alphabet.
type Ordered[V any] []member[V]

type member[V any] struct {
	key   string
	value V
}

// Set appends a member; the caller sees to it that the key is new.
func (o *Ordered[V]) Set(key string, value V) { *o = append(*o, member[V]{key, value}) }

// All yields keys and values in order.
func (o Ordered[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, m := range o {
			if !yield(m.key, m.value) {
				return
			}
		}
	}
}

// Get is the value of the member called key.
func (o Ordered[V]) Get(key string) (value V, ok bool) {
	for _, m := range o {
		if m.key == key {
			return m.value, true
		}
	}
	return value, false
}

// MarshalJSON writes the members in order.
func (o Ordered[V]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := marshal(m.key, "")
		if err != nil {
			return nil, err
		}
		value, err := marshal(m.value, "")
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads the members in file order and refuses a key given twice.
func (o *Ordered[V]) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	open, err := decoder.Token()
	if err != nil {
		return err
	}
	if open != json.Delim('{') {
		return fmt.Errorf("found %v, want an object", open)
	}
	*o = nil
	seen := make(map[string]bool)
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // the decoder gives nothing else here
		if seen[key] {
			return fmt.Errorf("the key %q occurs twice", key)
		}
		seen[key] = true
		var value V
		if err := decoder.Decode(&value); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
		o.Set(key, value)
	}
	return nil
}

// marshal is v as indented JSON without a newline, each line after the first behind
// prefix. Unlike json.Marshal it leaves <, > and & as they are.
func marshal(v any, prefix string) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent(prefix, "  ")
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}
