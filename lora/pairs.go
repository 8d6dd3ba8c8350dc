package lora

import (
	"errors"
	"fmt"
	"strings"

	"personaprobe/models/gguf"
)

// Pair is an adapter's change to one weight of [Rows x Cols]: B [Rows x Rank] times
// A [Rank x Cols], row by row, is added to it. The adapter's scale is within B.
type Pair struct {
	Weight           string // GGUF name, such as blk.0.ffn_up.weight
	Rows, Cols, Rank int
	A, B             []float32
}

// Weights names the weights that a GGUF adapter changes. It reads the file's header
// alone; Pairs checks the rest.
func Weights(path string) (names []string, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, t := range f.Tensors {
		if base, ok := strings.CutSuffix(t.Name, suffixB); ok {
			names = append(names, base)
		}
	}
	return names, nil
}

// Pairs reads a GGUF adapter and calls each for every weight it changes. An
// adapter's errors are those of Merge.
func Pairs(path string, each func(Pair) error) (err error) {
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
		p, err := newProduct(x.own())
		if err != nil {
			return fmt.Errorf("tensor %s: %w", x.base, err)
		}
		rank := int(p.rank)
		if err := each(Pair{Weight: x.base, Rows: len(p.left) / rank, Cols: len(p.right) / rank, Rank: rank, A: p.right, B: p.left}); err != nil {
			return err
		}
	}
	return nil
}
