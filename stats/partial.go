package stats

import "gonum.org/v1/gonum/floats"

// PartialSpearman returns the rank correlation of x and y with covariates held
// fixed: x, y and every covariate are replaced by mid-ranks, the ranks of x and of
// y are each regressed on an intercept and all ranked covariates, and the
// residuals are correlated. DF is n - 2 - k for k covariates. Without covariates
// it is [Spearman]. For one covariate it equals the textbook formula
// (r_xy - r_xz r_yz)/sqrt((1-r_xz^2)(1-r_yz^2)) (Kendall and Stuart 1973).
//
// It is undefined if x or y is constant or determined by the covariates, if a
// covariate is constant or a linear combination (in ranks) of those before it, and
// for fewer than 3 + k units.
func PartialSpearman(x, y []float64, covariates ...[]float64) (Correlation, error) {
	const name = "partial spearman"
	if err := checkPaired(name, x, y); err != nil {
		return Correlation{}, err
	}
	if err := checkColumns(name, "covariate", len(x), covariates); err != nil {
		return Correlation{}, err
	}
	if df := len(x) - 2 - len(covariates); df < 1 {
		return Correlation{}, undefined(name, "%d units and %d covariates leave %d degrees of freedom", len(x), len(covariates), df)
	}
	if err := checkCorrelated(name, x, y); err != nil {
		return Correlation{}, err
	}
	if len(covariates) == 0 {
		return Spearman(x, y)
	}
	ranked := make([][]float64, len(covariates))
	for j, covariate := range covariates {
		ranked[j] = centredRanks(covariate)
	}
	d, err := newDesign(name, "covariate", len(x), ranked)
	if err != nil {
		return Correlation{}, err
	}
	restX, restY := d.rest(x), d.rest(y)
	if restX == nil || restY == nil {
		return Correlation{}, undefined(name, "the covariates determine %s", pick(restX == nil, "x", "y"))
	}
	return NewCorrelation(cosine(restX, restY), len(x), len(covariates))
}

// rest returns what the design leaves of the ranks of x, or nil for nothing.
func (d *design) rest(x []float64) []float64 {
	c, _ := newColumn(centredRanks(x))
	_, residuals := d.fit(c.unit)
	if floats.Norm(residuals, 2) == 0 {
		return nil
	}
	return residuals
}
