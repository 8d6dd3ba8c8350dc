package analysis

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"personaprobe/experiment"
	"personaprobe/stats"
)

// The covariates, in the order of their joint names.
const (
	covTokens   = "tokens"
	covChars    = "chars"
	covWords    = "words"
	covJaccard  = "jaccard"
	covSemantic = "semantic"
)

const (
	anchorCategory = experiment.AnchorCategory
	anchorPrefix   = "anchor_"

	defaultLevel        = 0.95
	defaultResamples    = 2000
	defaultPermutations = 9999
	defaultFolds        = 10
	defaultExperiment   = "persona_taxonomy" // the original's
)

// Options are the choices of an analysis. The zero value is the usual one.
type Options struct {
	Experiment string // name in full_analysis.json; "": persona_taxonomy, as in the original

	// Personas is a taxonomy file, for prompts. "" means the run's taxonomy.json, and
	// without that the prompts of the marker_eval.json files.
	Personas string
	// Marker is what to look for in raw_completions.json where no manifest says it.
	// "": the study's, [ZLT].
	Marker string

	Level        float64 // nominal coverage of intervals; 0: 0.95
	Resamples    int     // of every bootstrap; 0: 2,000
	Permutations int     // 0: 9,999
	Seed         uint64  // of resampling
	Folds        int     // of the cross-validation at random; 0: 10

	// Judges are the sources of Full.KendallW, such as those that leak widely; name them
	// before looking at the data. nil: the original's three, else all sources.
	Judges []string
	// Tokens is the length of each persona's prompt by persona id. nil: those in
	// summary.json, else "tokens" or "qwen_tokens" of the personas file.
	Tokens map[string]float64
	// Semantic is, by persona id, the cosine of its prompt's mean-pooled embedding with
	// that of its source's prompt: one more covariate. See SemanticSimilarity.
	Semantic map[string]float64
	// Model is what Semantic and, with OceanModel, Ocean were made with. It must be the
	// run's, see [ModelFile.Check].
	Model *ModelFile
	// Files are those that the other options were read from; see [OptionFile].
	Files []Input
	// Ocean are Big Five scores; see ReadOcean and RateOcean.
	Ocean OceanScores
	// OceanModel names the model that rated Ocean; "" if no model did.
	OceanModel string
	// Anchors are the rates to compare the anchors with; see ReadAnchorReference.
	Anchors *AnchorReference
}

// OceanScores are the scores of persona or source ids on the five traits, in the
// order of Traits: openness, conscientiousness, extraversion, agreeableness and
// neuroticism.
type OceanScores map[string][5]float64

// AnchorReference is a table of earlier rates of the anchors.
type AnchorReference struct {
	Threshold float64               // drift up to this passes; 0: 0.10
	Rates     map[[2]string]float64 // {source of the adapter, source of the prompt}
}

// Validate reports options out of range.
func (o Options) Validate() error {
	b := stats.Bootstrap{Resamples: o.Resamples, Level: o.Level}
	if err := b.Validate(); err != nil {
		return fmt.Errorf("%w: options: %s", ErrInput, strings.TrimSuffix(err.Error(), ": "+stats.ErrInput.Error()))
	}
	if o.Permutations < 0 {
		return fmt.Errorf("%w: options: %d permutations; want a positive number, or 0 for %d", ErrInput, o.Permutations, defaultPermutations)
	}
	if o.Folds < 0 || o.Folds == 1 {
		return fmt.Errorf("%w: options: %d folds; want 2 or more, or 0 for %d", ErrInput, o.Folds, defaultFolds)
	}
	if err := checkFinite(covTokens, o.Tokens); err != nil {
		return err
	}
	return checkFinite(covSemantic, o.Semantic)
}

func checkFinite(name string, values map[string]float64) error {
	for _, id := range slices.Sorted(maps.Keys(values)) {
		if v := values[id]; math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%w: options: %s of %s is %v, want a number; leave the persona out", ErrInput, name, id, v)
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Experiment == "" {
		o.Experiment = defaultExperiment
	}
	if o.Marker == "" {
		o.Marker = experiment.DefaultMarker
	}
	if o.Level == 0 {
		o.Level = defaultLevel
	}
	if o.Resamples == 0 {
		o.Resamples = defaultResamples
	}
	if o.Permutations == 0 {
		o.Permutations = defaultPermutations
	}
	if o.Folds == 0 {
		o.Folds = defaultFolds
	}
	return o
}
