package lora

import (
	"errors"
	"fmt"

	"personaprobe/models/gguf"
)

// Pair is an adapter's change to one weight of [Rows x Cols]: B [Rows x Rank] times
// A [Rank x Cols], row by row, is added to it. The adapter's scale is within B.
type Pair struct {
	Weight           string // GGUF name, such as blk.0.ffn_up.weight
	Rows, Cols, Rank int
	A, B             []float32
}

// Weights names the weights that a GGUF adapter changes.
func Weights(path string) ([]string, error) {
	var names []string
	err := eachPair(path, func(x *pair) error {
		names = append(names, x.base)
		return nil
	})
	return names, err
}

// Pairs reads a GGUF adapter and calls each for every weight it changes. An
// adapter's errors are those of Merge.
func Pairs(path string, each func(Pair) error) error {
	return eachPair(path, func(x *pair) error {
		p, err := newProduct(change{x, x.alpha / float64(x.rank)})
		if err != nil {
			return fmt.Errorf("tensor %s: %w", x.base, err)
		}
		rank := int(p.rank)
		return each(Pair{Weight: x.base, Rows: len(p.left) / rank, Cols: len(p.right) / rank, Rank: rank, A: p.right, B: p.left})
	})
}

func eachPair(path string, each func(*pair) error) (err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	pairs, err := readGGUF(f)
	if err != nil {
		return fmt.Errorf("adapter %s: %w", path, err)
	}
	for _, x := range pairs {
		if err := each(x); err != nil {
			return err
		}
	}
	return nil
}
