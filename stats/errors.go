package stats

import (
	"errors"
	"fmt"
	"math"
)

var (
	// ErrUndefined is wrapped by the error of a statistic that has no value for
	// the data given. The error's text gives the reason.
	ErrUndefined = errors.New("statistic undefined")

	// ErrInput is wrapped by the error of a call whose arguments are wrong.
	ErrInput = errors.New("invalid input")
)

func undefined(name, format string, args ...any) error {
	return fmt.Errorf("%s: %s: %w", name, fmt.Sprintf(format, args...), ErrUndefined)
}

func badInput(name, format string, args ...any) error {
	return fmt.Errorf("%s: %s: %w", name, fmt.Sprintf(format, args...), ErrInput)
}

// checkValues refuses NaN and infinities, which have no rank and poison every sum.
func checkValues(name, label string, x []float64) error {
	for i, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return badInput(name, "%s[%d] is %v, not a finite number", label, i, v)
		}
	}
	return nil
}

// checkPaired checks two vectors of which element i describes the same unit.
func checkPaired(name string, x, y []float64) error {
	if len(x) != len(y) {
		return badInput(name, "x has %d values and y has %d; they must pair up", len(x), len(y))
	}
	if err := checkValues(name, "x", x); err != nil {
		return err
	}
	return checkValues(name, "y", y)
}

// checkColumns checks that every column has n finite values.
func checkColumns(name, label string, n int, columns [][]float64) error {
	for j, column := range columns {
		if len(column) != n {
			return badInput(name, "%s %d has %d values, not %d", label, j, len(column), n)
		}
		if err := checkValues(name, fmt.Sprintf("%s %d", label, j), column); err != nil {
			return err
		}
	}
	return nil
}

// checkTable checks a rectangular table and returns its shape. An empty table has
// the shape (0, 0), which callers refuse as too small.
func checkTable(name string, table [][]float64) (rows, columns int, err error) {
	if len(table) == 0 {
		return 0, 0, nil
	}
	columns = len(table[0])
	for i, row := range table {
		if len(row) != columns {
			return 0, 0, badInput(name, "row %d has %d values and row 0 has %d", i, len(row), columns)
		}
		if err := checkValues(name, fmt.Sprintf("row %d", i), row); err != nil {
			return 0, 0, err
		}
	}
	return len(table), columns, nil
}

func checkLevel(name string, level float64) error {
	if !(level > 0 && level < 1) { // written so that NaN fails too
		return badInput(name, "confidence level %v is not between 0 and 1", level)
	}
	return nil
}

// finite is the last guard before a result leaves the package: magnitudes near
// the limits of float64 can overflow in a sum of squares that is otherwise right.
func finite(name string, values ...float64) error {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return undefined(name, "the result overflows a float64")
		}
	}
	return nil
}
