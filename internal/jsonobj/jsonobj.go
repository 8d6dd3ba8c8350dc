// Package jsonobj reads a JSON object in the order of its keys and refuses a
// key that occurs twice. encoding/json keeps neither property, and both matter
// for files where a duplicate would silently replace a tensor or where the
// first matching pattern wins.
package jsonobj

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Member is one key of an object and its undecoded value.
type Member struct {
	Key   string
	Value json.RawMessage
}

// Parse returns the members of the single JSON object in data, in file order.
func Parse(data []byte) ([]Member, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	token, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("read JSON object: %w", err)
	}
	if token != json.Delim('{') {
		return nil, fmt.Errorf("read JSON object: found %v, not an object", token)
	}
	var members []Member
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("read JSON object: %w", err)
		}
		key, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("read JSON object: key %v is not a string", token)
		}
		if seen[key] {
			return nil, fmt.Errorf("read JSON object: key %q occurs twice", key)
		}
		seen[key] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("read JSON object: value of %q: %w", key, err)
		}
		members = append(members, Member{key, value})
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("read JSON object: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("read JSON object: data after its end")
	}
	return members, nil
}
