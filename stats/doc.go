// Package stats has the statistics of a persona-leakage study: rank
// correlation, agreement, reliability, resampling and regression, each with a
// p-value or an interval that can be defended.
//
// # Which function to use
//
//   - Does similarity predict leakage: [Spearman], and [PartialSpearman] to hold
//     surface covariates fixed. [Correlation.BonettWright] is its interval,
//     [Correlation.FisherZ] the one for [Pearson]. [KendallTau] for information.
//   - Few personas, or doubt about the t approximation: [Permutation].
//   - Does one layer predict better than another: [CompareSpearman].
//   - Do categories differ: [KruskalWallis]. Do sources order the categories
//     alike: [KendallW].
//   - Do sampling seeds agree: [ICC]. Do two raters agree: [CohenKappa].
//   - The rate of one persona: [Wilson] if its completions are independent. They
//     share questions, so [Bootstrap.Nested] with the questions as clusters.
//   - The mean of several personas: [Bootstrap.Crossed] where all answered the
//     same questions, [Bootstrap.Nested] where each had its own.
//   - Any other number: [Bootstrap.Run].
//   - Many tests at once: [Holm] (any error matters) or [BenjaminiHochberg] (a
//     share of false discoveries is tolerable).
//   - A line: [OLS], or [TheilSen] where outliers must not decide. Does a
//     predictor add anything: [NestedF], [CrossValidate].
//
// # Undefined results
//
// Every function returns (result, error), and a result whose error is nil has no
// NaN and no infinity in it, so it can be written as JSON as it is. A statistic
// that has no value for the data given (a constant vector, too few pairs, 0/0)
// returns an error that wraps [ErrUndefined] and says why: report null. Data that
// no statistic could be computed from (NaN, lengths that do not match, a level
// outside (0, 1)) return an error that wraps [ErrInput]: a mistake of the caller.
//
// # Ties
//
// Values are ranked as they are, equal values share the mean of their positions,
// and nothing is rounded first. Pass counts of completions (as float64), not means
// of several rates: equal counts can give means that differ in the last bit, and
// their ties then break at random.
//
// # Random numbers
//
// Resampling is a function of the seed alone. Replicate i draws from its own
// ChaCha8 stream, keyed by the seed and i, so results are the same bytes whatever
// GOMAXPROCS is and in whatever order replicates ran.
package stats
