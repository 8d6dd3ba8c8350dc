// Package english has the few rules that sentences with counts in them need.
package english

import "strings"

// Plural is the form of a noun after n: Plural(1, "source") is "source", Plural(5,
// "category") "categories".
func Plural(n int, noun string) string {
	switch {
	case n == 1:
		return noun
	case strings.HasSuffix(noun, "y"):
		return strings.TrimSuffix(noun, "y") + "ies"
	}
	return noun + "s"
}

// Form is the one that goes with n: Form(1, "is", "are").
func Form(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}
