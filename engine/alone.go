package engine

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// DecodeAlone measures what llama.cpp's contexts decode without an engine around them:
// no scheduling, no sampling, logits left where they are. All slots hold the same prompt,
// of so many arbitrary tokens, and go length steps in lock step, all contexts side by
// side. It returns tokens per second. The native path has [Engine.ProfileStep] instead;
// there it is ErrOptions.
func (e *Engine) DecodeAlone(ctx context.Context, adapter string, prompt, length int) (rate float64, err error) {
	if adapter != "" && !e.has(adapter) {
		return 0, fmt.Errorf("%w: unknown adapter %q", ErrRequest, adapter)
	}
	if err := e.acquire(); err != nil {
		return 0, err
	}
	defer e.release()
	if len(e.lanes) == 0 {
		if err := e.reserve(0, 0); err != nil {
			return 0, err
		}
	}
	if prompt < 2 || prompt+length > e.opts.Context || prompt > e.opts.Chunk {
		return 0, fmt.Errorf("%w: a prompt of %d tokens and %d steps in a context of %d", ErrOptions, prompt, length, e.opts.Context)
	}
	steppers := make([]*llamaStepper, len(e.lanes))
	for i, l := range e.lanes {
		stepper, ok := l.scheduler.stepper.(*llamaStepper)
		if !ok {
			return 0, fmt.Errorf("%w: decoding alone is measured for llama.cpp", ErrOptions)
		}
		steppers[i] = stepper
		if l.hold != nil {
			defer l.hold.release()
		}
		if err := steppers[i].Use(adapter); err != nil {
			return 0, err
		}
		if err := steppers[i].fillAlone(prompt); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	var g errgroup.Group
	for _, l := range steppers {
		g.Go(func() error { return l.stepAlone(ctx, prompt, length) })
	}
	err = g.Wait()
	took := time.Since(start)
	for _, l := range steppers {
		for slot := range l.capacity.Slots {
			if e := l.Free(slot); err == nil {
				err = e
			}
		}
	}
	return float64(e.opts.Slots*length) / took.Seconds(), err
}

// fillAlone gives every slot the same prompt.
func (l *llamaStepper) fillAlone(prompt int) error {
	l.batch.Reset()
	for i := range int32(prompt) {
		l.batch.Add(100+i%1000, i, 0, i >= int32(prompt)-2)
	}
	if err := l.head.compute(&l.batch, false); err != nil {
		return err
	}
	for slot := 1; slot < l.capacity.Slots; slot++ {
		if err := l.Fork(slot, 0); err != nil {
			return err
		}
	}
	return nil
}

// stepAlone decodes steps of all slots behind their prompts.
func (l *llamaStepper) stepAlone(ctx context.Context, prompt, length int) error {
	for k := range length {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.batch.Reset()
		for slot := range l.capacity.Slots {
			l.batch.Add(int32(100+(slot*7+k)%1000), int32(prompt+k), int32(slot), true)
		}
		if err := l.head.compute(&l.batch, true); err != nil {
			return err
		}
	}
	return nil
}
