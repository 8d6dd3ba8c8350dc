package stats

import "fmt"

// Draw is one cluster of a resample: its index and the indices, within it, of the
// units drawn.
type Draw struct {
	Cluster int
	Units   []int
}

// Nested resamples in two stages: clusters with replacement and, within each
// cluster drawn, as many units as it has, with replacement (Davison and Hinkley
// 1997, section 3.8). sizes[c] is the number of units of cluster c. Use it where
// units of one cluster depend on each other and different clusters do not: the
// completions of one persona, clustered by question, or personas that each had
// their own questions. Resampling the completions as if they were independent
// gives intervals that are far too narrow.
//
// Resampling twice counts the variance within clusters twice, so the interval is
// on the wide side, by a factor of sqrt(2) at worst (clusters that do not differ).
func (b Bootstrap) Nested(sizes []int, statistic func(draws []Draw) (float64, error)) (BootstrapResult, error) {
	const name = "nested bootstrap"
	if len(sizes) < 2 {
		return BootstrapResult{}, undefined(name, "needs 2 clusters, got %d", len(sizes))
	}
	for c, size := range sizes {
		if size < 1 {
			return BootstrapResult{}, badInput(name, "cluster %d has %d units", c, size)
		}
	}
	whole := func(clusters []int) (float64, error) {
		draws := make([]Draw, len(clusters))
		for k, c := range clusters {
			draws[k] = Draw{c, upTo(sizes[c])}
		}
		return statistic(draws)
	}
	return b.run(scheme{
		all: func() (float64, error) { return whole(upTo(len(sizes))) },
		resample: func(random stream) (float64, error) {
			draws := make([]Draw, len(sizes))
			for k := range draws {
				c := random.below(len(sizes))
				draws[k] = Draw{c, make([]int, sizes[c])}
				random.fill(draws[k].Units, sizes[c])
			}
			return statistic(draws)
		},
		factors: []factor{{len(sizes), func(i int) (float64, error) { return whole(without(len(sizes), i)) }}},
	})
}

// NestedMean is [Bootstrap.Nested] for the mean of the clusters' means.
func (b Bootstrap) NestedMean(clusters [][]float64) (BootstrapResult, error) {
	sizes := make([]int, len(clusters))
	for c, units := range clusters {
		if err := checkValues("nested bootstrap", fmt.Sprintf("cluster %d", c), units); err != nil {
			return BootstrapResult{}, err
		}
		sizes[c] = len(units)
	}
	return b.Nested(sizes, func(draws []Draw) (float64, error) {
		var mean float64
		for _, d := range draws {
			var sum float64
			for _, u := range d.Units {
				sum += clusters[d.Cluster][u]
			}
			mean += sum / float64(len(d.Units)) / float64(len(draws))
		}
		return mean, nil
	})
}

// Crossed resamples rows and columns of a table independently of each other, with
// one draw of columns for all rows (the pigeonhole bootstrap: McCullagh 2000, Owen
// 2007). Use it where every row was measured on the same columns, as personas are
// on the study's questions, and both stand for more of their kind: an easy
// question raises every persona at once, which [Bootstrap.Nested] does not see.
// Like that one it errs on the wide side.
func (b Bootstrap) Crossed(rows, columns int, statistic func(rows, columns []int) (float64, error)) (BootstrapResult, error) {
	if rows < 2 || columns < 2 {
		return BootstrapResult{}, undefined("crossed bootstrap", "needs 2 rows and 2 columns, got %d and %d", rows, columns)
	}
	return b.run(scheme{
		all: func() (float64, error) { return statistic(upTo(rows), upTo(columns)) },
		resample: func(random stream) (float64, error) {
			r, c := make([]int, rows), make([]int, columns)
			random.fill(r, rows)
			random.fill(c, columns)
			return statistic(r, c)
		},
		factors: []factor{
			{rows, func(i int) (float64, error) { return statistic(without(rows, i), upTo(columns)) }},
			{columns, func(j int) (float64, error) { return statistic(upTo(rows), without(columns, j)) }},
		},
	})
}

// CrossedMean is [Bootstrap.Crossed] for the mean of a (rows, columns) table.
func (b Bootstrap) CrossedMean(table [][]float64) (BootstrapResult, error) {
	rows, columns, err := checkTable("crossed bootstrap", table)
	if err != nil {
		return BootstrapResult{}, err
	}
	return b.Crossed(rows, columns, func(rows, columns []int) (float64, error) {
		var sum float64
		for _, i := range rows {
			for _, j := range columns {
				sum += table[i][j]
			}
		}
		return sum / float64(len(rows)*len(columns)), nil
	})
}
