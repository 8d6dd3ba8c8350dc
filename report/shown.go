package report

import (
	"fmt"
	"slices"
	"strings"

	"personaprobe/internal/english"
)

// missingShards are those that the design has and the numbers do not: unfinished ones of
// a run, and in a folder those of a key that other sources have.
func (s *study) missingShards() []string {
	var out []string
	if s.results != nil {
		for _, h := range s.results.Missing {
			out = append(out, h.Name())
		}
	}
	if len(s.shards) == 0 {
		return out
	}
	for _, source := range s.sources {
		for _, key := range s.shardKeys() {
			name := shardName(source, key)
			if !slices.ContainsFunc(s.shards, func(h shard) bool { return h.Name == name }) && !slices.Contains(out,
				name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// incomplete says that numbers are over a part of the study, or is "".
func (s *study) incomplete() string {
	missing := s.missingShards()
	if len(missing) == 0 {
		return ""
	}
	names := strings.Join(missing, ", ")
	if len(missing) > 6 {
		names = strings.Join(missing[:5], ", ") + fmt.Sprintf(" and %d more", len(missing)-5)
	}
	n := len(s.shards)
	return fmt.Sprintf("Incomplete: over %d of %d shards; missing %s %s.", n, n+len(missing),
		english.Form(len(missing), "is", "are"), names)
}

// undrawn says how many bystanders a scatter plot lacks, or is "".
func (s *study) undrawn() string {
	n := 0
	for _, p := range s.personas {
		if s.cosine(p) == nil {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" %d %s without a cosine %s not drawn.", n, english.Plural(n, "bystander"), english.Form(n,
		"is", "are"))
}

// warnings are what a reader has to know before any number.
func (s *study) warnings() []string {
	var out []string
	if note := s.incomplete(); note != "" {
		out = append(out, note)
	}
	return out
}
