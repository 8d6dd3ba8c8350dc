package analysis

// Ocean says whether Big Five scores of the personas predict leakage beyond what
// cosine does.
type Ocean struct {
	N       int                         `json:"n"`      // bystanders with scores
	Traits  []string                    `json:"traits"` // O, C, E, A, N
	Alone   Ordered[TraitTest]          `json:"alone"`  // by trait, and "distance" to the source where that has scores: Spearman with leakage
	ByLayer Ordered[OceanLayer]         `json:"layers"` // key in Full.Layers
	Scores  Ordered[map[string]float64] `json:"scores"` // persona id, trait
}

// TraitTest is the rank correlation of one trait with leakage.
type TraitTest struct {
	Correlation
	Adjusted // over the traits
}

// OceanLayer compares models of rank(leakage) at one layer.
type OceanLayer struct {
	N        int       `json:"n"`        // bystanders with scores and a cosine
	Traits   ModelTest `json:"traits"`   // cosine + five traits, against cosine
	Distance ModelTest `json:"distance"` // cosine + distance to the source in the five traits, against cosine
}

// ModelTest compares a rank regression with the one it extends.
type ModelTest struct {
	F        *float64   `json:"F"` // does the extension explain anything
	DF1      int        `json:"df1"`
	DF2      int        `json:"df2"`
	P        *float64   `json:"p_value"`
	R2Cosine *float64   `json:"r2_cosine"` // of ranks, in the sample
	R2       *float64   `json:"r2"`
	BySource Validation `json:"by_source"` // each source predicted from the others
	ByFold   Validation `json:"by_fold"`   // random folds
	Reason   string     `json:"reason,omitempty"`
}

// Validation is the share of the variance of ranks explained in data left out of the
// fit; below 0 it is worse than the mean.
type Validation struct {
	Cosine *float64 `json:"r2_cosine"` // cosine alone
	Full   *float64 `json:"r2"`        // with the extension
	Folds  int      `json:"folds"`
	Reason string   `json:"reason,omitempty"`
}
