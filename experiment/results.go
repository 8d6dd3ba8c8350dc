package experiment

import (
	"fmt"
	"os"
	"path/filepath"

	"personaprobe/internal/sums"
)

// Results are what a run directory holds: all of a run, or what is finished of it.
type Results struct {
	Dir      string
	Manifest Manifest
	Study    *Study
	Shards   []ShardResult // those that are finished, in the study's order
	Missing  []Shard       // those that are not
}

// ShardResult is a finished shard.
type ShardResult struct {
	Shard   Shard
	Evals   Ordered[PersonaEval] // by persona id
	Summary ShardSummary
}

// LoadResults reads a run directory. It needs no lock: artefacts appear whole or not
// at all, so a run that goes on may be looked at.
func LoadResults(dir string) (*Results, error) {
	m, err := readManifest(dir)
	if err != nil {
		return nil, fmt.Errorf("not a run directory: %w", err)
	}
	study, err := loadStudy(dir, m)
	if err != nil {
		return nil, err
	}
	r := &Results{Dir: dir, Manifest: m, Study: study}
	s := &store{dir: dir, study: study}
	folders := []string{dir}
	for _, shard := range study.Shards() {
		finished, err := s.finished(shard)
		if err != nil {
			return nil, err
		}
		if !finished {
			r.Missing = append(r.Missing, shard)
			continue
		}
		result, err := s.readResult(shard)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInput, removeShard(err))
		}
		r.Shards = append(r.Shards, result)
		folders = append(folders, s.path(shard, ""))
	}
	sums.WarnWithout(folders...)
	return r, nil
}

// readResult reads a finished shard. All its artefacts must be there, and its counts be
// those of its study; the completions themselves are not read.
func (s *store) readResult(shard Shard) (ShardResult, error) {
	r := ShardResult{Shard: shard}
	if err := sums.Require(s.path(shard, ""), rawFile, evalFile, summaryFile); err != nil {
		return r, err
	}
	if err := readJSON(s.path(shard, evalFile), &r.Evals); err != nil {
		return r, err
	}
	if err := readJSON(s.path(shard, summaryFile), &r.Summary); err != nil {
		return r, err
	}
	if r.Summary.Source != shard.Adapter.Source || r.Summary.Seed != shard.Seed {
		return r, fmt.Errorf("%s is of source %s and seed %d", s.path(shard, summaryFile), r.Summary.Source, r.Summary.Seed)
	}
	if info, err := os.Stat(s.path(shard, rawFile)); err != nil || info.Size() == 0 {
		return r, fmt.Errorf("%s is missing or empty", s.path(shard, rawFile))
	}
	if err := s.checkEvals(r); err != nil {
		return r, fmt.Errorf("%s: %w", s.path(shard, evalFile), err)
	}
	return r, nil
}

// checkEvals compares a shard's personas and counts with what the study asks.
func (s *store) checkEvals(r ShardResult) error {
	personas := s.study.Taxonomy.Personas(r.Shard.Adapter.Source)
	if len(r.Evals) != len(personas) {
		return fmt.Errorf("%d personas, want %d", len(r.Evals), len(personas))
	}
	total := len(s.study.Questions) * s.study.Plan.NumCompletions
	for _, p := range personas {
		e, ok := r.Evals.Get(p.ID)
		switch {
		case !ok:
			return fmt.Errorf("persona %s is missing", p.ID)
		case e.Total != total || e.Found < 0 || e.Found > total:
			return fmt.Errorf("persona %s: %d of %d completions, want a count out of %d", p.ID, e.Found, e.Total, total)
		case e.Rate != (Rate{e.Found, e.Total}).Value():
			return fmt.Errorf("persona %s: the rate %v is not that of %d of %d completions", p.ID, e.Rate, e.Found, e.Total)
		case e.Category != p.Category || e.Prompt != p.Prompt:
			return fmt.Errorf("persona %s is not that of %s", p.ID, taxonomyFile)
		}
	}
	return nil
}

// loadStudy rebuilds the study from the manifest and the copies of its input files.
func loadStudy(dir string, m Manifest) (*Study, error) {
	t, err := ReadTaxonomy(filepath.Join(dir, taxonomyFile))
	if err != nil {
		return nil, err
	}
	q, err := ReadQuestions(filepath.Join(dir, questionsFile))
	if err != nil {
		return nil, err
	}
	id := m.Identity
	if t.Document.SHA256() != id.Taxonomy || q.Document.SHA256() != id.Questions {
		return nil, fmt.Errorf("%s or %s in %s is not the one that the run began with", taxonomyFile, questionsFile, dir)
	}
	p := Plan{
		Model: orNone(m.Paths["model"]), Personas: taxonomyFile, Questions: questionsFile,
		Adapters: make(map[string]Paths), Sources: id.Sources,
		NumQuestions: id.NumQuestions, NumCompletions: id.NumCompletions, Seeds: id.Seeds, Layers: id.Layers,
		Temperature: id.Temperature, TopP: id.TopP, MaxTokens: id.MaxTokens, Marker: id.Marker,
	}
	for _, source := range id.Sources {
		p.Adapters[source] = adapterPaths(m, source)
	}
	return NewStudy(p, t, q)
}

// adapterPaths lists a source's adapters; a path that was not recorded is replaced by
// the adapter's name.
func adapterPaths(m Manifest, source string) Paths {
	var paths Paths
	add := func(a Adapter) bool {
		hash := m.Identity.Adapters[a.Name()]
		if hash == "" {
			return false
		}
		path := m.Paths["adapter "+a.Name()]
		if path == "" {
			path = a.Name()
		}
		paths = append(paths, path)
		return true
	}
	if add(Adapter{Source: source}) {
		return paths
	}
	for k := 1; add(Adapter{Source: source, Training: k}); k++ {
	}
	return paths
}

// Counts pools, for every persona of a source, the completions of all its finished
// shards. shards is how many those are.
func (r *Results) Counts(source string) (counts map[string]Rate, shards int) {
	counts = make(map[string]Rate)
	for _, result := range r.Shards {
		if result.Shard.Adapter.Source != source {
			continue
		}
		shards++
		for id, e := range result.Evals.All() {
			counts[id] = counts[id].plus(Rate{e.Found, e.Total})
		}
	}
	return counts, shards
}
