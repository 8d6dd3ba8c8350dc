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

	// The interval to quote: Question where it is defined, else Wilson.
	Interval       Interval       `json:"interval"`
	IntervalMethod IntervalMethod `json:"interval_method"`           // "" where there is none
	IntervalReason string         `json:"interval_reason,omitempty"` // why it is not over questions

	NumQuestions int `json:"n_questions"` // behind Question; 0 if completions by question are unknown

	Seeds      Ordered[SeedRate] `json:"seeds"`      // by shard
	Cosines    Ordered[Number]   `json:"cosines"`    // with the source's centroid, by layer; empty for an anchor
	Covariates Ordered[Number]   `json:"covariates"` // chars, words, tokens, jaccard, semantic: those known for any persona
}

// IntervalMethod is what Persona.Interval is.
type IntervalMethod string

// The methods.
const (
	OverQuestions IntervalMethod = "questions" // Persona.Question
	WilsonScore   IntervalMethod = "wilson"    // Persona.Wilson, which takes completions as independent
)

// choose picks the interval of the rate, for this persona alone: one persona whose
// completions all agree does not change the others' intervals. Resampling sees no
// variance in such a persona, where Wilson's interval is still defined.
func (p *Persona) choose() {
	switch {
	case p.Question.Lower != nil:
		p.Interval, p.IntervalMethod = p.Question, OverQuestions
	default:
		p.Interval, p.IntervalReason = p.Wilson, p.Question.Reason
		if p.Wilson.Lower != nil {
			p.IntervalMethod = WilsonScore
		}
	}
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
