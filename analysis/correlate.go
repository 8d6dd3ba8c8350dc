package analysis

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"personaprobe/experiment"
	"personaprobe/stats"
)

// sample is a group of bystanders with a cosine at one layer.
type sample struct {
	records  []*record
	cosines  []float64
	leakage  []float64
	clusters [][]int // indices of records that belong together
	by       string  // what clusters are
}

func newSample(records []*record, layer string, by string, cluster func(*record) string) *sample {
	s := &sample{by: by}
	index := make(map[string]int)
	for _, r := range records {
		c, ok := r.cosines[layer]
		if !ok {
			continue
		}
		name := cluster(r)
		k, known := index[name]
		if !known {
			k = len(s.clusters)
			index[name] = k
			s.clusters = append(s.clusters, nil)
		}
		s.clusters[k] = append(s.clusters[k], len(s.records))
		s.records, s.cosines = append(s.records, r), append(s.cosines, c)
		s.leakage = append(s.leakage, *r.rate)
	}
	return s
}

func byCell(r *record) string     { return r.source + "\x00" + r.category }
func bySource(r *record) string   { return r.source }
func byCategory(r *record) string { return r.category }

// association is everything about one group. full adds the partial correlations.
func (a *analyst) association(s *sample) Association {
	out := Association{
		Spearman:   a.spearman(s),
		MeanCosine: mean(s.cosines), MeanLeakage: nil,
		Partial: Ordered[Correlation]{},
	}
	out.MeanLeakage = meanOf(s.records)
	p, err := stats.Pearson(s.cosines, s.leakage)
	out.Pearson = Pearson{Correlation: a.correlation(len(s.records), p, err)}
	out.Pearson.FisherZ.Reason = out.Pearson.Reason
	if err == nil {
		out.Pearson.FisherZ = a.zInterval(p.FisherZ(a.opts.Level))
	}
	out.KendallTau = a.kendallTau(s)
	for _, names := range subsets(a.covariates) {
		out.Partial.Set(strings.Join(names, "+"), a.partial(s, names))
	}
	return out
}

func (a *analyst) kendallTau(s *sample) Correlation {
	tau, err := stats.KendallTau(s.cosines, s.leakage)
	if err != nil {
		return Correlation{N: len(s.records), Reason: a.reason(err)}
	}
	return Correlation{Coefficient: &tau.Tau, P: &tau.P, N: tau.N}
}

func (a *analyst) spearman(s *sample) Spearman {
	c, err := stats.Spearman(s.cosines, s.leakage)
	out := Spearman{Correlation: a.correlation(len(s.records), c, err), Clusters: len(s.clusters), ClusteredBy: s.by}
	if err != nil {
		undefined := Interval{Reason: out.Reason}
		out.BonettWright, out.FisherZ = undefined, undefined
		out.Bootstrap, out.ClusterBootstrap, out.Crossed = undefined, undefined, undefined
		return out
	}
	out.BonettWright = a.zInterval(c.BonettWright(a.opts.Level))
	out.FisherZ = a.zInterval(c.FisherZ(a.opts.Level))
	test, err := stats.Permutation{Resamples: a.opts.Permutations, Seed: a.opts.Seed}.Spearman(s.cosines, s.leakage)
	if err != nil {
		a.reason(err)
	} else {
		out.PermutationP = &test.P
	}
	out.Bootstrap = a.resampled(a.bootstrap().Spearman(s.cosines, s.leakage))
	out.ClusterBootstrap = a.resampled(a.bootstrap().Run(len(s.clusters), s.ofClusters))
	out.Crossed = a.crossed(s)
	return out
}

// ofClusters is Spearman's rho over whole clusters.
func (s *sample) ofClusters(clusters []int) (float64, error) {
	var x, y []float64
	for _, c := range clusters {
		for _, i := range s.clusters[c] {
			x, y = append(x, s.cosines[i]), append(y, s.leakage[i])
		}
	}
	c, err := stats.Spearman(x, y)
	return c.Coefficient, err
}

// crossed resamples personas and questions: leakage is that on the questions drawn.
func (a *analyst) crossed(s *sample) Interval {
	table, reason := questionTable(s.records)
	if reason != "" {
		return Interval{Reason: reason}
	}
	return a.resampled(a.bootstrap().Crossed(len(table), len(table[0]), func(rows, columns []int) (float64, error) {
		x, y := make([]float64, len(rows)), make([]float64, len(rows))
		for k, i := range rows {
			var sum experiment.Rate
			for _, q := range columns {
				sum.Found += table[i][q].Found
				sum.Total += table[i][q].Total
			}
			x[k], y[k] = s.cosines[i], sum.Value()
		}
		c, err := stats.Spearman(x, y)
		return c.Coefficient, err
	}))
}

// partial holds covariates fixed, over the personas that have all of them.
func (a *analyst) partial(s *sample, covariates []string) Correlation {
	var x, y []float64
	var have []*record
	for i, r := range s.records {
		if r.hasAll(covariates) {
			have = append(have, r)
			x, y = append(x, s.cosines[i]), append(y, s.leakage[i])
		}
	}
	columns := make([][]float64, len(covariates))
	for k, name := range covariates {
		columns[k] = column(have, name)
	}
	c, err := stats.PartialSpearman(x, y, columns...)
	return a.correlation(len(x), c, err)
}

// subsets are the non-empty subsets of names, small ones first, each in the order of
// names.
func subsets(names []string) [][]string {
	masks := make([]uint, 0, 1<<len(names))
	for mask := uint(1); mask < 1<<len(names); mask++ {
		masks = append(masks, mask)
	}
	slices.SortStableFunc(masks, func(a, b uint) int { return cmp.Compare(bits.OnesCount(a), bits.OnesCount(b)) })
	out := make([][]string, len(masks))
	for i, mask := range masks {
		for k, name := range names {
			if mask&(1<<k) != 0 {
				out[i] = append(out[i], name)
			}
		}
	}
	return out
}
