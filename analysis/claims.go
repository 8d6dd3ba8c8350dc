package analysis

// ClaimsReport is claims_report.json: published figures against the data.
type ClaimsReport struct {
	Layer       string        `json:"layer"` // key in Full.Layers that rows without a layer were compared with; "" if none was
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
	Decimals   int      `json:"decimals"` // to which "=" was compared
	Data       *float64 `json:"data"`
	Difference *float64 `json:"difference"` // claimed - data
	Verdict    Verdict  `json:"verdict"`
	Reason     string   `json:"reason,omitempty"` // why it is unavailable
}

// Verdict is what the data say of a claim.
type Verdict string

// The verdicts.
const (
	Agrees      Verdict = "agrees" // equal within the claim's own rounding, or the inequality holds
	Disagrees   Verdict = "disagrees"
	Unavailable Verdict = "unavailable" // the data have no such number
)
