package engine

import (
	"sync"
	"time"

	llama "personaprobe/cgo"
	"personaprobe/sampler"
)

// A head computes batches and samples from their logits: on the CPU, or where the
// logits are.
type head interface {
	// compute decodes a batch. stable says that its size is that of all decode steps.
	compute(b *llama.Batch, stable bool) error
	// choose makes the draws, each from a row of the last batch's logits, and appends
	// the choices in their order. Rows count the batch's outputs.
	choose(dst []sampler.Choice, draws []pendingDraw) ([]sampler.Choice, error)
	// spent is how long the last compute took to hand its work to a device, and how long
	// the last choose's kernel ran there.
	spent() (launching, kernel time.Duration)
	close() error
}

type pendingDraw struct {
	draw *Draw
	row  int // of the logits
}

// cpuHead samples from logits in the host's memory on several goroutines.
type cpuHead struct {
	ctx      *llama.Context
	vocab    int
	samplers []sampler.Sampler // one per goroutine
}

func newCPUHead(ctx *llama.Context, vocab int) *cpuHead {
	return &cpuHead{ctx: ctx, vocab: vocab, samplers: make([]sampler.Sampler, max(ctx.Options().Threads, 1))}
}

func (c *cpuHead) compute(b *llama.Batch, _ bool) error { return c.ctx.Decode(b, nil) }

func (c *cpuHead) spent() (launching, kernel time.Duration) { return 0, 0 }

func (c *cpuHead) close() error { return nil }

func (c *cpuHead) choose(dst []sampler.Choice, draws []pendingDraw) ([]sampler.Choice, error) {
	logits, err := c.ctx.Logits()
	if err != nil {
		return dst, err
	}
	n := len(draws)
	base := len(dst)
	dst = append(dst, make([]sampler.Choice, n)...)
	workers := min(len(c.samplers), n)
	errs := make([]error, workers)
	part := func(w int) {
		for i := w * n / workers; i < (w+1)*n/workers; i++ {
			p := draws[i]
			dst[base+i], errs[w] = p.draw.choose(&c.samplers[w], logits[p.row*c.vocab:(p.row+1)*c.vocab])
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
