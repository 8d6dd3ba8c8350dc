package analysis

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"personaprobe/experiment"
	"personaprobe/internal/english"
)

// taxonomy reads the personas file, if there is one, and takes its prompts and the
// order of its sources and categories.
func (d *dataset) taxonomy(opts Options) (*experiment.Taxonomy, error) {
	path := opts.Personas
	if path == "" {
		path = filepath.Join(d.dir, taxonomyFile)
		if !exists(path) {
			return nil, nil //nolint:nilnil // a folder may have none
		}
	}
	t, err := experiment.ReadTaxonomy(path)
	if err != nil {
		return nil, err
	}
	if path == opts.Personas {
		d.addInput(path, t.Document.SHA256(), true, "personas") // the user's own: no list has it
	} else if err := d.hashExisting(taxonomyFile); err != nil {
		return nil, err
	}
	if path != opts.Personas && exists(filepath.Join(d.dir, manifestFile)) {
		if err := d.checkTaxonomy(t); err != nil {
			return nil, err
		}
	}
	if d.nominal == 0 {
		d.nominal = len(t.Bystanders)
	}
	if len(d.sources) == 0 {
		d.sources = t.SourceIDs()
	}
	if len(d.categories) == 0 {
		d.categories = slices.Clone(t.Categories)
	}
	d.takePrompts(t)
	return t, nil
}

func (d *dataset) takePrompts(t *experiment.Taxonomy) {
	for _, s := range t.Sources {
		d.prompts[s.ID] = s.Prompt
	}
	var unknown, moved []string
	byID := make(map[string]experiment.Persona)
	for _, p := range append(t.Anchors(), t.Bystanders...) {
		byID[p.ID] = p
	}
	for _, r := range d.records {
		p, ok := byID[r.id]
		switch {
		case !ok:
			unknown = append(unknown, r.id)
			continue
		case !r.isAnchor() && (p.Source != r.source || p.Category != r.category):
			moved = append(moved, r.id)
		case r.prompt != "" && r.prompt != p.Prompt:
			d.note("the prompt of %s in the completions is not that of the personas file; the former is used", r.id)
			continue
		}
		r.prompt, r.hasPrompt = p.Prompt, true
	}
	if len(unknown) > 0 {
		d.miss("prompts of "+list(unknown)+" in the personas file", "%d %s no covariates from it", len(unknown), english.Form(len(unknown), "persona has", "personas have"))
	}
	if len(moved) > 0 {
		d.note("the personas file gives %s another source or category than the artefacts, which are followed", list(moved))
	}
}

// addCovariates computes the surface covariates of the bystanders. Definitions: chars
// is the number of characters (code points) of the prompt, words that of its pieces
// between white space, jaccard the overlap of the sets of lower-cased pieces of the
// prompt and its source's, tokens the length in the base model's tokens, semantic
// what the options give. A persona without a system prompt has length 0 and shares no
// piece; two of them have no jaccard.
func (d *dataset) addCovariates(t *experiment.Taxonomy, lengths map[string]float64, opts Options) error {
	tokens := opts.Tokens
	if tokens == nil {
		tokens = lengths
	}
	if len(tokens) == 0 && t != nil {
		var err error
		if tokens, err = annotatedTokens(t); err != nil {
			return err
		}
	}
	for _, r := range d.records {
		if r.hasPrompt {
			r.covariates[covChars] = float64(utf8.RuneCountInString(r.prompt))
			r.covariates[covWords] = float64(len(strings.Fields(r.prompt)))
			if source, known := d.prompts[r.source]; known && r.prompt+source != "" {
				r.covariates[covJaccard] = jaccard(r.prompt, source)
			}
		}
		if n, ok := tokens[r.id]; ok {
			r.covariates[covTokens] = n
		}
		if v, ok := opts.Semantic[r.id]; ok {
			r.covariates[covSemantic] = v
		}
	}
	d.checkCovariates(opts)
	return nil
}

// checkCovariates lists the covariates that are known and those that are not.
func (d *dataset) checkCovariates(opts Options) {
	bystanders := d.bystanders(nil)
	for _, name := range []string{covTokens, covChars, covWords, covJaccard, covSemantic} {
		n := 0
		for _, r := range bystanders {
			if _, ok := r.covariates[name]; ok {
				n++
			}
		}
		switch {
		case n > 0:
			d.covariates = append(d.covariates, name)
			if n < len(bystanders) {
				d.miss(fmt.Sprintf("covariate %s of %d %s", name, len(bystanders)-n, english.Plural(len(bystanders)-n, "persona")), "they are left out of partial correlations on it")
			}
		case name != covSemantic:
			d.miss("covariate "+name, "no partial correlations on it; give a personas file")
		case opts.Semantic != nil:
			d.note("none of the semantic covariates is of a persona of this study")
		}
	}
}

// annotatedTokens reads the prompt lengths that a personas file may carry.
func annotatedTokens(t *experiment.Taxonomy) (map[string]float64, error) {
	type persona struct {
		ID         string   `json:"id"`
		Tokens     *float64 `json:"tokens"`
		QwenTokens *float64 `json:"qwen_tokens"`
	}
	var file struct{ Bystanders, Personas []persona }
	if err := json.Unmarshal(t.Document.Data, &file); err != nil {
		return nil, jsonError(t.Document.Name, t.Document.Data, err)
	}
	tokens := make(map[string]float64)
	for _, p := range append(file.Bystanders, file.Personas...) {
		if p.QwenTokens != nil {
			tokens[p.ID] = *p.QwenTokens
		}
		if p.Tokens != nil {
			tokens[p.ID] = *p.Tokens
		}
	}
	return tokens, nil
}

// jaccard is |A and B| / |A or B| of the sets of lower-cased pieces between white
// space. Punctuation stays attached.
func jaccard(a, b string) float64 {
	in := make(map[string]int)
	for _, w := range strings.Fields(strings.ToLower(a)) {
		in[w] |= 1
	}
	for _, w := range strings.Fields(strings.ToLower(b)) {
		in[w] |= 2
	}
	both := 0
	for _, where := range in {
		if where == 3 {
			both++
		}
	}
	if len(in) == 0 {
		return 0
	}
	return float64(both) / float64(len(in))
}
