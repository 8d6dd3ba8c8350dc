package analysis

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"personaprobe/experiment"
	"personaprobe/stats"
)

// RaterAgreement is how far a second rater gives the bystanders of a taxonomy the
// same categories.
type RaterAgreement struct {
	N       int         // bystanders that both rated
	Agree   int         // with the same category
	Kappa   *float64    // Cohen's; nil if undefined
	P       *float64    // two-sided, against agreement by chance
	CI      Interval    // of kappa
	Reason  string      // why kappa is nil
	Differ  [][3]string // persona id, first and second category
	Unrated []string    // bystanders that the second rater left out
}

// CompareRaters compares a taxonomy's categories with a second rater's: CSV with the
// columns persona_id (or id) and category, or JSON, a list of such objects or a
// taxonomy file. Ratings of personas that the taxonomy does not have are an error.
func CompareRaters(t *experiment.Taxonomy, path string, level float64) (*RaterAgreement, error) {
	second, err := readRatings(path)
	if err != nil {
		return nil, err
	}
	out := &RaterAgreement{}
	var a, b []string
	for _, p := range t.Bystanders {
		category, rated := second[p.ID]
		if !rated {
			out.Unrated = append(out.Unrated, p.ID)
			continue
		}
		delete(second, p.ID)
		a, b = append(a, p.Category), append(b, category)
		if category == p.Category {
			out.Agree++
		} else {
			out.Differ = append(out.Differ, [3]string{p.ID, p.Category, category})
		}
	}
	if len(second) > 0 {
		return nil, fmt.Errorf("%w: %s rates %s, of no bystander of the taxonomy", ErrInput, path, list(slices.Sorted(maps.Keys(second))))
	}
	out.N = len(a)
	return out, out.judge(a, b, level)
}

func readRatings(path string) (map[string]string, error) {
	rows, err := readTable(path, "bystanders", "personas")
	if err != nil {
		return nil, err
	}
	out := make(map[string]string)
	for _, row := range rows {
		id, category := cmp.Or(row.fields["persona_id"], row.fields["id"]), row.fields["category"]
		if id == "" || category == "" {
			return nil, fmt.Errorf("%w: %s: want a persona_id and a category", ErrInput, row.where)
		}
		if _, twice := out[id]; twice {
			return nil, fmt.Errorf("%w: %s: the persona %s occurs twice", ErrInput, row.where, id)
		}
		out[id] = category
	}
	return out, nil
}

func (r *RaterAgreement) judge(a, b []string, level float64) error {
	x := &analyst{}
	k, err := stats.CohenKappa(a, b)
	if err != nil {
		r.Reason = x.reason(err)
		r.CI.Reason = r.Reason
		return x.err
	}
	r.Kappa = &k.Coefficient
	r.CI = x.interval(k.Interval(level))
	if p, err := k.P(); err == nil {
		r.P = &p
	}
	return x.err
}

// WriteText writes the agreement for a terminal.
func (r *RaterAgreement) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, d := range r.Differ {
		fmt.Fprintf(&b, "%s: %s, second rater %s\n", d[0], d[1], d[2])
	}
	if len(r.Unrated) > 0 {
		fmt.Fprintf(&b, "not rated: %s\n", list(r.Unrated))
	}
	fmt.Fprintf(&b, "%d of %d categories agree; Cohen's kappa %s %s, p %s", r.Agree, r.N, scaled(r.Kappa, 1, "%.3f"), between(r.CI, 1, "%.3f"), scaled(r.P, 1, "%.2g"))
	if r.Reason != "" {
		fmt.Fprintf(&b, " (%s)", r.Reason)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}
