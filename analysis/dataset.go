package analysis

import (
	"fmt"
	"slices"

	"personaprobe/experiment"
)

// dataset is what was read, before any statistic.
type dataset struct {
	dir        string
	baseModel  string
	marker     string // "" until completions were read
	sources    []string
	categories []string
	seeds      []uint64
	nominal    int // bystanders that the study has, read or not; 0 if unknown
	shards     []shard
	layers     []layerKey
	records    []*record // in the order they were met
	index      map[recordKey]*record
	prompts    map[string]string // of sources, by id
	covariates []string          // known for any bystander, in order
	compiled   *experiment.Compiled
	compute    *Compute

	missing  []Missing
	notes    []string
	inputs   []Input
	unlisted []string // inputs that no SHA256SUMS lists
}

type recordKey struct{ source, id string }

type layerKey struct {
	name  string // layer_15
	index int
}

// shard is one <source>_seed<seed> folder.
type shard struct {
	folder string
	source string
	key    string // tells the shards of a source apart
	seed   uint64
	evals  experiment.Ordered[eval]
}

// record is one persona under one source's adapter.
type record struct {
	id, source, category, prompt string

	hasPrompt bool // the prompt is known; it may be empty, which is no system prompt

	counts     experiment.Rate              // over all shards; zero if unknown
	shards     experiment.Ordered[SeedRate] // by shard key
	rate       *float64                     // counts' value, or a rate that a file gives
	nSeeds     int
	cosines    map[string]float64         // by layer
	questions  map[string]experiment.Rate // by question, over all shards; nil if unknown
	covariates map[string]float64
}

func (r *record) isAnchor() bool { return r.category == anchorCategory }

func newDataset(dir string) *dataset {
	return &dataset{dir: dir, index: make(map[recordKey]*record), prompts: make(map[string]string)}
}

func (d *dataset) miss(what, format string, args ...any) {
	d.missing = append(d.missing, Missing{What: what, Effect: fmt.Sprintf(format, args...)})
}

func (d *dataset) note(format string, args ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, args...))
}

// record returns the persona's record under the source, making it if it is new.
func (d *dataset) record(source, id, category string) (r *record, isNew bool) {
	key := recordKey{source, id}
	if r := d.index[key]; r != nil {
		return r, false
	}
	r = &record{
		id: id, source: source, category: category,
		cosines: make(map[string]float64), covariates: make(map[string]float64),
	}
	d.index[key] = r
	d.records = append(d.records, r)
	return r, true
}

// settle completes the lists of sources and categories and orders the records by them:
// bystanders first within a source, else as they were met.
func (d *dataset) settle() {
	for _, r := range d.records {
		if r.source != "" && !slices.Contains(d.sources, r.source) {
			d.sources = append(d.sources, r.source)
		}
		if r.category != "" && !r.isAnchor() && !slices.Contains(d.categories, r.category) {
			d.categories = append(d.categories, r.category)
		}
	}
	d.sources = slices.DeleteFunc(d.sources, func(s string) bool {
		return !slices.ContainsFunc(d.records, func(r *record) bool { return r.source == s })
	})
	slices.SortStableFunc(d.records, func(a, b *record) int {
		if a.source != b.source {
			return d.sourceOrder(a.source) - d.sourceOrder(b.source)
		}
		return boolOrder(a.isAnchor()) - boolOrder(b.isAnchor())
	})
	for _, r := range d.records {
		if r.counts.Total > 0 {
			v := r.counts.Value()
			r.rate = &v
		}
	}
	d.tieRates()
}

// sourceOrder puts personas without a source last.
func (d *dataset) sourceOrder(source string) int {
	if i := slices.Index(d.sources, source); i >= 0 {
		return i
	}
	return len(d.sources)
}

func boolOrder(b bool) int {
	if b {
		return 1
	}
	return 0
}

// tieRates makes rates equal that differ by rounding alone. A file may have means of
// several rates, which differ in the last bit where the counts behind them are equal,
// and ties would break at random.
func (d *dataset) tieRates() {
	var rates []*float64
	for _, r := range d.records {
		if r.rate != nil {
			rates = append(rates, r.rate)
		}
	}
	tie(rates)
}

// rounding is far above the error of a mean of rates and far below the difference of
// two rates of fewer than 100,000 completions.
const rounding = 1e-12

// tie sets values that lie within rounding of the next lower one to that.
func tie(values []*float64) {
	slices.SortStableFunc(values, func(a, b *float64) int {
		switch {
		case *a < *b:
			return -1
		case *a > *b:
			return 1
		}
		return 0
	})
	for i := 1; i < len(values); i++ {
		if *values[i]-*values[i-1] < rounding {
			*values[i] = *values[i-1]
		}
	}
}

// bystanders are the records of personas other than anchors that pass.
func (d *dataset) bystanders(pass func(*record) bool) []*record {
	var out []*record
	for _, r := range d.records {
		if !r.isAnchor() && r.rate != nil && (pass == nil || pass(r)) {
			out = append(out, r)
		}
	}
	return out
}

// shardKeys are the keys of a source's shards, in order.
func (d *dataset) shardKeys(source string) []string {
	var keys []string
	for _, s := range d.shards {
		if s.source == source {
			keys = append(keys, s.key)
		}
	}
	return keys
}
