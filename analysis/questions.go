package analysis

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"personaprobe/experiment"
	"personaprobe/internal/sums"
)

// countQuestions counts the marker by question in the raw completions, which the
// intervals that resample questions need. They are checked against marker_eval.json: a
// shard whose completions say otherwise would make those intervals of other data.
func (d *dataset) countQuestions(ctx context.Context) error {
	if len(d.shards) == 0 {
		d.marker = ""
		return nil
	}
	without := make(map[*record]bool)
	found := false
	for _, s := range d.shards {
		if err := ctx.Err(); err != nil {
			return err
		}
		var raw map[string]map[string][]string
		_, err := d.readJSON(filepath.Join(d.dir, s.folder, rawFile), &raw)
		switch {
		case errors.Is(err, sums.ErrDamaged):
			return err
		case errors.Is(err, fs.ErrNotExist):
			d.miss(s.folder+"/"+rawFile, "no intervals that resample questions for the personas of %s", s.source)
		case err != nil:
			d.miss(s.folder+"/"+rawFile, "no intervals that resample questions for the personas of %s, because it cannot be read: %s", s.source, d.describe(err))
		default:
			found = true
		}
		for _, r := range d.records {
			if count, ok := r.shards.Get(s.key); ok && r.source == s.source && !r.addQuestions(raw[r.id], count, d.marker) {
				if err == nil {
					d.note("%s/%s: the completions of %s do not give the %d of %d of %s (marker %q); the latter is used, without questions",
						s.folder, rawFile, r.id, count.Found, count.Total, evalFile, d.marker)
				}
				without[r] = true
			}
		}
	}
	for r := range without {
		r.questions = nil
	}
	if !found {
		d.marker = ""
	}
	return nil
}

// addQuestions adds one shard's counts by question, and reports whether they come to
// the count of the whole shard.
func (r *record) addQuestions(raw map[string][]string, count SeedRate, marker string) bool {
	if r.questions == nil {
		r.questions = make(map[string]experiment.Rate)
	}
	marker = strings.ToLower(marker)
	var sum experiment.Rate
	for question, texts := range raw {
		rate := r.questions[question]
		for _, text := range texts {
			rate.Total++
			sum.Total++
			if strings.Contains(strings.ToLower(text), marker) {
				rate.Found++
				sum.Found++
			}
		}
		r.questions[question] = rate
	}
	return sum == experiment.Rate{Found: count.Found, Total: count.Total}
}

// questionTable is the counts of personas by question, (personas, questions), or nil
// with a reason if they were not all asked the same.
func questionTable(records []*record) (table [][]experiment.Rate, reason string) {
	var questions []string
	for i, r := range records {
		if len(r.questions) == 0 {
			return nil, "completions by question are not known for every persona"
		}
		if i == 0 {
			questions = slices.Sorted(maps.Keys(r.questions))
		}
		row := make([]experiment.Rate, len(questions))
		for q, text := range questions {
			row[q] = r.questions[text]
			if row[q].Total == 0 || len(r.questions) != len(questions) {
				return nil, "the personas were not all asked the same questions"
			}
		}
		table = append(table, row)
	}
	return table, ""
}
