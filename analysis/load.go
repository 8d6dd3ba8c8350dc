package analysis

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"personaprobe/experiment"
	"personaprobe/internal/english"
	"personaprobe/internal/sums"
)

const (
	manifestFile  = "manifest.json"
	cosineFile    = "cosine_analysis.json"
	compiledFile  = "compiled_analysis.json"
	fullFile      = "full_analysis.json"
	taxonomyFile  = "taxonomy.json"
	questionsFile = "questions.json"
	evalFile      = "marker_eval.json"
	rawFile       = "raw_completions.json"
	summaryFile   = "summary.json"
	centroidFile  = "centroids.safetensors"
)

// load reads everything that the numbers need.
func load(ctx context.Context, dir string, opts Options) (*dataset, error) {
	d, t, lengths, err := read(dir, opts)
	if err != nil {
		return nil, err
	}
	if err := d.noteModel(opts.Model); err != nil {
		return nil, err
	}
	d.checkCosines()
	if err := d.countQuestions(ctx); err != nil {
		return nil, err
	}
	d.noteUnlisted()
	d.inputs = append(d.inputs, opts.Files...)
	return d, d.addCovariates(t, lengths, opts)
}

// noteUnlisted says which files could be damaged without anybody seeing it.
func (d *dataset) noteUnlisted() {
	if n := len(d.unlisted); n > 0 {
		d.note("%d of %d %s read %s in no %s, such as %s: whether such files are as they were written is unknown",
			n, len(d.inputs), english.Plural(len(d.inputs), "file"), english.Form(n, "is", "are"), sums.Name, d.unlisted[0])
	}
}

// read reads a run directory, or a folder of artefacts without a manifest, all but
// the completions. t may be nil; lengths are those of prompts in tokens.
func read(dir string, opts Options) (d *dataset, t *experiment.Taxonomy, lengths map[string]float64, err error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("analyse: %w", err)
	}
	if !info.IsDir() {
		return nil, nil, nil, fmt.Errorf("%w: analyse: %s is a file; give the folder that it is in", ErrInput, dir)
	}
	d = newDataset(dir)
	d.marker = opts.Marker
	lengths, err = d.loadEither()
	if err != nil {
		return nil, nil, nil, err
	}
	if len(d.records) == 0 {
		return nil, nil, nil, fmt.Errorf("%w: %s has nothing to analyse: want a finished shard (<source>_seed<seed>/%s) or %s",
			ErrInput, dir, evalFile, cosineFile)
	}
	if t, err = d.taxonomy(opts); err != nil {
		return nil, nil, nil, err
	}
	d.settle()
	return d, t, lengths, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// loadEither reads a run directory, as a folder of artefacts if it is damaged.
func (d *dataset) loadEither() (lengths map[string]float64, err error) {
	if !exists(filepath.Join(d.dir, manifestFile)) {
		return d.loadFolder()
	}
	if err := d.hashExisting(manifestFile, taxonomyFile, questionsFile); err != nil {
		return nil, err
	}
	r, err := experiment.LoadResults(d.dir)
	if errors.Is(err, sums.ErrDamaged) {
		return nil, err
	}
	if err != nil {
		d.note("not read as a run directory, but as a folder of artefacts, because: %s", d.describe(err))
		return d.loadFolder()
	}
	return d.loadRun(r)
}

// describe is an error as a file may have it: without this machine's paths, and
// without the word that a reader of the file may look for.
func (d *dataset) describe(err error) string {
	text := strings.ReplaceAll(err.Error(), d.dir+string(filepath.Separator), "")
	return strings.ReplaceAll(text, "NaN", "not a number")
}

// loadRun reads a directory that Run made.
func (d *dataset) loadRun(r *experiment.Results) (lengths map[string]float64, err error) {
	d.baseModel, d.marker, d.seeds = r.Manifest.Base, r.Study.Plan.Marker, r.Study.Plan.Seeds
	d.sources, d.categories = r.Study.Sources(), append([]string(nil), r.Study.Taxonomy.Categories...)
	d.nominal = len(r.Study.Taxonomy.Bystanders)
	for _, s := range r.Missing {
		d.miss(s.Name(), "the shard is not finished; rates are over the others")
	}
	lengths = make(map[string]float64)
	for _, s := range r.Shards {
		for id, n := range s.Summary.TokenLengths.All() {
			lengths[id] = float64(n)
		}
		d.addCost(Compute{WallMinutes: s.Summary.WallMinutes, GPUHours: s.Summary.GPUHours, Device: r.Manifest.Identity.Device,
			Tokens: s.Summary.NumTokens, Truncated: s.Summary.NumTruncated})
		evals, err := d.readEvals(s.Shard.Name())
		if err != nil {
			return nil, err
		}
		if err := d.addShard(shard{s.Shard.Name(), s.Shard.Adapter.Source, s.Shard.Key(), s.Shard.Seed, evals}); err != nil {
			return nil, err
		}
		if err := d.hashExisting(s.Shard.Name() + "/" + summaryFile); err != nil {
			return nil, err
		}
	}
	if len(r.Shards) == 0 {
		return nil, fmt.Errorf("%w: %s has no finished shard to analyse; run it first", ErrInput, d.dir)
	}
	if err := d.checkPersonas(); err != nil {
		return nil, err
	}
	d.compiled = experiment.Compile(r)
	return lengths, d.loadRunCosines(r)
}

// loadRunCosines takes the cosines from the centroids, which they follow from; a copy
// of the directory may lack those and still have the analysis.
func (d *dataset) loadRunCosines(r *experiment.Results) error {
	if len(r.Study.Plan.Layers) == 0 {
		d.miss("layers in the plan", "no cosines, and nothing that needs them")
		return nil
	}
	if !exists(filepath.Join(d.dir, centroidFile)) {
		return d.loadCosines()
	}
	if err := d.hashExisting(centroidFile); err != nil { // also if it cannot be used: that decides, too
		return err
	}
	rep, err := experiment.ReadRepresentation(r)
	if errors.Is(err, sums.ErrDamaged) {
		return err
	}
	if err != nil {
		d.note("%s is not usable, %s is read instead: %s", centroidFile, cosineFile, d.describe(err))
		return d.loadCosines()
	}
	cosines, err := experiment.AnalyseCosines(r, rep, time.Time{})
	if err != nil {
		return err
	}
	k := 0
	for name, layer := range cosines.PerLayer.All() {
		d.layers = append(d.layers, layerKey{name, rep.Layers[k]})
		k++
		for _, p := range layer.Pairs {
			rec, _ := d.record(p.Source, p.PersonaID, p.Category)
			if p.Cosine != nil {
				rec.cosines[name] = *p.Cosine
			}
		}
	}
	return nil
}

// loadFolder reads artefacts without a manifest: marker_eval.json files, a
// cosine_analysis.json, or both.
func (d *dataset) loadFolder() (lengths map[string]float64, err error) {
	if lengths, err = d.scanShards(); err != nil {
		return nil, err
	}
	switch err := d.loadCosines(); {
	case errors.Is(err, fs.ErrNotExist):
		d.miss(cosineFile, "no cosines, and nothing that needs them")
	case err != nil:
		return nil, err
	}
	if len(d.shards) == 0 {
		d.miss("<source>_seed<seed>/"+evalFile, "no counts of completions: no intervals for rates, no ICC, no anchors, nothing by seed; %s is not written", compiledFile)
	}
	return lengths, nil
}

// hashExisting records files of the directory that another package reads, those that
// are there.
func (d *dataset) hashExisting(names ...string) error {
	for _, name := range names {
		path := filepath.Join(d.dir, name)
		sum, listed, err := sums.Check(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		}
		d.addInput(path, sum, listed, "")
	}
	return nil
}
