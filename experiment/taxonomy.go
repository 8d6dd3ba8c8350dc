package experiment

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"personaprobe/internal/sums"
)

// AnchorCategory is the category of the source prompts when they are asked of an
// adapter, and AnchorSource stands for the source they belong to: all of them.
const (
	AnchorCategory = "anchor"
	AnchorSource   = "all"
	anchorPrefix   = "anchor_"
)

// Source is a persona that an adapter was trained to mark.
type Source struct {
	ID     string // also names the shard folders: letters, digits, '_', '-' and '.'
	Prompt string // system prompt; "" is no system message at all
}

// Persona is one system prompt under test.
type Persona struct {
	ID       string
	Source   string // id of the source it is compared with; AnchorSource for an anchor
	Category string // how it relates to its source; AnchorCategory for an anchor
	Prompt   string // system prompt; "" is no system message at all
}

// Taxonomy is the personas of a study, all in the order of their file.
type Taxonomy struct {
	Sources    []Source
	Categories []string
	Bystanders []Persona
	Document   Document // what it was read from
}

// Document is an input file as it was read. The run directory keeps its bytes.
type Document struct {
	Name string // path; "" for a value made in memory
	Data []byte
}

// SHA256 is the hash of the bytes, in lower-case hex.
func (d Document) SHA256() string {
	sum := sha256.Sum256(d.Data)
	return hex.EncodeToString(sum[:])
}

// ReadTaxonomy reads the file at path; see ParseTaxonomy.
func ReadTaxonomy(path string) (*Taxonomy, error) {
	f, err := sums.Read(path)
	if err != nil {
		return nil, fmt.Errorf("read personas: %w", err)
	}
	return ParseTaxonomy(path, f.Data)
}

// ParseTaxonomy reads a taxonomy from JSON; name is the file's, for the messages. The
// object has these keys; others are annotations and are not read:
//
//	sources     list of {id, prompt}
//	categories  list of names
//	bystanders  list of {id, source, category, prompt}; "personas" is the same
//	anchors     optional, list of {id, prompt}: they follow from the sources, as
//	            anchor_<source> with the source's prompt, and must agree with them
//
// Errors are *[InputError] values, all that were found, and wrap [ErrInput].
func ParseTaxonomy(name string, data []byte) (*Taxonomy, error) {
	var d document
	root, err := d.parse(name, data)
	if err != nil {
		return nil, err
	}
	t := &Taxonomy{Document: Document{Name: name, Data: data}}
	for _, v := range d.items(root, "sources") {
		t.Sources = append(t.Sources, Source{ID: d.text(v, "id"), Prompt: d.text(v, "prompt")})
	}
	for _, v := range d.items(root, "categories") {
		t.Categories = append(t.Categories, d.string(v))
	}
	list := "bystanders"
	if root.has("personas") {
		if root.has(list) {
			d.add("personas", `"personas" and "bystanders" mean the same; keep one of them`)
		}
		list = "personas"
	}
	for _, v := range d.items(root, list) {
		t.Bystanders = append(t.Bystanders, Persona{
			ID: d.text(v, "id"), Source: d.text(v, "source"),
			Category: d.text(v, "category"), Prompt: d.text(v, "prompt"),
		})
	}
	if root.has("anchors") {
		d.checkAnchors(root, t)
	}
	if len(d.problems) == 0 { // or missing keys would be reported again as empty values
		t.validate(&d.problems, list)
	}
	if err := d.err(name, d.lines); err != nil {
		return nil, err
	}
	return t, nil
}

// checkAnchors compares the file's anchors with the derived ones.
func (d *document) checkAnchors(root *jsonValue, t *Taxonomy) {
	derived := t.Anchors()
	given := d.items(root, "anchors")
	if len(given) != len(derived) {
		d.add("anchors", "%d anchors for %d sources; leave the list out, it follows from the sources", len(given), len(derived))
		return
	}
	for _, v := range given {
		id, prompt := d.text(v, "id"), d.text(v, "prompt")
		i := slices.IndexFunc(derived, func(p Persona) bool { return p.ID == id })
		switch {
		case i < 0:
			d.add(v.path, "no source makes the anchor %q", id)
		case derived[i].Prompt != prompt:
			d.add(v.path, "the prompt of %q is not that of its source", id)
		}
	}
}

// Validate reports every problem of a taxonomy made in memory, with the paths that a
// file would have.
func (t *Taxonomy) Validate() error {
	var p problems
	t.validate(&p, "bystanders")
	return p.err(t.Document.Name, nil)
}

// A source's id names folders, so it must not lead out of the run directory.
var sourceID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

func (t *Taxonomy) validate(p *problems, list string) {
	ids := make(map[string]string) // id -> where it was given
	t.validateSources(p, ids)
	categories := make(map[string]bool)
	for i, c := range t.Categories {
		path := fmt.Sprintf("categories[%d]", i)
		switch {
		case strings.TrimSpace(c) == "" || !utf8.ValidString(c):
			p.add(path, "empty or invalid category name %q", c)
		case c == AnchorCategory:
			p.add(path, "%q is reserved for the source prompts", c)
		case categories[c]:
			p.add(path, "the category %q occurs twice", c)
		}
		categories[c] = true
	}
	if len(t.Bystanders) == 0 {
		p.add(list, "no personas")
	}
	for i, b := range t.Bystanders {
		path := fmt.Sprintf("%s[%d]", list, i)
		checkID(p, ids, path, b.ID)
		checkPrompt(p, path, b.Prompt)
		if !slices.ContainsFunc(t.Sources, func(s Source) bool { return s.ID == b.Source }) {
			p.add(path+".source", "unknown source %q%s", b.Source, didYouMean(b.Source, t.SourceIDs()))
		}
		if !categories[b.Category] {
			p.add(path+".category", "unknown category %q%s", b.Category, didYouMean(b.Category, t.Categories))
		}
	}
}

func (t *Taxonomy) validateSources(p *problems, ids map[string]string) {
	if len(t.Sources) == 0 {
		p.add("sources", "no sources")
	}
	for i, s := range t.Sources {
		path := fmt.Sprintf("sources[%d]", i)
		if s.ID != "" && !sourceID.MatchString(s.ID) {
			p.add(path+".id", "the id %q must be letters, digits, '_', '-' and '.': folders are named after it", s.ID)
		}
		checkID(p, ids, path, s.ID)
		checkPrompt(p, path, s.Prompt)
	}
	for i, s := range t.Sources {
		checkID(p, ids, fmt.Sprintf("sources[%d]", i), anchorPrefix+s.ID)
	}
}

func checkID(p *problems, ids map[string]string, path, id string) {
	switch {
	case strings.TrimSpace(id) == "" || !utf8.ValidString(id):
		p.add(path+".id", "empty or invalid id %q", id)
	case ids[id] != "":
		p.add(path+".id", "the id %q is already that of %s", id, ids[id])
	}
	ids[id] = path
}

func checkPrompt(p *problems, path, prompt string) {
	switch {
	case prompt != "" && strings.TrimSpace(prompt) == "":
		p.add(path+".prompt", "only white space; for no system prompt at all write \"\"")
	case !utf8.ValidString(prompt):
		p.add(path+".prompt", "not valid UTF-8")
	}
}

// SourceIDs are the ids of the sources.
func (t *Taxonomy) SourceIDs() []string {
	ids := make([]string, len(t.Sources))
	for i, s := range t.Sources {
		ids[i] = s.ID
	}
	return ids
}

// Anchors are the source prompts as personas under test, one per source.
func (t *Taxonomy) Anchors() []Persona {
	anchors := make([]Persona, len(t.Sources))
	for i, s := range t.Sources {
		anchors[i] = Persona{ID: anchorPrefix + s.ID, Source: AnchorSource, Category: AnchorCategory, Prompt: s.Prompt}
	}
	return anchors
}

// Personas are those asked of a source's adapter: its own bystanders, then all anchors.
func (t *Taxonomy) Personas(source string) []Persona {
	var own []Persona
	for _, b := range t.Bystanders {
		if b.Source == source {
			own = append(own, b)
		}
	}
	return append(own, t.Anchors()...)
}

// Distinct are the personas whose prompts differ: the sources, under their own ids,
// then all bystanders. Centroids are taken over them, since anchors repeat sources.
func (t *Taxonomy) Distinct() []Persona {
	all := make([]Persona, 0, len(t.Sources)+len(t.Bystanders))
	for _, s := range t.Sources {
		all = append(all, Persona{ID: s.ID, Source: s.ID, Prompt: s.Prompt})
	}
	return append(all, t.Bystanders...)
}
