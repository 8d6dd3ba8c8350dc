package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"personaprobe/sampler"
)

// Generate streams completions of the requests. It pulls a request when there
// is room for it and yields a completion when it is finished, so memory stays
// bounded however many there are, and a slow consumer slows the device down.
// Completions of different requests come interleaved.
//
// A request that cannot be served yields an error that wraps [ErrRequest] with a
// Completion that has its ID, and the rest goes on. Any other error ends the
// stream; completions yielded before it stand. One Generate runs at a time.
func (e *Engine) Generate(ctx context.Context, requests iter.Seq[Request]) iter.Seq2[Completion, error] {
	return func(yield func(Completion, error) bool) {
		if err := e.acquire(); err != nil {
			yield(Completion{}, err)
			return
		}
		defer e.release()
		if len(e.lanes) == 0 {
			if err := e.reserve(0, 0); err != nil {
				yield(Completion{}, err)
				return
			}
		}
		next, stop := iter.Pull(requests)
		defer stop()
		g := &generation{e: e, next: next}
		d := newDispatcher(len(e.lanes), g.pull)
		d.onWant = e.weights != nil
		going := true
		err := runLanes(ctx, e.lanes, d, func(r result) bool {
			going = yield(g.completion(r))
			return going
		})
		if err == nil && going {
			err = e.Unchanged()
		}
		if err != nil {
			yield(Completion{}, err)
		}
	}
}

// generation is one call of Generate.
type generation struct {
	e    *Engine
	next func() (Request, bool)
}

// pull returns the next request as a job, or nil. A request that cannot be served
// becomes a job that carries its error.
func (g *generation) pull() (*job, error) {
	r, ok := g.next()
	if !ok {
		return nil, nil //nolint:nilnil // nil is the end of the stream
	}
	j, err := g.e.prepare(&r)
	if errors.Is(err, ErrRequest) {
		return &job{req: &r, refused: err}, nil
	}
	return j, err
}

func (g *generation) completion(r result) (Completion, error) {
	if err := r.group.refused; err != nil {
		return Completion{ID: r.group.req.ID}, err
	}
	g.e.counters.completions.Add(1)
	return g.e.completion(r)
}

// prepare validates a request and turns its prompt into tokens.
func (e *Engine) prepare(r *Request) (*job, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if r.Adapter != "" && !e.has(r.Adapter) {
		return nil, fmt.Errorf("%w: unknown adapter %q", ErrRequest, r.Adapter)
	}
	if n := r.completions(); e.native != nil && n > nativeDraws {
		return nil, fmt.Errorf("%w: %d completions of one prompt, at most %d on this backend; split the request", ErrRequest, n, nativeDraws)
	}
	prompt, err := e.prompt(r)
	if err != nil {
		return nil, err
	}
	room := e.opts.Context - len(prompt)
	want := max(r.MaxTokens, 1)
	if room < want {
		return nil, fmt.Errorf("%w: prompt of %d tokens and %d new ones exceed the context of %d",
			ErrRequest, len(prompt), want, e.opts.Context)
	}
	if r.MaxTokens > 0 {
		room = r.MaxTokens
	}
	return &job{req: r, prompt: prompt, hash: sampler.PromptHash(prompt), maxTokens: room}, nil
}

// prompt returns the request's prompt as tokens.
func (e *Engine) prompt(r *Request) (ids []int32, err error) {
	switch {
	case len(r.Messages) > 0:
		ids, err = e.tokenizer.EncodeChat(r.Messages)
	case r.Text != "":
		ids, err = e.tokenizer.Encode(r.Text)
	default:
		ids = r.Tokens
		for i, t := range ids {
			if t < 0 || int(t) >= e.info.Vocab {
				return nil, fmt.Errorf("%w: tokens[%d] is %d, the vocabulary has %d", ErrRequest, i, t, e.info.Vocab)
			}
		}
	}
	if err == nil && len(ids) == 0 {
		err = fmt.Errorf("%w: empty prompt", ErrRequest)
	}
	return ids, err
}

// completion turns a finished sequence into what the caller gets.
func (e *Engine) completion(r result) (Completion, error) {
	seed, index := r.group.seed(r.number)
	c := Completion{
		ID:           r.group.req.ID,
		Seed:         seed,
		Index:        index,
		Tokens:       r.tokens,
		Finish:       r.finish,
		PromptTokens: len(r.group.prompt),
		LogProb:      r.logProb,
		LogProbs:     r.logProbs,
		Time:         time.Since(r.group.since),
	}
	text, err := e.tokenizer.Decode(r.tokens)
	if at := firstStop(text, r.group.req.Stop); at >= 0 {
		text = text[:at]
	}
	c.Text = text
	return c, err
}

// stopped reports whether the sequence's text has reached a stop string. It
// decodes only as many tokens as the longest stop string can touch.
func (e *Engine) stopped(seq *sequence) bool {
	longest := 0
	for _, s := range seq.group.req.Stop {
		longest = max(longest, len(s))
	}
	tail := seq.tokens[max(0, len(seq.tokens)-longest-1):]
	text, err := e.tokenizer.Decode(tail)
	return err == nil && firstStop(text, seq.group.req.Stop) >= 0
}

// firstStop is where the earliest stop string begins, or -1.
func firstStop(text string, stop []string) int {
	first := -1
	for _, s := range stop {
		if at := strings.Index(text, s); at >= 0 && (first < 0 || at < first) {
			first = at
		}
	}
	return first
}
