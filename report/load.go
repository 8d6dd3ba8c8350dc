package report

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"personaprobe/analysis"
	"personaprobe/experiment"
	"personaprobe/internal/sums"
)

const (
	fullFile     = "full_analysis.json"
	cosineFile   = "cosine_analysis.json"
	compiledFile = "compiled_analysis.json"
	manifestFile = "manifest.json"

	centroidFile = "centroids.safetensors"

	anchorPrefix = "anchor_"
)

// studyLayer is shown by default: the original study named it before looking at others.
const studyLayer = 15

// ErrNoAnalysis marks a directory without a full_analysis.json that can be read.
var ErrNoAnalysis = errors.New("no analysis to report")

// load reads a directory that was analysed.
func load(ctx context.Context, dir string, opts Options) (*study, error) {
	full, err := readFull(dir)
	if err != nil {
		return nil, err
	}
	s := &study{
		dir: dir, full: full, sources: full.Sources, categories: full.Categories,
	}
	if _, err := os.Stat(filepath.Join(dir, manifestFile)); err == nil {
		if s.results, err = experiment.LoadResults(dir); errors.Is(err, sums.ErrDamaged) {
			return nil, err
		} else if err != nil {
			s.notes = append(s.notes, "The run itself cannot be read, so its manifest and counters are not shown: "+err.Error()+".")
		}
	}
	if err := s.readLayers(opts.Layer); err != nil {
		return nil, err
	}
	s.readPersonas()
	s.readCells()
	s.readFit()
	if err := s.checkInputs(ctx); err != nil {
		return nil, err
	}
	return s, s.readCosines()
}

func readFull(dir string) (*analysis.Full, error) {
	full, err := analysis.ReadFull(filepath.Join(dir, fullFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s has no %s; run personaprobe analyze on it first", ErrNoAnalysis, dir, fullFile)
	case err != nil:
		return nil, fmt.Errorf("%w: %w; analyse the directory again", ErrNoAnalysis, err)
	case len(full.Sources) == 0 || len(full.Personas) == 0:
		return nil, fmt.Errorf("%w: %s names no sources or personas; analyse the directory again", ErrNoAnalysis, fullFile)
	}
	if err := checkPaths(full); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNoAnalysis, fullFile, err)
	}
	return full, nil
}

// checkPaths sees that what the file names lies in its directory: it may come from
// strangers, and so must not decide what else is read.
func checkPaths(full *analysis.Full) error {
	for _, in := range full.Inputs {
		if !filepath.IsLocal(in.File) {
			return fmt.Errorf("the input %q is not in the directory", in.File)
		}
	}
	for _, p := range full.Personas {
		for key := range p.Seeds.All() {
			if name := shardName(p.Source, key); filepath.Base(name) != name {
				return fmt.Errorf("the shard %q is not in the directory", name)
			}
		}
	}
	return nil
}

func shardName(source, key string) string {
	if strings.Contains(key, "_seed") { // of one of several adapters
		return source + "_" + key
	}
	return source + "_seed" + key
}

// readLayers takes the correlations and settles which layer to show.
func (s *study) readLayers(want *int) error {
	s.layer = -1
	clustered := 0
	for _, layer := range s.full.Layers.All() {
		s.layers = append(s.layers, layer.Layer)
		point := layerPoint{layer: layer.Layer, bySource: make(map[string]estimate)}
		point.aggregate = spearman(layer.Aggregate.Spearman, true)
		for source, a := range layer.PerSource.All() {
			point.bySource[source] = spearman(a.Spearman, false)
		}
		s.curve = append(s.curve, point)
		if bounds(layer.Aggregate.Spearman.ClusterBootstrap) != nil {
			clustered++
		}
	}
	switch clustered {
	case 0:
		s.rhoInterval = bonettWright
	case len(s.layers):
		s.rhoInterval = clusterBootstrap
	default:
		s.rhoInterval = clusterBootstrap + " where that is defined, else " + bonettWright
	}
	switch best := s.full.BestLayer; {
	case want != nil && slices.Contains(s.layers, *want):
		s.layer = *want
	case want != nil:
		return fmt.Errorf("%w of layer %d; the analysed layers are %v", ErrNoAnalysis, *want, s.layers)
	case slices.Contains(s.layers, studyLayer):
		s.layer = studyLayer
	case best != nil:
		if l, ok := s.full.Layers.Get(*best); ok {
			s.layer, s.chosen = l.Layer, true
		}
	case len(s.layers) > 0:
		s.layer = s.layers[0]
	}
	return nil
}

// spearman is a correlation with the interval that the report shows: the bootstrap of
// whole cells where it is defined and wanted, else Bonett-Wright.
func spearman(s analysis.Spearman, clustered bool) estimate {
	e := estimate{Value: s.Coefficient, P: s.P, N: s.N, Reason: s.Reason, Interval: bounds(s.BonettWright)}
	if b := bounds(s.ClusterBootstrap); clustered && b != nil {
		e.Interval = b
	}
	return e
}

// bounds is an interval, or nil if it is undefined.
func bounds(i analysis.Interval) *interval {
	if i.Lower == nil || i.Upper == nil {
		return nil
	}
	return &interval{*i.Lower, *i.Upper}
}

// readPersonas takes the rates, each with the interval that the analysis chose for it.
func (s *study) readPersonas() {
	s.describeIntervals()
	for row, p := range s.full.Personas {
		if p.Rate == nil {
			s.notes = append(s.notes, fmt.Sprintf("%s under %s has no rate and is left out.", p.ID, p.Source))
			continue
		}
		out := persona{
			ID: p.ID, Source: p.Source, Category: p.Category, Prompt: p.Prompt, Rate: *p.Rate,
			Interval: bounds(p.Interval), Shards: make(map[string]float64), Row: row,
		}
		if p.Found != nil && p.Total != nil {
			out.Found, out.Total = *p.Found, *p.Total
		}
		for key, rate := range p.Seeds.All() {
			out.Shards[key] = rate.Rate
			s.addShard(p.Source, key)
		}
		s.addPersona(p, out)
	}
}

// describeIntervals puts in words what the intervals of the personas' rates are.
func (s *study) describeIntervals() {
	methods := make(map[analysis.IntervalMethod]int)
	for _, p := range s.full.Personas {
		methods[p.IntervalMethod]++
	}
	questions, wilson := methods[analysis.OverQuestions], methods[analysis.WilsonScore]
	s.questions = questions > 0
	switch {
	case questions > 0 && wilson > 0:
		s.rateInterval = fmt.Sprintf("%s bootstrap intervals over questions (Wilson's for %d of %d rates, "+
			"for which resampling questions gives none)", s.level(), wilson, questions+wilson)
	case questions > 0:
		s.rateInterval = s.level() + " bootstrap intervals over questions"
	case wilson > 0:
		s.rateInterval = s.level() + " Wilson intervals, which take completions as independent"
	default:
		s.rateInterval = "missing, because the numbers of completions are unknown"
	}
}

func (s *study) addPersona(p analysis.Persona, out persona) {
	switch {
	case !slices.Contains(s.sources, p.Source):
		s.notes = append(s.notes, fmt.Sprintf("%s belongs to no source that was analysed (%q) and is left out.", p.ID, p.Source))
		return
	case p.IsAnchor():
		out.Prompted = strings.TrimPrefix(p.ID, anchorPrefix)
		s.anchors = append(s.anchors, out)
		return
	}
	for _, layer := range s.layers {
		c, _ := p.Cosines.Get(layerKey(layer))
		out.Cosines = append(out.Cosines, c)
	}
	s.personas = append(s.personas, out)
}

func layerKey(layer int) string { return fmt.Sprintf("layer_%d", layer) }

func (s *study) addShard(source, key string) {
	name := shardName(source, key)
	if !slices.ContainsFunc(s.shards, func(h shard) bool { return h.Name == name }) {
		s.shards = append(s.shards, shard{name, source, key})
	}
}

// checkInputs refuses an analysis that is older than the data beside it, and notes which
// of these are gone.
func (s *study) checkInputs(ctx context.Context) error {
	gone, err := analysis.CheckFresh(ctx, s.dir, s.full)
	own := filter(s.full.Inputs, func(in analysis.Input) bool { return in.Option == "" })
	if len(gone) == len(own) && len(own) > 1 {
		gone = []string{"The data"} // the analysis was written elsewhere
	}
	s.gone = gone
	return err
}

// level is the nominal coverage of the intervals in words.
func (s *study) level() string { return fmt.Sprintf("%g\u00a0%%", math.Round(s.confidence()*1e6)/1e4) }

func (s *study) confidence() float64 {
	if level := s.full.Settings.Level; level != 0 {
		return level
	}
	return 0.95
}
