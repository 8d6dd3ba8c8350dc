package experiment

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"personaprobe/hidden"
	"personaprobe/internal/atomicfile"
)

// adaptedFolder has, for every adapter, the centroids of its own personas inside the
// adapted model: <adapter>.safetensors, laid out as centroids.safetensors, with the
// source's bystanders and then the anchors as rows.
const adaptedFolder = "adapted_centroids"

func adaptedFile(dir string, a Adapter) string {
	return filepath.Join(dir, adaptedFolder, a.Name()+".safetensors")
}

// adaptedCentroids makes the adapters' centroid files that are not there.
func (r *runner) adaptedCentroids(ctx context.Context) error {
	if err := atomicfile.MkdirAll(filepath.Join(r.store.dir, adaptedFolder)); err != nil {
		return err
	}
	for _, a := range r.study.Adapters() {
		path, personas := adaptedFile(r.store.dir, a), r.study.Taxonomy.Personas(a.Source)
		has, err := r.hasCentroids(path, personas)
		if err != nil {
			return err
		}
		if has {
			continue
		}
		layers, err := r.centroidsOf(ctx, a.Name(), personas)
		if err != nil {
			return err
		}
		note := "centroids of its own personas with the adapter " + a.Name() + " at the last prompt token, minus their mean"
		if err := r.writeRepresentation(path, layers, note); err != nil {
			return err
		}
	}
	return nil
}

// AdaptedAnalysis sets the cosines inside the adapted models beside those inside the
// base model. Each adapter is asked as its own personas only, so both cosines of a
// pair are of centroids minus the mean over these, its source's bystanders and the
// source prompts: those of the base model differ from the main ones, which are centred
// over all personas.
type AdaptedAnalysis struct {
	PerLayer Ordered[AdaptedLayer] `json:"per_layer"` // "layer_<L>", in the plan's order
}

// AdaptedLayer is the comparison at one layer.
type AdaptedLayer struct {
	Pairs     []AdaptedPair              `json:"pairs"` // bystanders of the sources that have both shards and adapted centroids
	PerSource Ordered[AdaptedComparison] `json:"per_source"`
	Aggregate AdaptedComparison          `json:"aggregate"`
}

// AdaptedPair is one bystander with its source, in both models.
type AdaptedPair struct {
	Pair                 // Cosine is of the adapted model; with several adapters of the source their mean
	BaseCosine  *float64 `json:"base_cosine"`
	NumAdapters int      `json:"n_adapters"`
}

// AdaptedComparison has three rank correlations over the same pairs, those with both
// cosines.
type AdaptedComparison struct {
	Adapted   SpearmanResult `json:"adapted"`    // of the adapted cosine and leakage
	Base      SpearmanResult `json:"base"`       // of the base cosine and leakage
	Agreement SpearmanResult `json:"agreement"`  // of the two cosines
	MeanShift *float64       `json:"mean_shift"` // mean of adapted minus base cosine; null without pairs
}

// readAdapted reads the centroids of a source's adapters; nil unless all are there.
func readAdapted(r *Results, source string) ([]*Representation, error) {
	var all []*Representation
	for _, a := range r.Study.Adapters() {
		if a.Source != source {
			continue
		}
		rep, err := readRepresentation(adaptedFile(r.Dir, a), r.Study, r.Study.Taxonomy.Personas(source), r.Manifest.ID())
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, rep)
	}
	return all, nil
}

// analyseAdapted compares base and adapted models; nil if there are no adapted
// centroids. leakage are the pairs of the main analysis, without cosines.
func analyseAdapted(r *Results, base *Representation, leakage []Pair) (*AdaptedAnalysis, error) {
	adapted := map[string][]*Representation{}
	var pairs []AdaptedPair
	for _, p := range leakage {
		reps, known := adapted[p.Source]
		if !known {
			var err error
			if reps, err = readAdapted(r, p.Source); err != nil {
				return nil, err
			}
			adapted[p.Source] = reps
		}
		if reps != nil {
			pairs = append(pairs, AdaptedPair{Pair: p, NumAdapters: len(reps)})
		}
	}
	if len(pairs) == 0 {
		return nil, nil //nolint:nilnil // nothing to compare
	}
	out := &AdaptedAnalysis{}
	for k, layer := range base.Layers {
		result, err := adaptedLayer(r.Study, k, base.Centred[k], adapted, pairs)
		if err != nil {
			return nil, err
		}
		out.PerLayer.Set(layerKey(layer), result)
	}
	return out, nil
}

func adaptedLayer(s *Study, k int, base *hidden.Centroids, adapted map[string][]*Representation, pairs []AdaptedPair) (AdaptedLayer, error) {
	out := AdaptedLayer{Pairs: append([]AdaptedPair{}, pairs...)}
	own := map[string]*hidden.Centroids{} // base centroids of a source's personas, centred over them
	for i := range out.Pairs {
		p := &out.Pairs[i]
		if own[p.Source] == nil {
			var err error
			if own[p.Source], err = ownCentroids(s, base, p.Source); err != nil {
				return out, err
			}
		}
		if err := p.compare(own[p.Source], adapted[p.Source], k); err != nil {
			return out, err
		}
	}
	var err error
	if out.Aggregate, err = compareAdapted(out.Pairs, ""); err != nil {
		return out, err
	}
	for _, source := range s.Sources() {
		if adapted[source] == nil {
			continue
		}
		result, err := compareAdapted(out.Pairs, source)
		if err != nil {
			return out, err
		}
		out.PerSource.Set(source, result)
	}
	return out, nil
}

// ownCentroids are the base model's for the personas that a source's adapter is asked
// as, minus the mean over these.
func ownCentroids(s *Study, base *hidden.Centroids, source string) (*hidden.Centroids, error) {
	var names []string
	for _, p := range s.Taxonomy.Personas(source) {
		if p.Category != AnchorCategory {
			names = append(names, p.ID)
		}
	}
	own, err := base.Rows(append(names, s.Taxonomy.SourceIDs()...)...)
	if err != nil {
		return nil, err
	}
	own, _, err = own.Centre(hidden.CentreMean)
	return own, err
}

// compare fills in both cosines of a pair; one that is undefined leaves both out.
func (p *AdaptedPair) compare(base *hidden.Centroids, adapted []*Representation, k int) error {
	b, err := base.Cosine(p.PersonaID, p.Source)
	sum := 0.0
	for _, rep := range adapted {
		if err != nil {
			break
		}
		var c float64
		c, err = rep.Centred[k].Cosine(p.PersonaID, anchorPrefix+p.Source)
		sum += c
	}
	switch {
	case errors.Is(err, hidden.ErrZeroNorm):
		p.Reason = err.Error()
	case err != nil:
		return err
	default:
		mean := sum / float64(len(adapted))
		p.Cosine, p.BaseCosine = &mean, &b
	}
	return nil
}

// compareAdapted correlates over the pairs of a source; "" is all of them.
func compareAdapted(pairs []AdaptedPair, source string) (AdaptedComparison, error) {
	var adapted, base, leakage []float64
	shift := 0.0
	for _, p := range pairs {
		if p.Cosine != nil && (source == "" || p.Source == source) {
			adapted, base = append(adapted, *p.Cosine), append(base, *p.BaseCosine)
			leakage = append(leakage, p.counts.Value())
			shift += *p.Cosine - *p.BaseCosine
		}
	}
	var out AdaptedComparison
	var err error
	if out.Adapted, err = spearman(adapted, leakage); err != nil {
		return out, err
	}
	if out.Base, err = spearman(base, leakage); err != nil {
		return out, err
	}
	if out.Agreement, err = spearman(adapted, base); err != nil {
		return out, err
	}
	if n := len(adapted); n > 0 {
		shift /= float64(n)
		out.MeanShift = &shift
	}
	return out, nil
}
