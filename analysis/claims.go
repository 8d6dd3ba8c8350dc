package analysis

import (
	"errors"
	"fmt"
)

var (
	// ErrDisagree marks claims that the data contradict.
	ErrDisagree = errors.New("claims disagree with the data")
	// ErrUnavailable marks claims that could not be checked.
	ErrUnavailable = errors.New("claims could not be checked")
)

// ClaimsReport is claims_report.json: published figures against the data.
type ClaimsReport struct {
	Analysis    string        `json:"analysis"` // what the claims were compared with
	Layer       string        `json:"layer"`    // key in Full.Layers that rows without a layer were compared with; "" if none was
	Checked     int           `json:"n_checked"`
	Agree       int           `json:"n_agree"`
	Disagree    int           `json:"n_disagree"`
	Unavailable int           `json:"n_unavailable"` // the data have no such number
	Cosine      ClaimTally    `json:"cosine"`
	Leakage     ClaimTally    `json:"leakage"`
	Statistics  ClaimTally    `json:"statistics"`
	Results     []ClaimResult `json:"results"` // in the order of the claims; one per number claimed
}

// ClaimTally counts the claims of one kind.
type ClaimTally struct {
	Agree       int `json:"agree"`
	Disagree    int `json:"disagree"`
	Unavailable int `json:"unavailable"`
}

// ClaimResult is one claimed number against the data.
type ClaimResult struct {
	Where      string   `json:"where"`   // line or row of the claims file
	Kind       string   `json:"kind"`    // "cosine", "leakage" or "statistic"
	Subject    string   `json:"subject"` // persona id, or the statistic's JSON pointer
	Layer      string   `json:"layer,omitempty"`
	Relation   string   `json:"relation"` // "=", "<", "<=", ">" or ">="
	Claimed    float64  `json:"claimed"`
	Percent    bool     `json:"percent"`  // Claimed and Data are percentages
	Decimals   int      `json:"decimals"` // to which it was compared; "<" and ">" are compared exactly
	Data       *float64 `json:"data"`
	Difference *float64 `json:"difference"` // claimed - data
	Verdict    Verdict  `json:"verdict"`
	Reason     string   `json:"reason,omitempty"` // why it is unavailable
}

// Err is nil if every claim agrees; else it matches [ErrDisagree] if one is
// contradicted, or [ErrUnavailable] if some could not be checked.
func (r *ClaimsReport) Err() error {
	switch {
	case r.Disagree > 0:
		return fmt.Errorf("%d of %d %w", r.Disagree, r.Checked, ErrDisagree)
	case r.Unavailable == r.Checked:
		return fmt.Errorf("the data have none of the %d numbers claimed: %w", r.Checked, ErrUnavailable)
	case r.Unavailable > 0:
		return fmt.Errorf("%d of %d %w; the others agree", r.Unavailable, r.Checked, ErrUnavailable)
	}
	return nil
}

// Verdict is what the data say of a claim.
type Verdict string

// The verdicts.
const (
	Agrees      Verdict = "agrees" // equal within the claim's own rounding, or the inequality holds
	Disagrees   Verdict = "disagrees"
	Unavailable Verdict = "unavailable" // the data have no such number
)
