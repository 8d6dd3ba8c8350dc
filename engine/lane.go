package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	llama "personaprobe/cgo"
)

// lane is a context of its own with its scheduler. Lanes work side by side: on a
// CPU one thread each, which scales better than threads inside llama.cpp, whose
// spinning barriers collapse when anything else runs on the machine; beyond 256
// sequences because a context has no more.
type lane struct {
	scheduler *scheduler
	close     func() error
	hold      *hold // of merged weights; nil where lanes do not share them
}

func (e *Engine) newLane(rows int, end map[int32]bool) (*lane, error) {
	o := &e.opts
	if e.native != nil {
		return e.newNativeLane(rows, end)
	}
	capacity := Capacity{Slots: max(rows, 2), Rows: rows, Context: o.Context, Chunk: o.Chunk}
	cells := o.Context + 1 // one to spare for padding
	c, err := e.newContext(capacity.Slots, cells, max(o.Chunk, capacity.Slots)+1, false)
	if err != nil {
		return nil, err
	}
	h, err := e.newHead(c)
	if err != nil {
		_ = c.Close() // cannot fail
		return nil, err
	}
	l := &lane{close: func() error { return errors.Join(h.close(), c.Close()) }}
	use := func(adapter string) error { return e.applyAtRunTime(c, adapter) }
	if e.weights != nil {
		l.hold = &hold{w: e.weights}
		use = l.hold.use
	}
	stepper := newLlamaStepper(c, capacity, h, e.fixedRows(), use)
	stepper.counters = &e.counters
	l.scheduler = newScheduler(stepper, end, e.stopped, &e.counters)
	return l, nil
}

func (e *Engine) newHead(c *llama.Context) (head, error) {
	if e.kernels == nil {
		return newCPUHead(c, e.info.Vocab), nil
	}
	return newDeviceHead(c, e.kernels)
}

func (e *Engine) applyAtRunTime(c *llama.Context, adapter string) error {
	if adapter == "" {
		return c.SetAdapter(nil, 0)
	}
	a, ok := e.adapters[adapter]
	if !ok {
		return fmt.Errorf("%w: no adapter of that name was opened", ErrRequest)
	}
	return c.SetAdapter(a, 1)
}

// run serves jobs until there are no more, and lets go of the weights.
func (l *lane) run(ctx context.Context, next func() (*job, error), emit func(result) bool) error {
	if l.hold != nil {
		defer l.hold.release()
	}
	return l.scheduler.run(ctx, next, emit)
}

func (e *Engine) newNativeLane(rows int, end map[int32]bool) (*lane, error) {
	stepper, err := newNativeStepper(e.native, rows, e.opts.Context)
	if err != nil {
		return nil, err
	}
	return &lane{scheduler: newScheduler(stepper, end, e.stopped, &e.counters), close: stepper.close}, nil
}

func (e *Engine) closeLanes() {
	for _, l := range e.lanes {
		_ = l.close() // cannot fail
	}
	e.lanes = nil
}

// aheadPerLane is how many jobs may wait for a lane before the others pause:
// enough that they seldom do, few enough that memory stays bounded.
const aheadPerLane = 64

// dispatcher deals jobs to lanes in turn, so that what a lane computes is a
// function of the requests alone, however fast each lane is. Lanes that share weights
// take the next job when they want one instead: a lane that waits for another adapter
// must not keep the others from the jobs that they finish before they let go.
type dispatcher struct {
	mu      sync.Mutex
	changed sync.Cond // a queue was emptied, or the end was reached
	pull    func() (*job, error)
	onWant  bool // no turns
	queues  [][]*job
	turn    int
	end     bool
	err     error
}

func newDispatcher(lanes int, pull func() (*job, error)) *dispatcher {
	d := &dispatcher{pull: pull, queues: make([][]*job, lanes)}
	d.changed.L = &d.mu
	return d
}

// next returns the next job of a lane, nil at the end.
func (d *dispatcher) next(lane int) (*job, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		if q := d.queues[lane]; len(q) > 0 {
			d.queues[lane] = q[1:]
			d.changed.Broadcast()
			return q[0], nil
		}
		if d.end {
			return nil, d.err
		}
		if d.onWant {
			d.turn = lane
		}
		if len(d.queues[d.turn]) >= aheadPerLane {
			d.changed.Wait()
			continue
		}
		j, err := d.pull()
		if j == nil || err != nil {
			d.end, d.err = true, err
			d.changed.Broadcast()
			continue
		}
		d.queues[d.turn] = append(d.queues[d.turn], j)
		d.turn = (d.turn + 1) % len(d.queues)
	}
}

// stop makes waiting lanes return.
func (d *dispatcher) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end = true
	d.queues = make([][]*job, len(d.queues))
	d.changed.Broadcast()
}

// runLanes runs all lanes until the jobs are done, and calls emit from this
// goroutine. The first error ends them all.
func runLanes(ctx context.Context, lanes []*lane, d *dispatcher, emit func(result) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows := 0
	for _, l := range lanes {
		rows += l.scheduler.capacity.Rows
	}
	// Completions of one length end together, those of every row: as many may wait for
	// their consumer before the lanes do. A slower consumer slows the lanes.
	results := make(chan result, rows)
	errs := make(chan error, len(lanes))
	var wg sync.WaitGroup
	for i, l := range lanes {
		wg.Add(1)
		go func() {
			defer wg.Done()
			err := l.run(ctx, func() (*job, error) { return d.next(i) }, func(r result) bool {
				select {
				case results <- r:
					return true
				case <-ctx.Done():
					return false
				}
			})
			if err != nil {
				errs <- err
				d.stop()
				cancel()
			}
		}()
	}
	go func() {
		wg.Wait()
		close(results)
	}()
	going := true
	for r := range results {
		if going && !emit(r) {
			going = false
			d.stop()
			cancel()
		}
	}
	if !going {
		return nil
	}
	select {
	case err := <-errs:
		return err
	default:
		return ctx.Err()
	}
}
