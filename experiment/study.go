package experiment

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"personaprobe/engine"
)

// Study is a plan together with the personas and questions it runs on. Make it with
// NewStudy.
type Study struct {
	Plan      Plan
	Taxonomy  *Taxonomy
	Questions []string // those that are asked: the plan's number, from the first

	sources  []string // those that are run, in order
	document Document // of the questions
}

// Adapter is one trained adapter of a source.
type Adapter struct {
	Source   string
	Training int    // which of the source's adapters, from 1; 0 if it has only one
	Path     string // as the plan gives it; "" is the embedded one
}

// Name is the adapter's name for the Model and in folder names: the source, with
// _t<k> behind it if the source has several.
func (a Adapter) Name() string {
	if a.Training == 0 {
		return a.Source
	}
	return a.Source + "_t" + strconv.Itoa(a.Training)
}

// Shard is one adapter sampled with one seed.
type Shard struct {
	Adapter Adapter
	Seed    uint64
}

// Name is the shard's folder.
func (s Shard) Name() string {
	return s.Adapter.Name() + "_seed" + strconv.FormatUint(s.Seed, 10)
}

// Key tells the shards of one source apart: the seed alone, or t<k>_seed<seed> if the
// source has several adapters.
func (s Shard) Key() string {
	seed := strconv.FormatUint(s.Seed, 10)
	if s.Adapter.Training == 0 {
		return seed
	}
	return "t" + strconv.Itoa(s.Adapter.Training) + "_seed" + seed
}

// NewStudy checks that plan, personas and questions fit together. Errors wrap
// ErrInput and name the plan's key.
func NewStudy(p Plan, t *Taxonomy, q *Questions) (*Study, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if err := t.Validate(); err != nil {
		return nil, err
	}
	if err := q.Validate(); err != nil {
		return nil, err
	}
	s := &Study{Plan: p, Taxonomy: t, sources: p.Sources, document: q.Document}
	if len(s.sources) == 0 {
		s.sources = t.SourceIDs()
	}
	var out problems
	if p.NumQuestions > len(q.Texts) {
		out.add("n_questions", "is %d, but the file has %d questions", p.NumQuestions, len(q.Texts))
	} else {
		s.Questions = slices.Clone(q.Texts[:p.NumQuestions])
	}
	s.checkSources(&out)
	if err := out.err("", nil); err != nil {
		return nil, err
	}
	return s, s.checkNames()
}

func (s *Study) checkSources(out *problems) {
	known := s.Taxonomy.SourceIDs()
	for _, source := range s.sources {
		if !slices.Contains(known, source) {
			out.add("sources", "unknown source %q%s", source, didYouMean(source, known))
			continue
		}
		if len(s.Taxonomy.Personas(source)) == len(s.Taxonomy.Sources) {
			out.add("sources", "the source %q has no bystanders", source)
		}
		if len(s.Plan.Adapters[source]) == 0 && s.Plan.Model != EmbeddedModel {
			out.add("adapters", "no adapter for the source %q", source)
		}
	}
	for _, source := range slices.Sorted(maps.Keys(s.Plan.Adapters)) {
		if !slices.Contains(known, source) {
			out.add("adapters."+source, "unknown source %q%s", source, didYouMean(source, known))
		}
	}
}

// trainingName is the name of a source's k-th adapter, where it has several.
var trainingName = regexp.MustCompile(`^(.+)_t[0-9]+$`)

// checkNames refuses a source such as "a_t1" beside a source "a" with several adapters,
// which go by such names.
func (s *Study) checkNames() error {
	var out problems
	for _, source := range s.sources {
		m := trainingName.FindStringSubmatch(source)
		if m != nil && slices.Contains(s.sources, m[1]) && len(s.Plan.Adapters[m[1]]) > 1 {
			out.add("sources", "%q could be an adapter of %q, which has several; rename a source", source, m[1])
		}
	}
	return out.err("", nil)
}

// of is the study on a model of so many layers, with the numbers of its own.
func (s *Study) of(depth int) (*Study, error) {
	layers, err := s.Plan.Layers.Of(depth)
	if err != nil {
		return nil, &InputError{Path: "layers", Problem: strings.TrimPrefix(err.Error(), "layers: ")}
	}
	out := *s
	out.Plan.Layers = layers
	return &out, nil
}

// Sources are the ids of the sources that are run, in order.
func (s *Study) Sources() []string { return slices.Clone(s.sources) }

// Adapters are those that are run, source by source.
func (s *Study) Adapters() []Adapter {
	var all []Adapter
	for _, source := range s.sources {
		paths := s.Plan.Adapters[source]
		if len(paths) == 0 {
			paths = Paths{""}
		}
		for k, path := range paths {
			a := Adapter{Source: source, Path: path}
			if len(paths) > 1 {
				a.Training = k + 1
			}
			all = append(all, a)
		}
	}
	return all
}

// ShardsOf are an adapter's shards, seed by seed.
func (s *Study) ShardsOf(a Adapter) []Shard {
	shards := make([]Shard, len(s.Plan.Seeds))
	for i, seed := range s.Plan.Seeds {
		shards[i] = Shard{Adapter: a, Seed: seed}
	}
	return shards
}

// Shards are all shards, adapter by adapter.
func (s *Study) Shards() []Shard {
	var all []Shard
	for _, a := range s.Adapters() {
		all = append(all, s.ShardsOf(a)...)
	}
	return all
}

// ShardSize is the number of completions of one of a source's shards.
func (s *Study) ShardSize(source string) int {
	return len(s.Taxonomy.Personas(source)) * len(s.Questions) * s.Plan.NumCompletions
}

// Size is the number of completions of the whole study.
func (s *Study) Size() int {
	n := 0
	for _, a := range s.Adapters() {
		n += s.ShardSize(a.Source) * len(s.Plan.Seeds)
	}
	return n
}

// Requests are the whole study's, source by source, persona by persona and question
// by question. One request asks for all seeds, so that its prompt is computed once.
func (s *Study) Requests() []engine.Request {
	var all []engine.Request
	for _, a := range s.Adapters() {
		for p, persona := range s.Taxonomy.Personas(a.Source) {
			for q := range s.Questions {
				id := fmt.Sprintf("%s/%d/%d", a.Name(), p, q)
				all = append(all, s.request(id, a, persona, q, s.Plan.Seeds))
			}
		}
	}
	return all
}

func (s *Study) request(id string, a Adapter, persona Persona, question int, seeds []uint64) engine.Request {
	return engine.Request{
		ID: id, Messages: chat(persona.Prompt, s.Questions[question]),
		Adapter: a.Name(), Seeds: seeds, N: s.Plan.NumCompletions,
		Sampling: s.Plan.Sampling(), MaxTokens: s.Plan.MaxTokens,
	}
}
