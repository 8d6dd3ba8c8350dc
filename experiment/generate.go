package experiment

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"personaprobe/engine"
	"personaprobe/internal/atomicfile"
	"personaprobe/internal/pin"
)

// job is one persona asked one question: what a request is made of, and its
// completions until those of a seed are all there.
type job struct {
	persona, question int
	seeds             []uint64   // still to be sampled
	got               [][]sample // per seed; nil before its first completion and after its last
	missing           []int      // per seed
}

// generation samples one adapter.
type generation struct {
	*runner
	adapter  Adapter
	personas []Persona
	jobs     []*job
	outputs  map[uint64]*output // by seed
	began    time.Time
}

// output is a shard that is being written.
type output struct {
	shard      Shard
	checkpoint *checkpoint
	earlier    float64 // seconds spent by earlier attempts
}

// generate asks the model for what the open shards lack and keeps it in their
// checkpoints.
func (r *runner) generate(ctx context.Context, a Adapter, open []Shard) (err error) {
	g := &generation{
		runner: r, adapter: a, personas: r.study.Taxonomy.Personas(a.Source),
		outputs: make(map[uint64]*output), began: time.Now(),
	}
	defer func() {
		for _, shard := range open {
			out := g.outputs[shard.Seed]
			if out == nil {
				continue
			}
			if closing := out.checkpoint.close(); !errors.Is(err, pin.ErrChanged) { // else it says the same
				err = errors.Join(err, closing)
			}
		}
	}()
	for p := range g.personas {
		for q := range r.study.Questions {
			g.jobs = append(g.jobs, &job{persona: p, question: q})
		}
	}
	for _, shard := range open {
		if err := g.open(shard); err != nil {
			return err
		}
	}
	g.jobs = slices.DeleteFunc(g.jobs, func(j *job) bool { return len(j.seeds) == 0 })
	if len(g.jobs) == 0 {
		return nil
	}
	g.began = time.Now()
	if err := g.consume(ctx); err != nil {
		return err
	}
	return g.complete()
}

// open opens a shard's checkpoint and notes what it lacks.
func (g *generation) open(shard Shard) error {
	if err := atomicfile.MkdirAll(g.store.path(shard, "")); err != nil {
		return err
	}
	out := &output{shard: shard}
	have := make(map[[2]int]bool)
	path := g.store.path(shard, checkpointFile)
	var torn int64
	var err error
	out.checkpoint, torn, err = openCheckpoint(path, g.store.header(shard), g.opts.checkpointEvery, func(group group) error {
		if err := g.store.checkGroup(group, len(g.personas)); err != nil {
			return err
		}
		have[[2]int{group.Persona, group.Question}] = true
		out.earlier = max(out.earlier, group.Elapsed)
		return nil
	})
	if err != nil {
		return err
	}
	out.checkpoint.sound = g.model.Unchanged
	g.outputs[shard.Seed] = out
	if torn > 0 {
		g.opts.Log.Warn("cut a torn tail off the completions; they are generated again", "file", path, "bytes", torn)
	}
	if len(have) > 0 {
		g.opts.Log.Info("resuming", "shard", shard.Name(), "completions", len(have)*g.study.Plan.NumCompletions)
	}
	for _, j := range g.jobs {
		if !have[[2]int{j.persona, j.question}] {
			j.seeds = append(j.seeds, shard.Seed)
			j.got = append(j.got, nil)
			j.missing = append(j.missing, g.study.Plan.NumCompletions)
		}
	}
	g.tracker.kept(shard, len(have)*g.study.Plan.NumCompletions)
	return nil
}

// requests yields the jobs' requests until a stop is asked for. The model may pull
// them on a goroutine of its own: of the jobs it reads only what does not change.
func (g *generation) requests(ctx context.Context) iter.Seq[engine.Request] {
	return func(yield func(engine.Request) bool) {
		for i, j := range g.jobs {
			if g.draining() || ctx.Err() != nil {
				return
			}
			if !yield(g.study.request(strconv.Itoa(i), g.adapter, g.personas[j.persona], j.question, j.seeds)) {
				return
			}
		}
	}
}

// consume keeps what the model yields.
func (g *generation) consume(ctx context.Context) error {
	for c, err := range g.model.Generate(ctx, g.requests(ctx)) {
		switch {
		case ctx.Err() != nil:
			return g.interrupted(ctx.Err())
		case err != nil:
			return g.failed(c, err)
		}
		if err := g.accept(c); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return g.interrupted(ctx.Err())
	}
	return nil
}

// failed names the prompt that an error is about, where the model says which.
func (g *generation) failed(c engine.Completion, err error) error {
	if j, jobErr := g.job(c.ID); jobErr == nil {
		return fmt.Errorf("persona %s, question %q: %w", g.personas[j.persona].ID, g.study.Questions[j.question], err)
	}
	return fmt.Errorf("generate: %w", err)
}

func (g *generation) job(id string) (*job, error) {
	i, err := strconv.Atoi(id)
	if err != nil || i < 0 || i >= len(g.jobs) {
		return nil, fmt.Errorf("the model returned a completion of the unknown request %q", id)
	}
	return g.jobs[i], nil
}

// accept takes one completion, and writes its group if it was the last one.
func (g *generation) accept(c engine.Completion) error {
	j, err := g.job(c.ID)
	if err != nil {
		return err
	}
	k := slices.Index(j.seeds, c.Seed)
	if k < 0 || c.Index < 0 || c.Index >= g.study.Plan.NumCompletions {
		return fmt.Errorf("the model returned completion %d of seed %d, which request %s does not ask for", c.Index, c.Seed, c.ID)
	}
	if j.got[k] == nil && j.missing[k] > 0 {
		j.got[k] = make([]sample, g.study.Plan.NumCompletions)
	}
	if j.missing[k] == 0 || j.got[k][c.Index].Finish != "" {
		return fmt.Errorf("the model returned completion %d of seed %d of request %s twice", c.Index, c.Seed, c.ID)
	}
	// Text may end within a character where max_tokens cut it off; JSON cannot hold that.
	text := strings.ToValidUTF8(c.Text, "\uFFFD")
	finish := string(c.Finish)
	if finish == "" {
		return fmt.Errorf("the model returned completion %d of seed %d of request %s without a finish reason", c.Index, c.Seed, c.ID)
	}
	j.got[k][c.Index] = sample{Text: text, Tokens: len(c.Tokens), Finish: finish}
	j.missing[k]--
	out := g.outputs[c.Seed]
	if j.missing[k] == 0 {
		done := group{Persona: j.persona, Question: j.question, Completions: j.got[k], Elapsed: g.elapsed(out)}
		j.got[k] = nil
		if err := out.checkpoint.add(done); err != nil {
			return err
		}
		g.tracker.group(out.shard, len(done.Completions))
	}
	return g.tracker.completion(len(c.Tokens))
}

// elapsed is the time spent on a shard: that of earlier attempts, and its share of
// this one, in which the adapter's open shards run together.
func (g *generation) elapsed(out *output) float64 {
	return out.earlier + time.Since(g.began).Seconds()/float64(len(g.outputs))
}

// complete checks that nothing is missing once the model has ended.
func (g *generation) complete() error {
	missing := 0
	for _, j := range g.jobs {
		for _, n := range j.missing {
			missing += n
		}
	}
	switch {
	case missing == 0:
		return nil
	case g.draining():
		return g.interrupted(nil)
	default:
		return fmt.Errorf("the model ended with %d completions missing; run again to ask for them", missing)
	}
}
