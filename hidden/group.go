package hidden

import (
	"fmt"
)

// Label is a label of the index by which rows are grouped.
type Label string

// The labels.
const (
	ByPersona  Label = "persona"
	ByQuestion Label = "question"
	ByGroup    Label = "group"
	ByID       Label = "id" // the prompt's: the mean over its tokens or responses
)

func (l Label) of(r *Row) (string, error) {
	var value string
	switch l {
	case ByPersona:
		value = r.Persona
	case ByQuestion:
		value = r.Question
	case ByGroup:
		value = r.Group
	case ByID:
		value = r.ID
	default:
		return "", fmt.Errorf("%w: unknown label %q; want %s, %s, %s or %s", ErrInput, l, ByPersona, ByQuestion, ByGroup, ByID)
	}
	if value == "" {
		return "", fmt.Errorf("%w: row %d, prompt %s, has no %s", ErrInput, r.Row, r.ID, l)
	}
	return value, nil
}

// Centroids takes the mean over the rows with the same label, at every layer: each row
// counts once, so where a prompt gives a row for each token, longer prompts weigh
// more. Groups are in the order of their first row. Rows without the label are an
// error that wraps ErrInput. It goes through the files twice and holds the groups'
// sums in memory.
func (s *States) Centroids(by Label) (*Representation, error) {
	var groups []Group
	numbers := map[string]int{}
	for r, err := range s.Index() {
		if err != nil {
			return nil, err
		}
		name, err := by.of(&r)
		if err != nil {
			return nil, err
		}
		n, known := numbers[name]
		if !known {
			n = len(groups)
			numbers[name] = n
			groups = append(groups, Group{Name: name})
		}
		groups[n].Size++
	}
	sums, err := NewAccumulator(groups, len(s.Job.Layers), s.Job.HiddenSize)
	if err != nil {
		return nil, err
	}
	next := make([]int, len(groups))
	err = s.Each(func(r Row, states [][]float32) error {
		name, err := by.of(&r)
		if err != nil {
			return err
		}
		g := numbers[name]
		next[g]++
		return sums.Add(g, next[g]-1, states)
	})
	if err != nil {
		return nil, err
	}
	centroids, err := sums.Centroids()
	if err != nil {
		return nil, err
	}
	return NewRepresentation(s.Job.Layers, centroids)
}
