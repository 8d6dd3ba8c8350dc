package analysis

import (
	"context"
	"fmt"

	"personaprobe/internal/english"
)

// format is the version of the fields that full_analysis.json has beyond the
// original's.
const format = 2

// Analyze computes every number from the artefacts in dir: a run directory, finished
// or not, or a folder with a cosine_analysis.json, with marker_eval.json files in
// <source>_seed<seed>/ folders, or with both. What is absent is in [Full.Missing]; an
// error means that a file cannot be read as what it is, and names it.
func Analyze(ctx context.Context, dir string, opts Options) (*Full, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	d, err := load(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	a := &analyst{dataset: d, opts: opts}
	f, err := a.full(ctx)
	if err == nil {
		err = a.err
	}
	if err != nil {
		return nil, fmt.Errorf("analyse %s: %w", dir, err)
	}
	return f, nil
}

func (a *analyst) full(ctx context.Context) (*Full, error) {
	if err := a.checkJudges(); err != nil {
		return nil, err
	}
	f := &Full{
		Experiment: a.opts.Experiment, NumSources: len(a.sources), Seeds: orEmpty(a.seeds),
		NumPersonas: max(a.nominal, 0), Categories: orEmpty(a.categories),
		Format: format, BaseModel: a.baseModel, Marker: a.marker, Sources: orEmpty(a.sources),
		Settings: Settings{
			Level: a.opts.Level, Resamples: a.opts.Resamples, Permutations: a.opts.Permutations,
			Seed: a.opts.Seed, Folds: a.opts.Folds,
		},
		Compute: a.cost(), compiled: a.compiled, Layers: Ordered[Layer]{},
	}
	if f.NumPersonas == 0 {
		f.NumPersonas = len(a.bystanders(nil))
	}
	for _, r := range a.records {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f.Personas = append(f.Personas, a.persona(r))
	}
	a.summaries(f)
	a.anchors(f)
	f.BootstrapCIs, f.BootstrapCIsBySeed = a.cellIntervals(rates), a.cellIntervals(seedRates)
	f.KruskalWallis, f.KruskalWallisBySeed = a.kruskalWallis(rates), a.kruskalWallis(seedRates)
	f.ICC, f.ICCWithAnchors, f.ICCAdapters = a.icc(false), a.icc(true), a.iccAdapters()
	f.KendallW, f.KendallWSources = a.kendallW(a.judges()), a.kendallW(a.sources)
	f.Covariates = a.covariateSummaries()
	if err := a.allLayers(ctx, f); err != nil {
		return nil, err
	}
	f.Ocean = a.ocean()
	if f.compiled == nil {
		f.compiled = a.compile()
	}
	a.standingNotes(f)
	f.Missing, f.Notes, f.Inputs = orEmpty(a.missing), orEmpty(a.notes), orEmpty(a.inputs)
	return f, nil
}

// allLayers analyses the layers and compares them.
func (a *analyst) allLayers(ctx context.Context, f *Full) error {
	names, layers := make([]string, len(a.layers)), make([]Layer, len(a.layers))
	for i, key := range a.layers {
		var err error
		if layers[i], err = a.layer(ctx, key); err != nil {
			return err
		}
		names[i] = key.name
	}
	adjust(a, layers, func(l Layer) *float64 { return l.Aggregate.Spearman.P },
		func(l *Layer, p Adjusted) { l.Aggregate.Spearman.Adjusted = p })
	f.Layers = named(names, layers)
	var best *float64
	for i, l := range layers {
		if rho := l.Aggregate.Spearman.Coefficient; rho != nil && (best == nil || *rho > *best) {
			best, f.BestLayer, f.BestIndex = rho, &names[i], &layers[i].Layer
		}
	}
	var err error
	f.LayerTests, err = a.compareLayers(ctx)
	return err
}

// standingNotes say what the design alone limits.
func (a *analyst) standingNotes(f *Full) {
	if len(a.layers) > 1 && f.BestLayer != nil {
		a.note("best_layer is the best of %d on the same data; its p-value has the adjustment for that, its rho and intervals have none", len(a.layers))
	}
	if n := len(a.sources); n < 20 && n > 0 {
		a.note("%d %s for all sources: intervals that resample sources or categories have few pieces and are too narrow", n, english.Form(n, "source stands", "sources stand"))
	}
	var several []string
	for source := range f.ICCAdapters.All() {
		several = append(several, source)
	}
	if len(several) > 0 {
		a.note("%s: several adapters; icc is of the sampling seeds within an adapter, icc_adapters of the adapters; "+
			"rates pool all, and their intervals do not cover how another adapter would leak", list(several))
	}
	if a.widened > 0 {
		a.note("%d bootstrap intervals left their own estimate out and were widened to it (method %s): "+
			"there the replicates are biased", a.widened, methodWidened)
	}
	if len(f.Seeds) == 1 {
		a.note("one sampling seed: the agreement of seeds is unknown")
	}
}

// orEmpty makes a nil list an empty one, which JSON tells apart.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
