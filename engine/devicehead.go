package engine

import (
	"time"

	llama "personaprobe/cgo"
	"personaprobe/cgo/cudalib"
	"personaprobe/sampler"
)

// deviceHead samples with our kernel from the logits where llama.cpp computed them:
// the choices leave the device, 32 bytes each, instead of rows of logits.
type deviceHead struct {
	ctx     *llama.Context
	sampler *cudalib.Sampler
	logits  cudalib.Logits // of the last batch
	rows    []int32        // device row of each output of the last batch
	draws   []cudalib.Draw
	choices []cudalib.Choice

	launching, kernel time.Duration // of the last compute and choose
}

// maxDraws is how many draws a deviceHead makes in one launch; a prompt's first tokens
// may be more.
const maxDraws = 1024

func newDeviceHead(ctx *llama.Context, k *cudalib.Kernels) (*deviceHead, error) {
	s, err := k.NewSampler(maxDraws)
	if err != nil {
		return nil, err
	}
	return &deviceHead{ctx: ctx, sampler: s, rows: make([]int32, ctx.Options().Batch), choices: make([]cudalib.Choice, maxDraws)}, nil
}

func (d *deviceHead) compute(b *llama.Batch, stable bool) (err error) {
	d.logits, d.launching, err = d.ctx.DecodeOnDevice(b, stable, d.rows)
	return err
}

func (d *deviceHead) choose(dst []sampler.Choice, draws []pendingDraw) ([]sampler.Choice, error) {
	d.kernel = 0
	for len(draws) > 0 {
		n := min(len(draws), maxDraws)
		d.draws = d.draws[:0]
		for _, p := range draws[:n] {
			d.draws = append(d.draws, drawOf(p.draw, int(d.rows[p.row])))
		}
		if err := d.sampler.Sample(d.logits, d.draws, d.choices); err != nil {
			return dst, err
		}
		took, err := d.sampler.Took()
		if err != nil {
			return dst, err
		}
		d.kernel += took
		if dst, err = appendChoices(dst, d.choices[:n]); err != nil {
			return dst, err
		}
		draws = draws[n:]
	}
	return dst, nil
}

func (d *deviceHead) spent() (launching, kernel time.Duration) { return d.launching, d.kernel }

func (d *deviceHead) close() error { return d.sampler.Close() }
