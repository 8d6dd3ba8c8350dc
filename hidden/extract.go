package hidden

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"personaprobe/engine"
	"personaprobe/internal/atomicfile"
	"personaprobe/internal/dirlock"
	"personaprobe/internal/sums"
)

// ErrInterrupted marks a job that was stopped. Nothing complete is lost.
var ErrInterrupted = errors.New("extraction interrupted")

// InterruptedError says how far a job came; it matches ErrInterrupted and the
// context's error.
type InterruptedError struct {
	Dir         string
	Phase       Phase
	Done, Total int   // prompts of the phase
	Cause       error // the context's error
}

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("stopped while %s, with %d of %d prompts kept in %s; run the same command again to go on from there",
		e.Phase, e.Done, e.Total, e.Dir)
}

// Is makes every InterruptedError match ErrInterrupted.
func (e *InterruptedError) Is(target error) bool { return target == ErrInterrupted }

// Unwrap gives the context's error.
func (e *InterruptedError) Unwrap() error { return e.Cause }

// Extract reads the hidden states of prompts and writes them to the directory dir,
// which is made if need be:
//
//	layer_<L>.npy        (rows, hidden) F32 or F16, one file per layer
//	states.safetensors   the same arrays under the names layer_<L>, with the job as metadata
//	rows.jsonl           what each row is, a [Row] a line
//	rows.parquet         the same
//	responses.jsonl      a [ResponseLine] a line, for the positions of a response
//	job.json             everything that determines these bytes, a [Job]
//	SHA256SUMS           the hashes of all these, with which they are compared when they are read
//
// Rows are in the order of the prompts, then of seed and number of the response, then
// of the tokens. A response without a token gives no row.
//
// Nothing is computed before the whole job has been checked: errors wrap ErrInput for
// what cannot be read, ErrSpace for what would not fit the disk. Memory is bounded by
// a block of prompts, whatever the job's size. A job that was interrupted, killed
// included, goes on with the next call that asks for the same, and ends with the same
// bytes; another job's directory is refused with ErrChanged, one in use with
// dirlock.ErrLocked. The engine must not be in use.
func Extract(ctx context.Context, e *engine.Engine, prompts Prompts, dir string, opts ExtractOptions) (_ *States, err error) {
	x, err := newExtraction(ctx, e, prompts, dir, opts)
	if err != nil {
		return nil, err
	}
	// First, so that nothing is left in a foreign folder, not even a lock.
	if err := x.job.check(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := atomicfile.MkdirAll(dir); err != nil {
		return nil, err
	}
	l, err := dirlock.Acquire(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Release()) }()
	if err := x.job.claim(dir); err != nil {
		return nil, err
	}
	if err := x.run(ctx); err != nil {
		return nil, err
	}
	return openStates(dir, func(string, ...string) error { return nil })
}

// extraction is one call of Extract.
type extraction struct {
	e        *engine.Engine
	prompts  Prompts
	dir      string
	partial  string // folder of the growing files
	opts     ExtractOptions
	survey   *survey
	job      *Job
	progress progress
	sums     sums.List // of the finished files
}

// newExtraction checks the job without changing anything.
func newExtraction(ctx context.Context, e *engine.Engine, prompts Prompts, dir string, opts ExtractOptions) (*extraction, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	x := &extraction{e: e, prompts: prompts, dir: dir, partial: filepath.Join(dir, partialName), opts: opts.withDefaults()}
	for _, l := range opts.Layers {
		if err := checkLayer(l, e.Info().Layers); err != nil {
			return nil, err
		}
	}
	if a := opts.Adapter; a != "" && e.Files().Adapters[a] == "" {
		return nil, fmt.Errorf("%w: no adapter is called %q", ErrInput, a)
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%w: %s is not a directory", ErrDir, dir)
	}
	var err error
	if x.survey, err = look(ctx, e, prompts, &x.opts); err != nil {
		return nil, err
	}
	if x.opts.Position.ofResponse() {
		// Before the job names its settings: what fits may be fewer rows than the default.
		if err = e.Reserve(0, x.survey.longest+x.opts.Response.MaxTokens); err != nil {
			return nil, err
		}
	}
	if x.job, err = newJob(ctx, e, &x.opts, x.survey); err != nil {
		return nil, err
	}
	return x, x.checkRoom()
}

// run does the phases that are left.
func (x *extraction) run(ctx context.Context) error {
	if x.finished() {
		if err := x.verify(); err != nil {
			return err
		}
		return x.sweep() // for what a process killed at the very end leaves
	}
	if err := atomicfile.MkdirAll(x.partial); err != nil {
		return err
	}
	var err error
	if x.progress, err = loadProgress(x.partial); err != nil {
		return err
	}
	if x.progress.Phase == "" {
		first := PhaseRead
		if x.job.Response != nil {
			first = PhaseRespond
		}
		if err := x.enter(first); err != nil {
			return err
		}
	}
	if x.progress.Phase == PhaseRespond {
		if err := x.respond(ctx); err != nil {
			return x.stopped(ctx, err)
		}
		if err := x.enter(PhaseRead); err != nil {
			return err
		}
	}
	if x.progress.Phase == PhaseRead {
		if err := x.read(ctx); err != nil {
			return x.stopped(ctx, err)
		}
		if err := x.enter(PhaseWrite); err != nil {
			return err
		}
	}
	return x.finish()
}

// enter begins a phase, durably.
func (x *extraction) enter(p Phase) error {
	x.progress.Phase, x.progress.Prompts = p, 0
	return x.progress.save(x.partial)
}

// stopped turns the end of the context into what a caller wants to know.
func (x *extraction) stopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return &InterruptedError{x.dir, x.progress.Phase, x.progress.Prompts, x.survey.prompts, ctx.Err()}
}

// report tells how far the phase has come, with done more prompts than are durable.
func (x *extraction) report(done int) {
	x.opts.Progress(Progress{Phase: x.progress.Phase, Done: x.progress.Prompts + done, Total: x.survey.prompts})
}

var errPromptsChanged = fmt.Errorf("%w: the prompts changed while they were read; run again when nothing writes to them", ErrInput)

// blocks goes through the prompts that are left of the phase and does them in blocks
// of at most limit prompts and about as many bytes as the options say. prepare makes
// of a prompt what do takes, and says how many bytes it will need. A prompt that is not
// the survey's ends it before anything of it is kept.
func blocks[T any](ctx context.Context, x *extraction, limit int, prepare func(*Prompt) (T, int64, error), do func([]T) error) error {
	sum := newPromptHash()
	var pending []T
	bytes := int64(0)
	flush := func() error {
		if err := do(pending); err != nil {
			return err
		}
		pending, bytes = pending[:0], 0
		x.opts.afterBlock()
		return ctx.Err()
	}
	n, first := 0, x.progress.Prompts
	for p, err := range x.prompts {
		if err == nil {
			err = sum.add(&p)
		}
		if err != nil {
			return err
		}
		if n == x.survey.prompts || sum.mark() != x.survey.marks[n] {
			return errPromptsChanged
		}
		if n++; n <= first {
			continue
		}
		item, more, err := prepare(&p)
		if err != nil {
			return err
		}
		if len(pending) == limit || len(pending) > 0 && bytes+more > x.opts.block.bytes {
			if err := flush(); err != nil {
				return err
			}
		}
		pending = append(pending, item)
		bytes += more
	}
	if n != x.survey.prompts {
		return errPromptsChanged
	}
	if len(pending) == 0 {
		return nil
	}
	return flush()
}
