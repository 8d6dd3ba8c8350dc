package experiment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrInterrupted marks a run that was stopped on request. Nothing complete is lost.
var ErrInterrupted = errors.New("run interrupted")

// InterruptedError says how far a run came; it matches ErrInterrupted, and the
// context's error if that stopped it.
type InterruptedError struct {
	Dir         string
	Done, Total int   // completions of the whole run
	Cause       error // the context's error; nil after Options.Drain
}

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("stopped with %d of %d completions kept in %s; run the same command again, or run --resume, to go on from there",
		e.Done, e.Total, e.Dir)
}

// Is makes every InterruptedError match ErrInterrupted.
func (e *InterruptedError) Is(target error) bool { return target == ErrInterrupted }

// Unwrap gives the context's error.
func (e *InterruptedError) Unwrap() error { return e.Cause }

// Options are the choices of a run that do not bear on its bytes. The zero value is
// good.
type Options struct {
	// Drain, when closed, stops the run softly: no new requests are made, those in
	// flight are finished and kept. To stop at once, end the context; nil: never.
	Drain <-chan struct{}

	// Progress hears how the run goes on; nil: nobody does.
	Progress Progress

	// AllowInertAdapter begins a run although an adapter has no effect; see
	// [AdapterEffect]. It is no part of the plan: it is a decision about one run, which
	// a copy of the plan must not take along.
	AllowInertAdapter bool

	// Log gets what a user may want to know, such as a torn tail that was cut off and
	// is generated again; nil: nothing is logged.
	Log *slog.Logger

	checkpointEvery time.Duration // 0: checkpointEvery
}

// Run does the study in dir, or what is left of it, and returns its summary. Every
// artefact has the same bytes however often the run was interrupted, apart from
// wall_minutes and timestamps.
//
// The error matches [ErrInterrupted] if the run was stopped, [ErrLocked] if another
// process works in dir, [ErrManifest] if dir was begun with other inputs, [ErrInput]
// if plan and model do not fit together. After any error a later Run on the same
// directory goes on from the last block of completions that reached the disk.
func Run(ctx context.Context, dir string, model Model, in Inputs, opts Options) (summary *Summary, err error) {
	if err := in.Validate(); err != nil {
		return nil, err
	}
	if in.Study, err = in.Study.of(model.Layers()); err != nil {
		return nil, err
	}
	if opts.checkpointEvery == 0 {
		opts.checkpointEvery = checkpointEvery
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if in.effects, err = begin(ctx, dir, model, in.Study, opts); err != nil {
		return nil, err
	}
	s, err := openStore(dir, in, time.Now())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	t, err := newTracker(s, model, opts.Progress)
	if err != nil {
		return nil, err
	}
	r := &runner{store: s, study: in.Study, model: model, opts: opts, tracker: t}
	if summary, err = r.run(ctx); err != nil {
		t.stopped(err)
	}
	return summary, err
}

// runner is one call of Run.
type runner struct {
	store   *store
	study   *Study
	model   Model
	opts    Options
	tracker *tracker
	lengths map[string]int // tokens of the persona prompts, by id
}

func (r *runner) run(ctx context.Context) (*Summary, error) {
	if len(r.study.Plan.Layers) > 0 {
		if err := r.centroids(ctx); err != nil {
			return nil, err
		}
	}
	if r.study.Plan.AdaptedCentroids {
		if err := r.adaptedCentroids(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.generateAll(ctx); err != nil {
		return nil, err
	}
	if err := r.tracker.phase(PhaseAnalyse, 0, 0); err != nil {
		return nil, err
	}
	summary, err := analyse(r.store.dir)
	if err != nil {
		return nil, err
	}
	return summary, r.tracker.phase(PhaseDone, r.study.Size(), r.study.Size())
}

func (r *runner) generateAll(ctx context.Context) error {
	done := 0
	for _, s := range r.tracker.status.Shards {
		done += s.Done
	}
	if err := r.tracker.phase(PhaseGenerate, done, r.study.Size()); err != nil {
		return err
	}
	for _, a := range r.study.Adapters() {
		if err := r.adapter(ctx, a); errors.Is(err, ErrInterrupted) {
			return err
		} else if err != nil {
			return fmt.Errorf("adapter %s: %w", a.Name(), err)
		}
	}
	return nil
}

// adapter completes an adapter's shards.
func (r *runner) adapter(ctx context.Context, a Adapter) error {
	var open []Shard
	for _, shard := range r.study.ShardsOf(a) {
		finished, err := r.store.finished(shard)
		if err != nil {
			return err
		}
		if !finished {
			open = append(open, shard)
			continue
		}
		// A process killed between the last artefact and this leaves it behind.
		if err := remove(r.store.path(shard, checkpointFile)); err != nil {
			return err
		}
	}
	if len(open) == 0 {
		return nil
	}
	if err := r.tracker.adapter(a.Name()); err != nil {
		return err
	}
	if err := r.generate(ctx, a, open); err != nil {
		return err
	}
	lengths, err := r.tokenLengths()
	if err != nil {
		return err
	}
	for _, shard := range open {
		if err := r.store.finish(shard, lengths); err != nil {
			return err
		}
		if err := r.tracker.finished(shard); err != nil {
			return err
		}
	}
	return nil
}

// tokenLengths counts the tokens of every persona's prompt, once.
func (r *runner) tokenLengths() (map[string]int, error) {
	if r.lengths != nil {
		return r.lengths, nil
	}
	lengths := make(map[string]int)
	for _, p := range append(r.study.Taxonomy.Anchors(), r.study.Taxonomy.Bystanders...) {
		n, err := r.model.CountTokens(p.Prompt)
		if err != nil {
			return nil, fmt.Errorf("count the tokens of %s: %w", p.ID, err)
		}
		lengths[p.ID] = n
	}
	r.lengths = lengths
	return lengths, nil
}

// interrupted is the error of a run that was stopped.
func (r *runner) interrupted(cause error) error {
	e := &InterruptedError{Dir: r.store.dir, Total: r.study.Size(), Cause: cause}
	for _, s := range r.tracker.status.Shards {
		e.Done += s.Done
	}
	return e
}

func (r *runner) draining() bool { return r.opts.draining() }

// draining reports whether a soft stop was asked for.
func (o *Options) draining() bool {
	select {
	case <-o.Drain:
		return true
	default:
		return false
	}
}
