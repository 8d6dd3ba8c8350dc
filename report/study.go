package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"personaprobe/analysis"
	"personaprobe/experiment"
)

// study is what the report shows, in the order and the units in which it shows it. All
// numbers come from the artefacts; what they do not give is nil.
type study struct {
	dir        string
	full       *analysis.Full
	results    *experiment.Results // nil without a manifest
	sources    []string            // with data
	categories []string
	layers     []int
	layer      int       // the one that figures and tables show
	chosen     bool      // layer was chosen by the data it is judged by
	personas   []persona // bystanders
	anchors    []persona // Source is the adapter, Prompted the source whose prompt it is
	shards     []shard   // with rates
	gone       []string  // inputs of the analysis that are no longer there

	curve      []layerPoint
	cells      map[string]map[string]estimate // source, category: mean leakage
	byCategory map[string]estimate            // mean leakage over all sources
	bySource   map[string]estimate
	icc        map[string]estimate
	fit        *line   // leakage on cosine, at layer
	cosines    *matrix // between sources and extreme bystanders, at layer
	notes      []string
	hasTexts   bool // the page has completions

	// What the intervals are, for captions and tables.
	questions, crossed                      bool // of any rate: over questions; of means: over questions too
	rateInterval, cellInterval, rhoInterval string
}

// shard is one finished adapter and sampling seed.
type shard struct{ Name, Source, Key string }

// persona is one system prompt under one source's adapters.
type persona struct {
	ID, Source, Category, Prompt string
	Prompted                     string // for an anchor: the source whose prompt this is
	Found, Total                 int    // completions with the marker of all; Total 0: only the rate is known
	Rate                         float64
	Interval                     *interval          // of the rate
	Cosines                      []*float64         // with its source, per layer of the study
	Shards                       map[string]float64 // rate by shard key
	Row                          int                // in full_analysis.json's personas
}

// interval is a confidence interval at the analysis's level.
type interval struct{ Lo, Hi float64 }

// estimate is a value with its interval; nil parts are undefined, for the reason given.
type estimate struct {
	Value    *float64
	Interval *interval
	P        *float64
	N        int
	Reason   string
}

// short is the value with some decimals, or a dash.
func (e estimate) short(digits int) string {
	if e.Value == nil {
		return "–"
	}
	return decimals(*e.Value, digits)
}

// layerPoint is one layer's correlations.
type layerPoint struct {
	layer     int
	aggregate estimate
	bySource  map[string]estimate
}

// line is a fitted line; half is half the width of the pointwise confidence band of its
// mean, nil if that is undefined.
type line struct {
	slope, intercept float64
	half             func(x float64) float64
}

// matrix is a labelled square of cosines; nil cells are undefined.
type matrix struct {
	names  []string
	values [][]*float64
	groups int // the first so many names are the sources
}

// bystanders are a source's personas.
func (s *study) bystanders(source string) []persona {
	return filter(s.personas, func(p persona) bool { return p.Source == source })
}

func filter[T any](in []T, keep func(T) bool) []T {
	var out []T
	for _, v := range in {
		if keep(v) {
			out = append(out, v)
		}
	}
	return out
}

// layerIndex is the place of the shown layer, or -1 if there are no cosines.
func (s *study) layerIndex() int { return slices.Index(s.layers, s.layer) }

// cosine is a persona's cosine at the shown layer, or nil.
func (s *study) cosine(p persona) *float64 {
	if i := s.layerIndex(); i >= 0 && i < len(p.Cosines) {
		return p.Cosines[i]
	}
	return nil
}

func (s *study) category(name string) int { return slices.Index(s.categories, name) }

// byCategoryAndRate are a source's bystanders, by category and falling rate.
func (s *study) byCategoryAndRate(source string) []persona {
	out := s.bystanders(source)
	slices.SortStableFunc(out, func(a, b persona) int {
		return cmp.Or(cmp.Compare(s.category(a.Category), s.category(b.Category)), cmp.Compare(b.Rate, a.Rate))
	})
	return out
}

func indexOf(list []string, s string) int { return slices.Index(list, s) }

// decimals sets a number with so many decimals and a true minus sign.
func decimals(v float64, n int) string { return minus(strconv.FormatFloat(v, 'f', n, 64)) }

// shortName is a few words that tell what a persona is: its prompt without "You are a".
func (p persona) shortName() string {
	name := strings.Join(strings.Fields(p.Prompt), " ")
	for _, lead := range []string{"You are ", "a ", "an ", "the "} {
		name = strings.TrimPrefix(name, lead)
	}
	name = strings.TrimRight(name, ".")
	for _, stop := range []string{" who ", " that ", " which ", ", ", ". "} {
		name, _, _ = strings.Cut(name, stop)
	}
	if strings.TrimSpace(name) == "" {
		return p.ID
	}
	return name
}

// words turns an identifier such as kindergarten_teacher into words.
func words(id string) string { return strings.ReplaceAll(id, "_", " ") }

// extremes are the indices of the n highest and n lowest rates of personas; equal
// rates come in the order of the taxonomy.
func extremes(personas []persona, n int) (high, low []int) {
	order := make([]int, len(personas))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(personas[b].Rate, personas[a].Rate) })
	n = min(n, len(order)/2)
	return order[:n], order[len(order)-n:]
}
