package stats

import "math"

// Interval is a confidence interval.
type Interval struct {
	Lower, Upper float64
	Level        float64 // nominal coverage, for example 0.95
}

// Width is Upper - Lower.
func (i Interval) Width() float64 { return i.Upper - i.Lower }

// Contains reports whether v lies in the closed interval.
func (i Interval) Contains(v float64) bool { return i.Lower <= v && v <= i.Upper }

// ZInterval is an interval for a correlation, computed on the scale of Fisher's
// z = atanh(r) and transformed back.
type ZInterval struct {
	Interval
	Z  float64 // atanh of the coefficient
	SE float64 // standard error of Z
}

// FisherZ returns the interval tanh(z +- q*SE) with SE = 1/sqrt(N-3-covariates)
// (Fisher 1921), for Pearson's correlation. It is undefined at |r| = 1, where z is
// infinite, and below 2 degrees of freedom.
func (c Correlation) FisherZ(level float64) (ZInterval, error) {
	return c.zInterval("fisher z interval", level, 1)
}

// BonettWright is the interval of [Correlation.FisherZ] with
// SE = sqrt((1+r^2/2)/(N-3-covariates)), which holds its level for Spearman's
// correlation (Bonett and Wright 2000, Psychometrika 65, 23-28).
func (c Correlation) BonettWright(level float64) (ZInterval, error) {
	return c.zInterval("bonett-wright interval", level, 1+c.Coefficient*c.Coefficient/2)
}

// zInterval takes inflation as the factor on Fisher's variance 1/(DF-1).
func (c Correlation) zInterval(name string, level, inflation float64) (ZInterval, error) {
	if err := checkLevel(name, level); err != nil {
		return ZInterval{}, err
	}
	if !(math.Abs(c.Coefficient) <= 1) {
		return ZInterval{}, badInput(name, "coefficient %v is not in [-1, 1]", c.Coefficient)
	}
	if math.Abs(c.Coefficient) == 1 {
		return ZInterval{}, undefined(name, "the correlation is exactly %v", c.Coefficient)
	}
	if c.DF < 2 {
		return ZInterval{}, undefined(name, "%d degrees of freedom, needs 2", c.DF)
	}
	z, se := math.Atanh(c.Coefficient), math.Sqrt(inflation/float64(c.DF-1))
	margin := normalCritical(level) * se
	return ZInterval{
		Interval: Interval{Lower: math.Tanh(z - margin), Upper: math.Tanh(z + margin), Level: level},
		Z:        z,
		SE:       se,
	}, nil
}
