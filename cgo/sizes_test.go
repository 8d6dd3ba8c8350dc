package llama_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	llama "personaprobe/cgo"
)

// llama.cpp counts a context's cells in 32 bits: 256 sequences of 16,777,216 would be none.
func TestContextsBeyondItsNumbers(t *testing.T) {
	m, _ := openModel(t)
	for _, o := range []llama.ContextOptions{
		{Sequences: 256, Cells: 1 << 24, Batch: 64},
		{Sequences: 2, Cells: 1 << 40, Batch: 64},
		{Sequences: 2, Cells: 256, Batch: math.MaxInt32 + 1},
	} {
		o.Threads = 1
		c, err := m.NewContext(o)
		if err == nil {
			t.Errorf("%+v: a context of %d cells a sequence", o, c.Cells())
			must(t, c.Close())
		} else if !errors.Is(err, llama.ErrBatch) || !strings.Contains(err.Error(), "2^31") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// A tap of a tensor that is not rows of hidden states is refused, and writes nothing.
func TestTapOfAnotherWidth(t *testing.T) {
	m, _ := openModel(t)
	c := newContext(t, m, llama.ContextOptions{Taps: true})
	var b llama.Batch
	feed(&b, 0, []int32{1, 2, 3})
	dst := make([]float32, 4096)
	err := c.Decode(&b, &llama.Tap{Names: []string{"ffn_up-3"}, Rows: []int32{0}, Stop: true, Dst: dst})
	if !errors.Is(err, llama.ErrBatch) || dst[0] != 0 {
		t.Errorf("%v, %v", err, dst[0])
	}
}
