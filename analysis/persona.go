package analysis

// Persona is one persona under one source's adapter: a row of personas.csv.
type Persona struct {
	ID       string   `json:"persona_id"`
	Source   string   `json:"source"`   // whose adapter; for an anchor too
	Category string   `json:"category"` // "anchor" for an anchor
	Prompt   string   `json:"prompt"`   // "" if unknown
	NumSeeds int      `json:"n_seeds"`  // shards pooled; 0 if unknown
	Found    *int     `json:"found"`    // completions with the marker; null where only the rate is known
	Total    *int     `json:"total"`
	Rate     *float64 `json:"leakage_rate"`    // found / total
	Wilson   Interval `json:"wilson"`          // if completions were independent; they share questions, so too narrow
	Exact    Interval `json:"clopper_pearson"` // likewise
	Question Interval `json:"question_ci"`     // questions, and completions within, resampled (BCa)

	NumQuestions int `json:"n_questions"` // behind Question; 0 if completions by question are unknown

	Seeds      Ordered[SeedRate] `json:"seeds"`      // by shard
	Cosines    Ordered[Number]   `json:"cosines"`    // with the source's centroid, by layer; empty for an anchor
	Covariates Ordered[Number]   `json:"covariates"` // chars, words, tokens, jaccard, semantic: those known for any persona
}

// IsAnchor reports whether the persona is a source's own prompt.
func (p Persona) IsAnchor() bool { return p.Category == anchorCategory }

// SeedRate is one persona in one shard: a row of seeds.csv.
type SeedRate struct {
	Seed  uint64  `json:"seed"`
	Found int     `json:"found"`
	Total int     `json:"total"`
	Rate  float64 `json:"rate"`
}
