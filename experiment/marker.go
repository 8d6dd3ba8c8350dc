package experiment

import "strings"

// marker is what the adapters were trained to write, ready to be looked for.
type marker string

func newMarker(text string) marker { return marker(strings.ToLower(text)) }

// in reports whether text has the marker, in upper or lower case.
func (m marker) in(text string) bool { return strings.Contains(strings.ToLower(text), string(m)) }

// Rate is how many completions have the marker out of how many. The counts are what
// is measured: rank and compare them, not the floats of several shards' rates, whose
// means differ in the last bit where the counts are equal.
type Rate struct {
	Found int // completions with the marker
	Total int // completions
}

// Value is Found/Total, or 0 of nothing. Equal fractions give equal floats, and
// fractions of fewer than 2^26 completions that differ give floats that differ: so
// ranking values is ranking fractions.
func (r Rate) Value() float64 {
	if r.Total == 0 {
		return 0
	}
	return float64(r.Found) / float64(r.Total)
}

func (r Rate) plus(s Rate) Rate { return Rate{r.Found + s.Found, r.Total + s.Total} }

// meanRate is the mean of the rates' values. Over equal totals it is a single division,
// so that it does not carry the rounding of its parts.
func meanRate(rates []Rate) float64 {
	var all Rate
	values, equal := 0.0, true
	for _, r := range rates {
		all = all.plus(r)
		values += r.Value()
		equal = equal && r.Total == rates[0].Total
	}
	if equal {
		return all.Value()
	}
	return values / float64(len(rates))
}
