package stats

import "math"

// Kappa is Cohen's kappa of two raters.
type Kappa struct {
	Coefficient float64 // in [-1, 1]; 1 is perfect agreement, 0 what chance gives
	Observed    float64 // share of items given the same label
	Expected    float64 // that share if the raters labelled independently
	SE          float64 // large-sample standard error of Coefficient
	N           int     // items

	nullSE float64 // standard error if the raters labelled independently
}

// CohenKappa measures the agreement of two raters on nominal labels (Cohen 1960):
// a[i] and b[i] are the labels that item i got. The standard errors are those of
// Fleiss, Cohen and Everitt (1969). It is undefined without items and if both raters
// gave one and the same label to all.
func CohenKappa[L comparable](a, b []L) (Kappa, error) {
	const name = "cohen kappa"
	if len(a) != len(b) {
		return Kappa{}, badInput(name, "one rater has %d labels and the other %d", len(a), len(b))
	}
	if len(a) == 0 {
		return Kappa{}, undefined(name, "no items")
	}
	table, err := crossTable(a, b)
	if err != nil {
		return Kappa{}, err
	}
	n := float64(len(a))
	rows, columns := make([]float64, len(table)), make([]float64, len(table))
	for i := range table {
		for j := range table {
			table[i][j] /= n
			rows[i] += table[i][j]
			columns[j] += table[i][j]
		}
	}
	k := Kappa{N: len(a)}
	for i := range table {
		k.Observed += table[i][i]
		k.Expected += rows[i] * columns[i]
	}
	if len(table) == 1 {
		return Kappa{}, undefined(name, "both raters gave every item the same label")
	}
	k.Coefficient = clamp((k.Observed-k.Expected)/(1-k.Expected), -1)
	k.SE = kappaSE(table, rows, columns, k)
	k.nullSE = kappaNullSE(rows, columns, k)
	return k, finite(name, k.Coefficient, k.SE, k.nullSE)
}

// P returns the two-sided p-value of the normal test of no agreement beyond chance.
// It is undefined if one rater used a single label: agreement is then what chance
// gives, whatever the labels are.
func (k Kappa) P() (float64, error) {
	if !(k.nullSE > 0) {
		return 0, undefined("kappa test", "one rater used a single label")
	}
	return normalTwoSidedP(k.Coefficient / k.nullSE), nil
}

// Interval returns Coefficient +- z*SE, cut at -1 and 1. It is undefined if SE is 0,
// as for perfect agreement, where the normal approximation says nothing.
func (k Kappa) Interval(level float64) (Interval, error) {
	const name = "kappa interval"
	if err := checkLevel(name, level); err != nil {
		return Interval{}, err
	}
	if !(k.SE > 0) {
		return Interval{}, undefined(name, "the standard error is 0 at kappa %v", k.Coefficient)
	}
	margin := normalCritical(level) * k.SE
	return Interval{
		Lower: math.Max(-1, k.Coefficient-margin),
		Upper: math.Min(1, k.Coefficient+margin),
		Level: level,
	}, nil
}

// crossTable counts pairs of labels, labels in order of appearance: the order of a
// map would change the last bits from run to run.
func crossTable[L comparable](a, b []L) ([][]float64, error) {
	position := map[L]int{}
	for i := range a {
		for _, label := range [...]L{a[i], b[i]} {
			if _, known := position[label]; !known {
				position[label] = len(position)
			}
			if _, known := position[label]; !known { // NaN
				return nil, badInput("cohen kappa", "label %v of item %d does not equal itself", label, i)
			}
		}
	}
	table := make([][]float64, len(position))
	for i := range table {
		table[i] = make([]float64, len(position))
	}
	for i := range a {
		table[position[a[i]]][position[b[i]]]++
	}
	return table, nil
}

func kappaSE(table [][]float64, rows, columns []float64, k Kappa) float64 {
	rest := 1 - k.Coefficient
	var agree, differ float64
	for i := range table {
		for j, p := range table[i] {
			if i == j {
				agree += p * square(1-(rows[i]+columns[i])*rest)
			} else {
				differ += p * square(columns[i]+rows[j])
			}
		}
	}
	variance := agree + rest*rest*differ - square(k.Coefficient-k.Expected*rest)
	return standardError(variance, k)
}

func kappaNullSE(rows, columns []float64, k Kappa) float64 {
	variance := k.Expected + k.Expected*k.Expected
	for i := range rows {
		variance -= rows[i] * columns[i] * (rows[i] + columns[i])
	}
	return standardError(variance, k)
}

// standardError takes a variance that is rounding of zero for zero.
func standardError(variance float64, k Kappa) float64 {
	if variance <= 1e-14 {
		return 0
	}
	return math.Sqrt(variance/float64(k.N)) / (1 - k.Expected)
}
