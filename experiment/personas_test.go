package experiment

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// mapCounter knows the lengths of some texts.
type mapCounter map[string]int

func (m mapCounter) CountTokens(text string) (int, error) {
	n, ok := m[text]
	if !ok {
		return 0, errors.New("unknown text")
	}
	return n, nil
}

type constantCounter int

func (c constantCounter) CountTokens(string) (int, error) { return int(c), nil }

func checkTaxonomy(t *testing.T, prompts ...string) *Taxonomy {
	t.Helper()
	tax := &Taxonomy{
		Sources:    []Source{{"software_engineer", "You write web pages."}, {"assistant", "You are a helpful assistant."}},
		Categories: []string{"one", "two"},
	}
	for i, p := range prompts {
		tax.Bystanders = append(tax.Bystanders, Persona{
			ID: fmt.Sprintf("p%d", i), Source: tax.Sources[i/2%2].ID, Category: tax.Categories[i%2], Prompt: p,
		})
	}
	if err := tax.Validate(); err != nil {
		t.Fatal(err)
	}
	return tax
}

func TestCheckPersonas(t *testing.T) {
	cases := map[string]struct {
		prompts []string
		tokens  int
		opts    CheckOptions
		want    []string
	}{
		"clean":     {[]string{"a b", "c d", "e f", "g h"}, 15, CheckOptions{}, nil},
		"upper end": {[]string{"a b", "c d", "e f", "g h"}, 25, CheckOptions{}, nil},
		"short": {[]string{"a b", "c d", "e f", "g h"}, 14, CheckOptions{}, []string{
			"length: p0: 14 tokens, want 15 to 25", "length: p1: 14 tokens, want 15 to 25",
			"length: p2: 14 tokens, want 15 to 25", "length: p3: 14 tokens, want 15 to 25",
		}},
		"own band": {[]string{"a b", "c d", "e f", "g h"}, 14, CheckOptions{MinTokens: 14, MaxTokens: 14}, nil},
		"duplicates": {[]string{"a b", "c d", "a b", "A, b!"}, 20, CheckOptions{}, []string{
			"duplicate: p2: the same prompt as p0", "duplicate: p3: the same words as p0",
		}},
		"a source's prompt": {[]string{"a b", "c d", "you are a HELPFUL assistant", "g h"}, 20, CheckOptions{}, []string{
			"duplicate: p2: the same words as assistant",
		}},
		"cells": {[]string{"a b", "c d", "e f"}, 20, CheckOptions{}, []string{
			"cell: assistant, two: 0 bystanders, want 1",
		}},
		"cell size": {[]string{"a b", "c d", "e f", "g h"}, 20, CheckOptions{CellSize: 2}, []string{
			"cell: software_engineer, one: 1 bystanders, want 2", "cell: software_engineer, two: 1 bystanders, want 2",
			"cell: assistant, one: 1 bystanders, want 2", "cell: assistant, two: 1 bystanders, want 2",
		}},
		// p0 and p1 belong to software_engineer, p2 and p3 to assistant.
		"names": {[]string{"a software engineer", "two Assistants.", "Software-engineers all", "assistance, a softwareengineer"}, 20, CheckOptions{}, []string{
			"names: p1: names the source assistant", "names: p2: names the source software_engineer",
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			findings, err := CheckPersonas(constantCounter(c.tokens), checkTaxonomy(t, c.prompts...), c.opts)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range findings {
				got = append(got, f.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if _, err := CheckPersonas(mapCounter{}, checkTaxonomy(t, "a b"), CheckOptions{}); err == nil {
		t.Error("the counter's error is lost")
	}
	if _, err := CheckPersonas(constantCounter(1), checkTaxonomy(t, "a b"), CheckOptions{MinTokens: 30}); err == nil {
		t.Error("a band from 30 to 25 is accepted")
	}
}
