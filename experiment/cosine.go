package experiment

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"personaprobe/hidden"
	"personaprobe/stats"
)

// CosineAnalysis is cosine_analysis.json: how near each bystander is to its source
// inside the base model, against how much the marker leaked to it.
type CosineAnalysis struct {
	Metadata  CosineMetadata       `json:"metadata"`
	PerLayer  Ordered[LayerResult] `json:"per_layer"`          // "layer_<L>", in the plan's order
	BestLayer *int                 `json:"best_layer"`         // of the largest aggregate rho; null if none is defined
	BestRho   *float64             `json:"best_aggregate_rho"` // its rho

	// Adapted is there when the run has adapted-model centroids.
	Adapted *AdaptedAnalysis `json:"adapted,omitempty"`
}

// CosineMetadata says what the analysis is of.
type CosineMetadata struct {
	BaseModel     string   `json:"base_model"`
	Layers        []int    `json:"layers"` // 0-based: the output of that decoder layer
	NumQuestions  int      `json:"n_questions"`
	NumPersonas   int      `json:"n_personas"` // centroids: bystanders and sources
	NumBystanders int      `json:"n_bystanders"`
	NumSources    int      `json:"n_sources"`
	SeedsAveraged []uint64 `json:"seeds_averaged"`
	Timestamp     string   `json:"timestamp"` // UTC
}

// LayerResult is the analysis at one layer.
type LayerResult struct {
	Pairs       []Pair                       `json:"pairs"` // bystanders with a finished shard, source by source
	PerSource   Ordered[SpearmanResult]      `json:"per_source"`
	PerCategory Ordered[CategoryCorrelation] `json:"per_category"`
	Aggregate   SpearmanResult               `json:"aggregate"`
}

// Pair is one bystander with its source.
type Pair struct {
	PersonaID   string   `json:"persona_id"`
	Source      string   `json:"source"`
	Category    string   `json:"category"`
	Cosine      *float64 `json:"cosine"`           // of the centred centroids; null if one of them is zero
	Reason      string   `json:"reason,omitempty"` // why the cosine is null
	LeakageRate float64  `json:"leakage_rate"`     // of the completions of all shards together
	NumSeeds    int      `json:"n_seeds"`          // shards pooled

	counts Rate
}

// SpearmanResult is a rank correlation of cosine and leakage. Where it is undefined,
// rho and p are null and Reason says why.
type SpearmanResult struct {
	Rho    *float64 `json:"spearman_rho"`
	P      *float64 `json:"p_value"` // two-sided, from Student's t
	N      int      `json:"n"`       // pairs with a cosine
	Reason string   `json:"reason,omitempty"`
}

// CategoryCorrelation is a SpearmanResult with the means of its category.
type CategoryCorrelation struct {
	SpearmanResult
	MeanCosine  *float64 `json:"mean_cosine"`  // over the pairs with a cosine; null if there are none
	MeanLeakage *float64 `json:"mean_leakage"` // over the same pairs
}

// AnalyseCosines joins the centroids with the rates. Leakage is ranked by counts k of
// n, never by the mean of rounded rates; missing shards leave their pairs out or
// lower n_seeds.
func AnalyseCosines(r *Results, rep *Representation, now time.Time) (*CosineAnalysis, error) {
	t := r.Study.Taxonomy
	out := &CosineAnalysis{Metadata: CosineMetadata{
		BaseModel: r.Manifest.Base, Layers: rep.Layers, NumQuestions: len(r.Study.Questions),
		NumPersonas: len(t.Distinct()), NumBystanders: len(t.Bystanders), NumSources: len(t.Sources),
		SeedsAveraged: r.Study.Plan.Seeds, Timestamp: now.UTC().Format(time.DateTime),
	}}
	pairs := leakagePairs(r)
	for k, layer := range rep.Layers {
		result, err := analyseLayer(r.Study, rep.Centred[k], pairs)
		if err != nil {
			return nil, fmt.Errorf("layer %d: %w", layer, err)
		}
		out.PerLayer.Set(layerKey(layer), result)
		if rho := result.Aggregate.Rho; rho != nil && (out.BestRho == nil || *rho > *out.BestRho) {
			out.BestLayer, out.BestRho = &rep.Layers[k], rho
		}
	}
	var err error
	out.Adapted, err = analyseAdapted(r, rep, pairs)
	return out, err
}

func layerKey(layer int) string { return fmt.Sprintf("layer_%d", layer) }

// leakagePairs are the bystanders of all sources with a finished shard, without
// cosines.
func leakagePairs(r *Results) []Pair {
	var pairs []Pair
	for _, source := range r.Study.Sources() {
		counts, shards := r.Counts(source)
		if shards == 0 {
			continue
		}
		for _, p := range r.Study.Taxonomy.Personas(source) {
			if p.Category == AnchorCategory {
				continue
			}
			pairs = append(pairs, Pair{
				PersonaID: p.ID, Source: p.Source, Category: p.Category,
				LeakageRate: counts[p.ID].Value(), NumSeeds: shards, counts: counts[p.ID],
			})
		}
	}
	return pairs
}

func analyseLayer(s *Study, centred *hidden.Centroids, leakage []Pair) (LayerResult, error) {
	out := LayerResult{Pairs: make([]Pair, len(leakage))}
	for i, p := range leakage {
		cosine, err := centred.Cosine(p.PersonaID, p.Source)
		switch {
		case errors.Is(err, hidden.ErrZeroNorm):
			p.Reason = err.Error()
		case err != nil:
			return out, err
		default:
			p.Cosine = &cosine
		}
		out.Pairs[i] = p
	}
	var err error
	if out.Aggregate, err = correlate(out.Pairs, func(Pair) bool { return true }); err != nil {
		return out, err
	}
	for _, source := range s.Sources() {
		result, err := correlate(out.Pairs, func(p Pair) bool { return p.Source == source })
		if err != nil {
			return out, err
		}
		out.PerSource.Set(source, result)
	}
	for _, category := range s.Taxonomy.Categories {
		in := func(p Pair) bool { return p.Category == category }
		result, err := correlate(out.Pairs, in)
		if err != nil {
			return out, err
		}
		out.PerCategory.Set(category, withMeans(result, out.Pairs, in))
	}
	return out, nil
}

// correlate is Spearman's rho over the pairs that are in the group and have a cosine.
func correlate(pairs []Pair, in func(Pair) bool) (SpearmanResult, error) {
	return spearman(columns(pairs, in))
}

func spearman(x, y []float64) (SpearmanResult, error) {
	out := SpearmanResult{N: len(x)}
	c, err := stats.Spearman(x, y)
	switch {
	case errors.Is(err, stats.ErrUndefined):
		out.Reason = strings.TrimSuffix(err.Error(), ": "+stats.ErrUndefined.Error())
	case err != nil:
		return out, err
	default:
		out.Rho, out.P = &c.Coefficient, &c.P
	}
	return out, nil
}

// columns are the cosines and leakages of a group. Rate.Value keeps the order and the
// ties of the counts, also where missing shards make the totals differ.
func columns(pairs []Pair, in func(Pair) bool) (cosines, leakage []float64) {
	for _, p := range pairs {
		if p.Cosine != nil && in(p) {
			cosines = append(cosines, *p.Cosine)
			leakage = append(leakage, p.counts.Value())
		}
	}
	return cosines, leakage
}

func withMeans(s SpearmanResult, pairs []Pair, in func(Pair) bool) CategoryCorrelation {
	out := CategoryCorrelation{SpearmanResult: s}
	cosines, _ := columns(pairs, in)
	if len(cosines) == 0 {
		return out
	}
	var rates []Rate
	for _, p := range pairs {
		if p.Cosine != nil && in(p) {
			rates = append(rates, p.counts)
		}
	}
	c, l := mean(cosines), meanRate(rates)
	out.MeanCosine, out.MeanLeakage = &c, &l
	return out
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
