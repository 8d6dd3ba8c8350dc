package analysis

import (
	"fmt"

	"personaprobe/experiment"
)

// Shards repeat each other's personas, so what they say of one must be the same: a
// persona that is in another category or has another prompt in another shard is no
// repetition, and its pooled rate is of nothing.

// told is what a file says of a persona.
type told struct {
	where                    string
	category, prompt, source string // "" is unknown, which contradicts nothing
}

// against reports the first thing in which two files differ. As who names the persona.
func (a told) against(b told, who string) error {
	for _, x := range []struct{ what, a, b string }{
		{"category", a.category, b.category}, {"prompt", a.prompt, b.prompt}, {"source", a.source, b.source},
	} {
		if x.a != x.b && x.a != "" && x.b != "" {
			return fmt.Errorf("%w: persona %s: its %s is %q in %s and %q in %s; correct the wrong file or remove its shard",
				ErrInput, who, x.what, x.a, a.where, x.b, b.where)
		}
	}
	return nil
}

// checkPersonas compares the shards with each other: those of one source in
// everything, and all of them in the prompts of the anchors, which they share.
func (d *dataset) checkPersonas() error {
	first := make(map[recordKey]told)
	compare := func(key recordKey, t told) error {
		known, ok := first[key]
		if !ok {
			first[key] = t
			return nil
		}
		return known.against(t, key.id)
	}
	for _, s := range d.shards {
		for id, e := range s.evals.All() {
			t := told{s.folder + "/" + evalFile, e.Category, e.Prompt, e.Source}
			if err := compare(recordKey{s.source, id}, t); err != nil {
				return err
			}
			if e.Category != anchorCategory {
				continue
			}
			t.source = ""
			if err := compare(recordKey{"", id}, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkTaxonomy compares the shards of a run with the taxonomy that it began with.
func (d *dataset) checkTaxonomy(t *experiment.Taxonomy) error {
	byID := make(map[string]told)
	for _, p := range t.Bystanders {
		byID[p.ID] = told{taxonomyFile, p.Category, p.Prompt, p.Source}
	}
	for _, p := range t.Anchors() {
		byID[p.ID] = told{taxonomyFile, p.Category, p.Prompt, ""}
	}
	for _, s := range d.shards {
		for id, e := range s.evals.All() {
			want, known := byID[id]
			if !known {
				continue // takePrompts says so
			}
			if err := want.against(told{s.folder + "/" + evalFile, e.Category, e.Prompt, e.Source}, id); err != nil {
				return err
			}
		}
	}
	return nil
}
