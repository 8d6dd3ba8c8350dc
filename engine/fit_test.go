package engine

import "testing"

// What fits is less than what is free, goes up and down with it, and is shared out
// equally.
func TestFitting(t *testing.T) {
	const gb = 1 << 30
	for _, c := range []struct {
		free, row int64
		contexts  int
		want      int
	}{
		{2 * gb, gb / 16, 1, 16},
		{2 * gb, gb / 16, 2, 0}, // each needs its spare memory
		{5 * gb, gb, 2, 2},      // 1.5 sequences each
		{gb / 2, gb, 1, 0},
		{-gb, gb, 3, 0},
	} {
		if got := fitting(c.free, c.row, c.contexts); got != c.want {
			t.Errorf("%d bytes free, %d a row, %d contexts: %d fit, want %d", c.free, c.row, c.contexts, got, c.want)
		}
	}
}
