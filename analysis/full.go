package analysis

import "personaprobe/experiment"

// Ordered is a JSON object in the study's order.
type Ordered[V any] = experiment.Ordered[V]

// Full is full_analysis.json. The first block has the original study's fields, under
// their names and in their shapes; what follows is beyond it. Pointers are null where
// the number is undefined or its input is missing.
type Full struct {
	Experiment        string                                    `json:"experiment"`
	NumSources        int                                       `json:"n_sources"` // with data
	Seeds             []uint64                                  `json:"seeds"`     // sampling seeds
	NumPersonas       int                                       `json:"n_taxonomy_personas"`
	Categories        []string                                  `json:"categories"`
	AnchorMaxDrift    *float64                                  `json:"anchor_max_drift"`   // largest |rate - reference| of rates over all seeds
	AnchorCalibration Ordered[Ordered[Ordered[OriginalAnchor]]] `json:"anchor_calibration"` // source of the adapter, seed, anchor_<source of the prompt>; see Anchors
	KruskalWallis     Ordered[KruskalWallis]                    `json:"kruskal_wallis"`     // by source: do categories differ, one rate per persona
	BootstrapCIs      Ordered[Ordered[CellInterval]]            `json:"bootstrap_cis"`      // source, category: mean of the personas' rates, personas resampled, percentiles; see Cells
	ICC               Ordered[ICC]                              `json:"icc"`                // by source: do sampling seeds of one adapter agree, bystanders only
	KendallW          KendallW                                  `json:"kendall_w"`          // do the judges order the categories alike: Options.Judges, else the original's

	KendallWSources     KendallW                       `json:"kendall_w_all_sources"`
	Anchors             Ordered[Ordered[AnchorRate]]   `json:"anchors"` // source of the adapter, source of the prompt
	AnchorDriftBySeed   *float64                       `json:"anchor_max_drift_seed_level"`
	KruskalWallisBySeed Ordered[KruskalWallis]         `json:"kruskal_wallis_seed_level"` // the original's: one value per persona and seed
	BootstrapCIsBySeed  Ordered[Ordered[CellInterval]] `json:"bootstrap_cis_seed_level"`  // the original's: values per persona and seed resampled, percentiles
	ICCWithAnchors      Ordered[ICC]                   `json:"icc_with_anchors"`          // the original's: anchors are rows too
	ICCAdapters         Ordered[ICC]                   `json:"icc_adapters"`              // by source with several adapters: do they agree, each over its seeds

	Format     int                           `json:"format"`     // of these additional fields
	BaseModel  string                        `json:"base_model"` // "" if no file names it
	Marker     string                        `json:"marker"`     // "" if no completions were read
	Settings   Settings                      `json:"settings"`
	Sources    []string                      `json:"sources"`
	Layers     Ordered[Layer]                `json:"layers"`         // "layer_<L>"
	BestIndex  *int                          `json:"best_layer"`     // of the largest aggregate rho; chosen on the data it is judged by
	BestLayer  *string                       `json:"best_layer_key"` // its key in Layers
	LayerTests []LayerComparison             `json:"layer_tests"`    // every pair of layers
	Ocean      *Ocean                        `json:"ocean"`          // null without scores
	Cells      Ordered[Ordered[RateSummary]] `json:"cells"`          // source, category: bystanders
	BySource   Ordered[RateSummary]          `json:"by_source"`      // bystanders
	ByCategory Ordered[RateSummary]          `json:"by_category"`    // bystanders
	Covariates Ordered[CovariateSummary]     `json:"covariates"`     // bystanders
	Personas   []Persona                     `json:"personas"`       // bystanders, then anchors, source by source
	Missing    []Missing                     `json:"missing"`        // what could not be computed, and why
	Notes      []string                      `json:"notes"`          // what to know before quoting a number
	Inputs     []Input                       `json:"inputs"`         // files read

	Compute *Compute `json:"compute"` // what the completions cost; null if no summary.json says it

	compiled *experiment.Compiled // nil without rates by seed
}

// Settings are the choices behind the numbers.
type Settings struct {
	Level        float64 `json:"level"`        // nominal coverage of all intervals
	Resamples    int     `json:"resamples"`    // of every bootstrap
	Permutations int     `json:"permutations"` // of every permutation test, at most
	Seed         uint64  `json:"seed"`         // of resampling and permuting
	Folds        int     `json:"folds"`        // of the cross-validation at random
}

// Compute is what the completions behind the numbers cost, over all finished shards.
type Compute struct {
	WallMinutes float64 `json:"wall_minutes"` // of the sampling, over all attempts
	GPUHours    float64 `json:"gpu_hours"`    // wall time x GPUs; 0 on a CPU, or if no summary says it
	Device      string  `json:"device"`       // "" if no summary says it
	Completions int     `json:"n_completions"`
	Tokens      int     `json:"n_tokens"`    // new tokens; 0 if no summary says it
	Truncated   int     `json:"n_truncated"` // completions cut at max_tokens
}

// Missing is something that a number needs and the folder does not have.
type Missing struct {
	What   string `json:"what"`   // file, shard, persona or option
	Effect string `json:"effect"` // what is left out or null for it
}

// Input is a file that was read.
type Input struct {
	File   string `json:"file"` // relative to the directory if it is inside, else its name
	SHA256 string `json:"sha256"`
	Option string `json:"option,omitempty"` // that named it; "" for a file of the directory
}

// Interval is a confidence interval at Settings.Level.
type Interval struct {
	Lower  *float64 `json:"ci_lo"`
	Upper  *float64 `json:"ci_hi"`
	Method string   `json:"method,omitempty"` // of a bootstrap: "bca"; "percentile" or "percentile_widened" where BCa fails
	Reason string   `json:"reason,omitempty"` // why it is null
}

// RateSummary describes the leakage rates of a group of bystanders, one rate per
// persona.
type RateSummary struct {
	N           int      `json:"n"`     // personas
	Found       *int     `json:"found"` // completions with the marker; null where only rates are known
	Total       *int     `json:"total"` // completions
	Mean        *float64 `json:"mean"`  // of the personas' rates, each persona alike
	Median      *float64 `json:"median"`
	StdPop      *float64 `json:"std_pop"`    // divides by n
	StdSample   *float64 `json:"std_sample"` // divides by n-1; null for one persona
	Min         *float64 `json:"min"`
	Max         *float64 `json:"max"`
	PersonaCI   Interval `json:"persona_ci"`   // of the mean, personas resampled (BCa)
	CrossedCI   Interval `json:"crossed_ci"`   // of the mean, personas and questions resampled (pigeonhole bootstrap, BCa)
	MeanCosines []Number `json:"mean_cosines"` // of the same personas, one a layer, in the order of Full.Layers
}

// Number is a number that may be undefined.
type Number = *float64

// KruskalWallis tests whether the categories of a source have the same distribution
// of leakage (or of cosine), with the correction for ties.
type KruskalWallis struct {
	H              *float64 `json:"H"`
	P              *float64 `json:"p"` // upper tail of chi-squared
	NumGroups      int      `json:"n_groups"`
	DF             int      `json:"df"`
	N              int      `json:"n"`               // values
	EpsilonSquared *float64 `json:"epsilon_squared"` // H(n+1)/(n^2-1)
	EtaSquared     *float64 `json:"eta_squared"`     // (H-groups+1)/(n-groups)
	Adjusted
	Reason string `json:"reason,omitempty"`
}

// KendallW is the concordance of sources on the categories' mean leakage, rank 1 the
// highest, with mid-ranks and the correction for ties.
type KendallW struct {
	W           *float64          `json:"W"`
	ChiSquared  *float64          `json:"chi2"` // n_judges (n_items-1) W
	DF          int               `json:"df"`
	P           *float64          `json:"p"`
	NumJudges   int               `json:"n_judges"`
	NumItems    int               `json:"n_items"`
	Uncorrected *float64          `json:"W_uncorrected"` // without the correction for ties
	Judges      []string          `json:"judges"`        // sources
	Items       []string          `json:"items"`         // categories with data for every judge
	RankSums    Ordered[float64]  `json:"rank_sums"`     // by category
	Ranks       Ordered[[]Number] `json:"ranks"`         // by source, in the order of Items
	Reason      string            `json:"reason,omitempty"`
}

// AnchorRate is one adapter's rate on one source's own prompt, against a reference.
type AnchorRate struct {
	Rate      *float64          `json:"rate"` // over all seeds
	Found     int               `json:"found"`
	Total     int               `json:"total"`
	Wilson    Interval          `json:"wilson"`
	Seeds     Ordered[*float64] `json:"seeds"`      // rate by shard
	Reference *float64          `json:"reference"`  // null if the reference has no such row
	Drift     *float64          `json:"drift"`      // |rate - reference|
	SeedDrift *float64          `json:"seed_drift"` // the largest |rate of one seed - reference|
	Pass      *bool             `json:"pass"`       // drift at most the threshold
}

// CovariateSummary describes a surface covariate over the bystanders that have it.
type CovariateSummary struct {
	N         int         `json:"n"`
	Mean      *float64    `json:"mean"`
	StdPop    *float64    `json:"std_pop"`
	Min       *float64    `json:"min"`
	Max       *float64    `json:"max"`
	VsLeakage Correlation `json:"spearman_vs_leakage"`
}
