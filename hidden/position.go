package hidden

import (
	"fmt"
	"slices"
	"strings"
)

// Position says of which tokens states are kept, and whether as they are or as their
// mean.
type Position string

// The positions. Prompt tokens are all of the rendered prompt, the chat template's
// own included; response tokens are those that the model generates after it, without
// the end-of-turn token.
const (
	PositionLast         Position = "last"          // the last prompt token
	PositionMean         Position = "mean"          // the mean over the prompt's tokens
	PositionAll          Position = "all"           // every prompt token, a row each
	PositionResponseMean Position = "response-mean" // the mean over the response's tokens
	PositionResponseAll  Position = "response-all"  // every response token, a row each
)

// Positions are all of them.
func Positions() []Position {
	return []Position{PositionLast, PositionMean, PositionAll, PositionResponseMean, PositionResponseAll}
}

// ofResponse reports whether the position needs generated tokens.
func (p Position) ofResponse() bool { return p == PositionResponseMean || p == PositionResponseAll }

// pooled reports whether a row is the mean over several tokens.
func (p Position) pooled() bool { return p == PositionMean || p == PositionResponseMean }

func (p Position) validate() error {
	if slices.Contains(Positions(), p) {
		return nil
	}
	var names []string
	for _, known := range Positions() {
		names = append(names, string(known))
	}
	return fmt.Errorf("%w: unknown position %q; want one of %s", ErrInput, p, strings.Join(names, ", "))
}
