package stats

import "math"

// FTest is an F test of a hypothesis of zero.
type FTest struct {
	F        float64
	DF1, DF2 int
	P        float64 // upper tail
}

func newFTest(name string, f float64, df1, df2 int) (FTest, error) {
	t := FTest{F: f, DF1: df1, DF2: df2, P: fUpperP(f, float64(df1), float64(df2))}
	return t, finite(name, t.F, t.P)
}

// FTest tests that the population value is zero: the mean square of rows over that
// of error, or of everything within rows for the one-way forms. It is undefined
// (infinite) if the denominator is zero.
func (r Reliability) FTest() (FTest, error) {
	a := r.Table
	noise, df := a.MSError, a.dfError
	if r.oneWay() {
		noise, df = a.MSWithin, a.dfWithinRow
	}
	if noise == 0 {
		return FTest{}, undefined(r.Form.String()+" F test", "no error variance")
	}
	return newFTest(r.Form.String()+" F test", a.MSRows/noise, a.N-1, int(df))
}

// Interval returns the interval of Shrout and Fleiss (1979) for models 1 and 3 and
// that of McGraw and Wong (1996), with Satterthwaite's degrees of freedom, for
// model 2. The forms for a mean of K ratings are those for one rating put through
// the Spearman-Brown formula. Without error variance both bounds are 1.
func (r Reliability) Interval(level float64) (Interval, error) {
	name := r.Form.String() + " interval"
	if err := checkLevel(name, level); err != nil {
		return Interval{}, err
	}
	if r.Table.N < 2 || r.Table.K < 2 {
		return Interval{}, badInput(name, "not a result of ICC")
	}
	i := Interval{Level: level}
	switch {
	case r.Form == ICC21 || r.Form == ICC2K:
		i.Lower, i.Upper = r.agreementBounds(level)
		if math.IsNaN(i.Lower) || math.IsNaN(i.Upper) {
			return Interval{}, undefined(name, "the total variance at a bound is estimated below zero")
		}
	case r.oneWay():
		i.Lower, i.Upper = r.ratioBounds(level, r.Table.MSWithin, r.Table.dfWithinRow)
	default:
		i.Lower, i.Upper = r.ratioBounds(level, r.Table.MSError, r.Table.dfError)
	}
	i.Lower = math.Min(i.Lower, i.Upper) // the same number twice can differ by rounding
	return i, finite(name, i.Lower, i.Upper)
}

func (r Reliability) oneWay() bool { return r.Form == ICC11 || r.Form == ICC1K }

// ratioBounds: with F = rows/noise, FL = F/F.975(n-1, df), FU = F*F.975(df, n-1),
// each bound is (F*-1)/(F*+k-1) for one rating and 1-1/F* for the mean of k; both
// are written without the division by noise, which may be zero.
func (r Reliability) ratioBounds(level, noise, df float64) (lower, upper float64) {
	a, k := r.Table, float64(r.Table.K)
	rest := k - 1
	if r.Form == ICC1K || r.Form == ICC3K {
		rest = 0
	}
	bound := func(rows, noise float64) float64 { return (rows - noise) / (rows + rest*noise) }
	return bound(a.MSRows, noise*fCritical(level, a.dfRows, df)),
		bound(a.MSRows*fCritical(level, df, a.dfRows), noise)
}

// agreementBounds are those of McGraw and Wong (1996, table 7). The degrees of
// freedom are in the form of Shrout and Fleiss (1979), times the error mean square.
// Where columns differ less than error, the total variance at a bound of the mean of
// K can be estimated below zero, and the bound is NaN.
func (r Reliability) agreementBounds(level float64) (lower, upper float64) {
	a, n, k := r.Table, float64(r.Table.N), float64(r.Table.K)
	if a.MSError == 0 && a.MSColumns == 0 {
		return 1, 1
	}
	single := (a.MSRows - a.MSError) / (a.MSRows + (k-1)*a.MSError + k*(a.MSColumns-a.MSError)/n)
	u := k * single * a.MSColumns
	v := (n*(1+(k-1)*single) - k*single) * a.MSError
	df := (u + v) * (u + v) / (u*u/a.dfColumns + v*v/a.dfError)
	if !(df > 0) { // 0/0
		return math.NaN(), math.NaN()
	}
	others := k*a.MSColumns + (k*n-k-n)*a.MSError
	if r.Form == ICC2K {
		others = a.MSColumns - a.MSError
	}
	bound := func(rows, f float64) float64 {
		total := f*others + n*rows
		if total <= cancelled*(f*(a.MSColumns+a.MSError)+n*rows) {
			return math.NaN()
		}
		return n * (rows - f*a.MSError) / total
	}
	return bound(a.MSRows, fCritical(level, a.dfRows, df)),
		bound(a.MSRows*fCritical(level, df, a.dfRows), 1)
}
