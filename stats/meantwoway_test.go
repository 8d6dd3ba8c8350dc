package stats

import (
	"errors"
	"math"
	"testing"
)

// The mean of a table with itself is that table, and of two tables the mean squares
// are the means; another shape is refused.
func TestMeanTwoWay(t *testing.T) {
	a := [][]float64{{9, 2, 5}, {6, 1, 3}, {8, 4, 6}, {7, 1, 2}}
	b := [][]float64{{1, 2, 1}, {3, 3, 4}, {2, 2, 2}, {5, 4, 6}}
	x, errX := NewTwoWay(a)
	y, errY := NewTwoWay(b)
	same, errSame := MeanTwoWay(a, a)
	both, errBoth := MeanTwoWay(a, b)
	if err := errors.Join(errX, errY, errSame, errBoth); err != nil {
		t.Fatal(err)
	}
	if same != x {
		t.Errorf("twice the same: %+v, want %+v", same, x)
	}
	if math.Abs(both.MSError-(x.MSError+y.MSError)/2) > 1e-12 ||
		math.Abs(both.MSRows-(x.MSRows+y.MSRows)/2) > 1e-12 || both.dfError != x.dfError {
		t.Errorf("%+v is not the mean of %+v and %+v", both, x, y)
	}
	if _, err := MeanTwoWay(a, b[:3]); !errors.Is(err, ErrInput) {
		t.Errorf("other shape: %v", err)
	}
	if _, err := MeanTwoWay(); !errors.Is(err, ErrUndefined) {
		t.Errorf("no table: %v", err)
	}
}
