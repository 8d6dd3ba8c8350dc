package stats

import "math"

// TwoWay is the analysis of variance of an (N, K) table without replication: rows
// are subjects (personas), columns are raters (sampling seeds). Sums of squares
// that are rounding of zero are exactly zero.
type TwoWay struct {
	N, K      int
	GrandMean float64

	SSRows, SSColumns, SSError, SSTotal     float64
	MSRows, MSColumns, MSError, MSWithin    float64 // MSWithin pools columns and error
	dfRows, dfColumns, dfError, dfWithinRow float64
}

// NewTwoWay analyses a table. It is undefined for fewer than 2 rows or columns.
func NewTwoWay(table [][]float64) (TwoWay, error) {
	const name = "two-way analysis of variance"
	rows, columns, err := checkTable(name, table)
	if err != nil {
		return TwoWay{}, err
	}
	if rows < 2 || columns < 2 {
		return TwoWay{}, undefined(name, "needs 2 rows and 2 columns, got %d and %d", rows, columns)
	}
	n, k := float64(rows), float64(columns)
	a := TwoWay{N: rows, K: columns, dfRows: n - 1, dfColumns: k - 1, dfError: (n - 1) * (k - 1), dfWithinRow: n * (k - 1)}
	rowMeans, columnMeans := make([]float64, rows), make([]float64, columns)
	var largest float64
	for i, row := range table {
		for j, v := range row {
			rowMeans[i] += v / k
			columnMeans[j] += v / n
			a.GrandMean += v / (n * k)
			largest = math.Max(largest, math.Abs(v))
		}
	}
	a.addSquares(table, rowMeans, columnMeans, n*k*square(roundingSpread*largest))
	a.MSRows, a.MSColumns = a.SSRows/a.dfRows, a.SSColumns/a.dfColumns
	a.MSError, a.MSWithin = a.SSError/a.dfError, (a.SSColumns+a.SSError)/a.dfWithinRow
	return a, finite(name, a.GrandMean, a.SSTotal, a.SSRows, a.SSColumns, a.SSError)
}

// addSquares takes sums of squares at most rounding for zero: without that,
// identical rows would give a ratio of two rounding errors.
func (a *TwoWay) addSquares(table [][]float64, rowMeans, columnMeans []float64, rounding float64) {
	for i, row := range table {
		for j, v := range row {
			dr, dc := rowMeans[i]-a.GrandMean, columnMeans[j]-a.GrandMean
			de := v - a.GrandMean - dr - dc
			a.SSRows += dr * dr
			a.SSColumns += dc * dc
			a.SSError += de * de
			a.SSTotal += (v - a.GrandMean) * (v - a.GrandMean)
		}
	}
	for _, ss := range []*float64{&a.SSRows, &a.SSColumns, &a.SSError, &a.SSTotal} {
		if *ss <= rounding {
			*ss = 0
		}
	}
}

// MeanTwoWay averages the analyses of several tables of one shape: the personas of one
// source under each of its adapters, whose sampling seeds are columns of their own
// table and not further columns of one. Degrees of freedom are those of one table, as
// if the others added nothing, since they are of the same rows; so intervals and tests
// made of the result are on the safe side.
func MeanTwoWay(tables ...[][]float64) (TwoWay, error) {
	const name = "mean of two-way analyses of variance"
	if len(tables) == 0 {
		return TwoWay{}, undefined(name, "there is no table")
	}
	mean, err := NewTwoWay(tables[0])
	if err != nil {
		return TwoWay{}, err
	}
	for i, table := range tables[1:] {
		a, err := NewTwoWay(table)
		if err != nil {
			return TwoWay{}, err
		}
		if a.N != mean.N || a.K != mean.K {
			return TwoWay{}, badInput(name, "table %d is %d x %d, the first is %d x %d", i+1, a.N, a.K, mean.N, mean.K)
		}
		mean.add(a)
	}
	mean.scale(1 / float64(len(tables)))
	return mean, finite(name, mean.SSTotal, mean.MSRows, mean.MSError)
}

// sums are the fields that [MeanTwoWay] averages.
func (a *TwoWay) sums() []*float64 {
	return []*float64{
		&a.GrandMean, &a.SSRows, &a.SSColumns, &a.SSError, &a.SSTotal, &a.MSRows, &a.MSColumns, &a.MSError, &a.MSWithin,
	}
}

func (a *TwoWay) add(b TwoWay) {
	for i, v := range b.sums() {
		*a.sums()[i] += *v
	}
}

func (a *TwoWay) scale(factor float64) {
	for _, v := range a.sums() {
		*v *= factor
	}
}

// cancelled is the size, relative to its terms, below which a difference of mean
// squares is rounding of zero.
const cancelled = 1e-12

// ICCForm names an intraclass correlation as Shrout and Fleiss (1979) do: the
// model, and whether one rating (1) or the mean of all K (K) is judged.
type ICCForm int

// The six forms. In the names of McGraw and Wong (1996) model 2 is absolute
// agreement, ICC(A,.), and model 3 consistency, ICC(C,.).
const (
	ICC11 ICCForm = iota // one-way random: each row has its own raters
	ICC21                // two-way random, absolute agreement of one rating
	ICC31                // two-way mixed, consistency of one rating
	ICC1K                // one-way random, mean of K ratings
	ICC2K                // two-way random, absolute agreement of the mean of K
	ICC3K                // two-way mixed, consistency of the mean of K
)

// String returns the usual notation, for example "ICC(2,1)".
func (f ICCForm) String() string {
	if f < ICC11 || f > ICC3K {
		return "ICC(unknown form)"
	}
	return [...]string{"ICC(1,1)", "ICC(2,1)", "ICC(3,1)", "ICC(1,k)", "ICC(2,k)", "ICC(3,k)"}[f]
}

// Reliability is an intraclass correlation.
type Reliability struct {
	Coefficient float64 // at most 1; negative where rows differ less than error would make them
	Form        ICCForm
	Table       TwoWay // the mean squares behind it
}

// ICC returns an intraclass correlation of an (n, k) table (Shrout and Fleiss
// 1979; McGraw and Wong 1996). For sampling seeds [ICC31] asks whether seeds order
// the personas alike, [ICC21] also whether they give the same rates.
//
// It is undefined for fewer than 2 rows or columns and where the estimate of the
// total variance is not positive, as in a table whose rows are all equal.
func ICC(table [][]float64, form ICCForm) (Reliability, error) {
	a, err := NewTwoWay(table)
	if err != nil {
		return Reliability{}, err
	}
	return a.ICC(form)
}

// ICC is [ICC] of a table that was analysed already, or of the mean of several.
func (a TwoWay) ICC(form ICCForm) (Reliability, error) {
	if form < ICC11 || form > ICC3K {
		return Reliability{}, badInput("icc", "unknown form %d", int(form))
	}
	if a.MSRows == 0 && a.MSError == 0 {
		return Reliability{}, undefined(form.String(), "neither rows nor error vary: 0/0")
	}
	n, k := float64(a.N), float64(a.K)
	noise := a.MSError
	if form == ICC11 || form == ICC1K {
		noise = a.MSWithin
	}
	total := a.MSRows // of a mean of k ratings, times k
	switch form {
	case ICC11, ICC31:
		total += (k - 1) * noise
	case ICC21:
		total += (k-1)*noise + k*(a.MSColumns-noise)/n
	case ICC2K:
		total += (a.MSColumns - noise) / n
	}
	if total <= cancelled*(a.MSRows+a.MSColumns+noise) {
		return Reliability{}, undefined(form.String(), "the total variance is estimated to be zero or negative")
	}
	r := Reliability{Coefficient: (a.MSRows - noise) / total, Form: form, Table: a}
	return r, finite(form.String(), r.Coefficient)
}
