package stats

// Concordance is Kendall's coefficient W with its test.
type Concordance struct {
	W            float64     // corrected for ties, in [0, 1]
	WUncorrected float64     // without the correction, at most W
	ChiSquared   float64     // Judges * (Items-1) * W
	DF           int         // Items - 1
	P            float64     // upper tail of chi-squared with DF degrees of freedom
	Judges       int         // m
	Items        int         // n
	RankSums     []float64   // (Items), sum over judges
	Ranks        [][]float64 // (Judges, Items), 1 = highest score, mid-ranks on ties
}

// KendallW measures how far m judges order n items alike. scores is (m, n). Each
// judge's scores are ranked, 1 for the highest; with S the sum of squared
// deviations of the rank sums, W = 12 S / (m^2 (n^3-n) - m sum(t^3-t)) over all
// groups of t ties (Kendall and Babington Smith 1939; Siegel and Castellan 1988).
// The chi-squared approximation wants 8 items or more.
//
// It is undefined for fewer than 2 judges or 2 items, and if no judge tells any
// two items apart.
func KendallW(scores [][]float64) (Concordance, error) {
	const name = "kendall w"
	judges, items, err := checkTable(name, scores)
	if err != nil {
		return Concordance{}, err
	}
	if judges < 2 || items < 2 {
		return Concordance{}, undefined(name, "needs 2 judges and 2 items, got %d and %d", judges, items)
	}
	c := Concordance{Judges: judges, Items: items, DF: items - 1, RankSums: make([]float64, items)}
	m, n := float64(judges), float64(items)
	var tied float64
	for _, row := range scores {
		ranks, ties := midRanks(row)
		tied += tieSum(ties, func(t float64) float64 { return t*t*t - t })
		for i := range ranks {
			ranks[i] = n + 1 - ranks[i]
			c.RankSums[i] += ranks[i]
		}
		c.Ranks = append(c.Ranks, ranks)
	}
	var s float64
	for _, sum := range c.RankSums {
		d := sum - m*(n+1)/2
		s += d * d
	}
	full := m * m * (n*n*n - n)
	if full == m*tied {
		return Concordance{}, undefined(name, "every judge gave all items the same score")
	}
	c.W = 12 * s / (full - m*tied)
	c.WUncorrected = 12 * s / full
	c.ChiSquared = m * (n - 1) * c.W
	c.P = chiSquaredUpperP(c.ChiSquared, n-1)
	return c, finite(name, c.W, c.ChiSquared, c.P)
}
