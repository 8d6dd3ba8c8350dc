package hidden

import (
	"errors"
	"fmt"
	"math"
)

// ErrZeroNorm marks a vector without a direction: all components are zero, so that
// no cosine is defined.
var ErrZeroNorm = errors.New("vector of zero norm has no cosine")

// Cosine is the cosine of the angle between a and b, in [-1, 1]. It is an error if
// their lengths differ, if a component is not finite, or if one of them is zero
// (ErrZeroNorm).
func Cosine(a, b []float64) (float64, error) {
	if len(a) != len(b) {
		return 0, fmt.Errorf("cosine of vectors of %d and %d components", len(a), len(b))
	}
	ua, err := unit(a)
	if err != nil {
		return 0, err
	}
	ub, err := unit(b)
	if err != nil {
		return 0, err
	}
	return dot(ua, ub), nil
}

// Cosine is the cosine of the rows called a and b.
func (c *Centroids) Cosine(a, b string) (float64, error) {
	i, err := c.Index(a)
	if err != nil {
		return 0, err
	}
	j, err := c.Index(b)
	if err != nil {
		return 0, err
	}
	cosine, err := Cosine(c.Row(i), c.Row(j))
	if err != nil {
		return 0, fmt.Errorf("rows %s and %s: %w", a, b, err)
	}
	return cosine, nil
}

// CosinesTo gives the cosine of every row with each of the named rows, shape
// (rows, names).
func (c *Centroids) CosinesTo(names ...string) ([][]float64, error) {
	units, err := c.units()
	if err != nil {
		return nil, err
	}
	targets := make([]int, len(names))
	for k, name := range names {
		if targets[k], err = c.Index(name); err != nil {
			return nil, err
		}
	}
	cosines := make([][]float64, len(units))
	for i, u := range units {
		cosines[i] = make([]float64, len(targets))
		for k, t := range targets {
			cosines[i][k] = dot(u, units[t])
		}
	}
	return cosines, nil
}

// CosineMatrix gives the cosine of every row with every row, shape (rows, rows). It
// is symmetric to the last bit.
func (c *Centroids) CosineMatrix() ([][]float64, error) { return c.CosinesTo(c.names...) }

// units are the rows at length 1.
func (c *Centroids) units() ([][]float64, error) {
	units := make([][]float64, len(c.names))
	for i, name := range c.names {
		u, err := unit(c.Row(i))
		if err != nil {
			return nil, fmt.Errorf("row %s: %w", name, err)
		}
		units[i] = u
	}
	return units, nil
}

// unit is v at length 1. It scales by the largest component first, so that the sum
// of squares neither overflows nor vanishes.
func unit(v []float64) ([]float64, error) {
	largest := 0.0
	for i, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("%w: component %d is %v", ErrState, i, x)
		}
		largest = max(largest, math.Abs(x))
	}
	if largest == 0 {
		return nil, ErrZeroNorm
	}
	u := make([]float64, len(v))
	squares := 0.0
	for i, x := range v {
		u[i] = x / largest
		squares += float64(u[i] * u[i])
	}
	norm := math.Sqrt(squares)
	for i := range u {
		u[i] /= norm
	}
	return u, nil
}

// dot is the product of two unit vectors, held in [-1, 1] against rounding. The
// conversion forbids a fused multiply-add, which would differ between machines.
func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i] * b[i])
	}
	return max(-1, min(1, sum))
}
