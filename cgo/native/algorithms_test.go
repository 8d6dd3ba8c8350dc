package native_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"personaprobe/cgo/native"
)

// Each number of rows has its products in the text once, and the head those of decode
// steps and of a pass's rows.
func TestAlgorithms(t *testing.T) {
	l := library(t)
	s := shapes[1] // no two of its products are alike
	s.Type, s.Context, s.Eps, s.RopeBase = native.BF16, 64, 1e-6, 1e4
	m, err := l.NewModel(s)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	text, err := m.Algorithms(64, 256, 1024, 64)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int{64, 256, 1024} {
		for _, product := range []string{
			fmt.Sprintf("; %dx%dx%d: ", rows, (s.Heads+2*s.KVHeads)*s.HeadDim, s.Hidden),
			fmt.Sprintf("; %dx%dx%df: ", rows, s.Hidden, s.Heads*s.HeadDim),
			fmt.Sprintf("; %dx%dx%d: ", rows, 2*s.FFN, s.Hidden),
		} {
			if strings.Count(text, product) != 1 {
				t.Errorf("not one %q in %s", product, text)
			}
		}
	}
	for _, product := range []string{fmt.Sprintf("; 64x%dx%df: ", s.Vocab, s.Hidden), fmt.Sprintf("; 32x%dx%df: ", s.Vocab, s.Hidden)} {
		if strings.Count(text, product) != 1 {
			t.Errorf("not one %q in %s", product, text)
		}
	}
	if n := strings.Count(text, ";"); n != 3*4+2 {
		t.Errorf("%d products in %s", n, text)
	}
	if _, err := m.Algorithms(64, 0); !errors.Is(err, native.ErrArgument) {
		t.Errorf("passes of no tokens: %v", err)
	}
}
