package engine

import (
	"sync"

	"personaprobe/sampler"
)

// choosers sample tokens from rows of logits on several goroutines.
type choosers struct {
	samplers []sampler.Sampler // one per goroutine
	pending  []pendingDraw
}

type pendingDraw struct {
	draw *Draw
	row  int // of the logits
}

func newChoosers(n int) *choosers {
	return &choosers{samplers: make([]sampler.Sampler, max(n, 1))}
}

// prompt makes all draws from one row of logits and appends the choices.
func (c *choosers) prompt(dst []sampler.Choice, draws []Draw, logits []float32) ([]sampler.Choice, error) {
	c.begin()
	for i := range draws {
		c.add(&draws[i], 0)
	}
	return c.rows(dst, logits, len(logits))
}

// begin forgets the pending draws; add appends one from a row of logits.
func (c *choosers) begin()                  { c.pending = c.pending[:0] }
func (c *choosers) add(draw *Draw, row int) { c.pending = append(c.pending, pendingDraw{draw, row}) }

// rows makes the pending draws from logits (rows, vocab) and appends the choices
// in their order.
func (c *choosers) rows(dst []sampler.Choice, logits []float32, vocab int) ([]sampler.Choice, error) {
	n := len(c.pending)
	base := len(dst)
	dst = append(dst, make([]sampler.Choice, n)...)
	workers := min(len(c.samplers), n)
	errs := make([]error, workers)
	part := func(w int) {
		for i := w * n / workers; i < (w+1)*n/workers; i++ {
			p := c.pending[i]
			dst[base+i], errs[w] = p.draw.choose(&c.samplers[w], logits[p.row*vocab:(p.row+1)*vocab])
			if errs[w] != nil {
				return
			}
		}
	}
	var wg sync.WaitGroup
	for w := 1; w < workers; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			part(w)
		}()
	}
	part(0)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}
