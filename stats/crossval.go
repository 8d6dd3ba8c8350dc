package stats

import (
	"fmt"
	"maps"
	"slices"
	"sort"
)

// CrossValidation is how well a regression predicts units it was not fitted to.
type CrossValidation struct {
	R2        float64   // 1 - sum (y-prediction)^2 / sum (y-training mean)^2; negative if worse than the mean
	Predicted []float64 // prediction for every unit, from the fold that left it out
	N, Folds  int
}

// Folds deals n units to k folds of equal size (within one), at random by seed, for
// [CrossValidate]. Element i is the fold of unit i. Where units come in groups that
// share something, pass the groups as folds instead: folds by source ask whether the
// relation holds for a source never seen.
func Folds(n, k int, seed uint64) ([]int, error) {
	if k < 2 || k > n {
		return nil, badInput("folds", "%d folds for %d units", k, n)
	}
	folds := make([]int, n)
	for i := range folds {
		folds[i] = i % k
	}
	shuffle(newStream(seed, "folds", 0), folds)
	return folds, nil
}

// CrossValidate fits [OLS] to all folds but one, predicts that one, and pools the
// squared errors of all folds. folds[i] is any label of unit i's fold. It is
// undefined where the fit to some folds is.
func CrossValidate(folds []int, response []float64, predictors ...[]float64) (CrossValidation, error) {
	return crossValidate(folds, response, predictors, func(_, x []float64) []float64 { return x })
}

// CrossValidateRanks is [CrossValidate] for [RankRegression]. Ranks are those among
// the training units, scaled to [0, 1]: a left-out value gets the place it would
// take among them, so nothing of it leaks into the fit. Predicted is in that scale.
func CrossValidateRanks(folds []int, response []float64, predictors ...[]float64) (CrossValidation, error) {
	return crossValidate(folds, response, predictors, placeAmong)
}

// placeAmong returns for each x the share of training values below it, those equal
// to it counted half: an affine function of the mid-rank for the training values.
func placeAmong(training, x []float64) []float64 {
	sorted := slices.Sorted(slices.Values(training))
	places := make([]float64, len(x))
	for i, v := range x {
		below := sort.SearchFloat64s(sorted, v)
		notAbove := sort.Search(len(sorted), func(k int) bool { return sorted[k] > v })
		places[i] = float64(below+notAbove) / float64(2*len(sorted))
	}
	return places
}

// crossValidate applies transform(training values, values) to response and
// predictors before each fit.
func crossValidate(folds []int, response []float64, predictors [][]float64, transform func(training, x []float64) []float64) (CrossValidation, error) {
	const name = "cross-validation"
	n := len(response)
	if len(folds) != n {
		return CrossValidation{}, badInput(name, "%d fold labels for %d units", len(folds), n)
	}
	if err := checkValues(name, "response", response); err != nil {
		return CrossValidation{}, err
	}
	if err := checkColumns(name, "predictor", n, predictors); err != nil {
		return CrossValidation{}, err
	}
	members := map[int][]int{}
	for i, fold := range folds {
		members[fold] = append(members[fold], i)
	}
	if len(members) < 2 {
		return CrossValidation{}, undefined(name, "needs 2 folds, got %d", len(members))
	}
	result := CrossValidation{Predicted: make([]float64, n), N: n, Folds: len(members)}
	var squaredError, squaredMean float64
	for _, fold := range slices.Sorted(maps.Keys(members)) {
		train := outside(folds, fold)
		y := transform(at(response, train), response)
		columns := make([][]float64, len(predictors))
		trained := make([][]float64, len(predictors))
		for j, p := range predictors {
			columns[j] = transform(at(p, train), p)
			trained[j] = at(columns[j], train)
		}
		fit, err := OLS(at(y, train), trained...)
		if err != nil {
			return CrossValidation{}, fmt.Errorf("%s without fold %d: %w", name, fold, err)
		}
		mean := centre(at(y, train))
		for _, i := range members[fold] {
			result.Predicted[i] = fit.predict(columns, i)
			squaredError += square(y[i] - result.Predicted[i])
			squaredMean += square(y[i] - mean)
		}
	}
	if squaredMean == 0 {
		return CrossValidation{}, undefined(name, "the left-out responses are all equal to the training mean")
	}
	result.R2 = 1 - squaredError/squaredMean
	return result, finite(name, append([]float64{result.R2}, result.Predicted...)...)
}

func (r *Regression) predict(columns [][]float64, unit int) float64 {
	value := r.Intercept.Value
	for j, slope := range r.Slopes {
		value += slope.Value * columns[j][unit]
	}
	return value
}

func square(v float64) float64 { return v * v }

func at(x []float64, index []int) []float64 {
	values := make([]float64, len(index))
	for k, i := range index {
		values[k] = x[i]
	}
	return values
}

func outside(folds []int, fold int) []int {
	var index []int
	for i, f := range folds {
		if f != fold {
			index = append(index, i)
		}
	}
	return index
}
