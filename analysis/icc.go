package analysis

import (
	"slices"
	"strconv"
	"strings"

	"personaprobe/experiment"
	"personaprobe/stats"
)

// ICC says how far sampling seeds, or adapters, agree on the rates of a source's
// personas. Sampling seeds are nested in adapters: a seed of one adapter is not the
// same rater under another.
type ICC struct {
	ICC         *float64     `json:"icc"` // ICC(3,1), consistency: (MSR-MSE)/(MSR+(k-1)MSE)
	NumPersonas int          `json:"n_personas"`
	MSRows      *float64     `json:"ms_rows"` // with several adapters the mean over them
	MSError     *float64     `json:"ms_error"`
	MSColumns   *float64     `json:"ms_columns"`
	NumSeeds    int          `json:"n_seeds"`    // columns of ICC; rates averaged by ICCAdapters
	NumAdapters int          `json:"n_adapters"` // tables averaged by ICC; columns of ICCAdapters
	CI          Interval     `json:"ci"`         // Shrout and Fleiss 1979
	Agreement   *float64     `json:"icc_2_1"`    // ICC(2,1), absolute agreement
	AgreementCI Interval     `json:"icc_2_1_ci"` // McGraw and Wong 1996
	MeanICC     *float64     `json:"icc_3_k"`    // ICC(3,k): of the mean over the columns, which the study uses
	MeanCI      Interval     `json:"icc_3_k_ci"` // by the Spearman-Brown formula
	OneWay      *float64     `json:"icc_1_1"`    // ICC(1,1): every persona's columns are others
	OneWayCI    Interval     `json:"icc_1_1_ci"`
	ByAdapter   Ordered[ICC] `json:"by_adapter,omitempty"` // where a source has several
	Reason      string       `json:"reason,omitempty"`
}

// adapterSeeds is one adapter's shards, by sampling seed.
type adapterSeeds struct {
	name string // t1, t2, ...; "" of the only one
	keys map[uint64]string
}

// adapters are a source's adapters in order, and the seeds that all of them have.
func (d *dataset) adapters(source string) (adapters []adapterSeeds, common []uint64) {
	for _, s := range d.shards {
		if s.source != source {
			continue
		}
		name, _, several := strings.Cut(s.key, "_seed")
		if !several {
			name = ""
		}
		i := slices.IndexFunc(adapters, func(a adapterSeeds) bool { return a.name == name })
		if i < 0 {
			i = len(adapters)
			adapters = append(adapters, adapterSeeds{name, make(map[uint64]string)})
		}
		adapters[i].keys[s.seed] = s.key
		if !slices.Contains(common, s.seed) {
			common = append(common, s.seed)
		}
	}
	return adapters, slices.DeleteFunc(common, func(seed uint64) bool {
		return slices.ContainsFunc(adapters, func(a adapterSeeds) bool { return a.keys[seed] == "" })
	})
}

// byAdapter are a persona's completions by adapter and seed, or nil if a shard lacks it.
func (r *record) byAdapter(adapters []adapterSeeds, seeds []uint64) [][]experiment.Rate {
	out := make([][]experiment.Rate, len(adapters))
	for i, a := range adapters {
		for _, seed := range seeds {
			s, ok := r.shards.Get(a.keys[seed])
			if !ok {
				return nil
			}
			out[i] = append(out[i], experiment.Rate{Found: s.Found, Total: s.Total})
		}
	}
	return out
}

// complete are the counts by adapter and seed of a source's personas that have all.
func (a *analyst) complete(
	source string, withAnchors bool, adapters []adapterSeeds, seeds []uint64,
) [][][]experiment.Rate {
	var out [][][]experiment.Rate
	for _, r := range a.records {
		if r.source == source && (withAnchors || !r.isAnchor()) {
			if counts := r.byAdapter(adapters, seeds); counts != nil {
				out = append(out, counts)
			}
		}
	}
	return out
}

// icc is the reliability of every source's sampling seeds as raters of its personas,
// within its adapter, or as the mean over several.
func (a *analyst) icc(withAnchors bool) Ordered[ICC] {
	out := Ordered[ICC]{}
	for _, source := range a.sources {
		adapters, seeds := a.adapters(source)
		if len(adapters) == 0 {
			continue
		}
		all := a.withinAdapters(source, withAnchors, adapters, seeds)
		if len(adapters) > 1 {
			for _, one := range adapters {
				only, own := []adapterSeeds{one}, make([]uint64, 0, len(one.keys))
				for seed := range one.keys {
					own = append(own, seed)
				}
				slices.Sort(own)
				all.ByAdapter.Set(one.name, a.withinAdapters(source, withAnchors, only, own))
			}
		}
		out.Set(source, all)
	}
	return out
}

func (a *analyst) withinAdapters(source string, withAnchors bool, adapters []adapterSeeds, seeds []uint64) ICC {
	personas := a.complete(source, withAnchors, adapters, seeds)
	tables := make([][][]float64, len(adapters))
	for i := range tables {
		tables[i] = make([][]float64, len(personas))
		for p, counts := range personas {
			for _, rate := range counts[i] {
				tables[i][p] = append(tables[i][p], rate.Value())
			}
		}
	}
	out := a.reliability(tables...)
	out.NumPersonas, out.NumSeeds, out.NumAdapters = len(personas), len(seeds), len(adapters)
	return out
}

// iccAdapters is the reliability of a source's adapters as raters of its personas, for
// the sources with several: a persona's rate under an adapter is over the seeds that
// all adapters have.
func (a *analyst) iccAdapters() Ordered[ICC] {
	out := Ordered[ICC]{}
	for _, source := range a.sources {
		adapters, seeds := a.adapters(source)
		if len(adapters) < 2 {
			continue
		}
		personas := a.complete(source, false, adapters, seeds)
		table := make([][]float64, len(personas))
		for p, counts := range personas {
			for _, row := range counts {
				var sum experiment.Rate
				for _, rate := range row {
					sum.Found += rate.Found
					sum.Total += rate.Total
				}
				table[p] = append(table[p], sum.Value())
			}
		}
		if len(seeds) == 0 {
			table = nil
		}
		one := a.reliability(table)
		one.NumPersonas, one.NumSeeds, one.NumAdapters = len(table), len(seeds), len(adapters)
		out.Set(source, one)
	}
	return out
}

// reliability is that of the mean of (personas, raters) tables.
func (a *analyst) reliability(tables ...[][]float64) ICC {
	var out ICC
	t, err := stats.MeanTwoWay(tables...)
	if err != nil {
		out.Reason = a.reason(err)
		for _, ci := range []*Interval{&out.CI, &out.AgreementCI, &out.MeanCI, &out.OneWayCI} {
			ci.Reason = out.Reason
		}
		return out
	}
	out.MSRows, out.MSError, out.MSColumns = &t.MSRows, &t.MSError, &t.MSColumns
	form := func(f stats.ICCForm) (*float64, Interval) {
		r, err := t.ICC(f)
		if err != nil {
			reason := a.reason(err)
			if f == stats.ICC31 {
				out.Reason = reason
			}
			return nil, Interval{Reason: reason}
		}
		return &r.Coefficient, a.interval(r.Interval(a.opts.Level))
	}
	out.ICC, out.CI = form(stats.ICC31)
	out.Agreement, out.AgreementCI = form(stats.ICC21)
	out.MeanICC, out.MeanCI = form(stats.ICC3K)
	out.OneWay, out.OneWayCI = form(stats.ICC11)
	return out
}

// bySeed are a persona's completions by sampling seed: the adapters of a seed are
// pooled, as they are no further seeds.
func (r *record) bySeed() Ordered[experiment.Rate] {
	var seeds []uint64
	sums := make(map[uint64]experiment.Rate)
	for _, s := range r.shards.All() {
		sum, known := sums[s.Seed]
		if !known {
			seeds = append(seeds, s.Seed)
		}
		sums[s.Seed] = experiment.Rate{Found: sum.Found + s.Found, Total: sum.Total + s.Total}
	}
	out := Ordered[experiment.Rate]{}
	for _, seed := range seeds {
		out.Set(strconv.FormatUint(seed, 10), sums[seed])
	}
	return out
}
