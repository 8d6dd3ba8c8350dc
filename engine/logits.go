package engine

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	llama "personaprobe/cgo"
)

// Forced is a prompt and a continuation that the model is made to follow.
type Forced struct {
	Prompt       []int32
	Continuation []int32
}

// LogitsTogether is how many items [Engine.Logits] computes in step.
const LogitsTogether = llama.MaxSequences

// Logits reads the model's predictions along given continuations (teacher forcing).
// For every token t of an item's Continuation it calls each with the logits,
// (vocabulary) float32, from which that token would be drawn: those after Prompt and
// Continuation[:t]. One call is made at a time; logits is valid during the call.
//
// Items go in step, in groups of [LogitsTogether] in the order given: within a group
// token t of all items comes before token t+1 of any, so that distributions can be
// compared and dropped as they come. Memory does not grow with the length of the
// continuations beyond their cache. Logits that are NaN or +Inf are ErrBroken. Results do not depend on the other items.
func (e *Engine) Logits(ctx context.Context, items []Forced, adapter string, each func(item, token int, logits []float32) error) error {
	if adapter != "" && !e.has(adapter) {
		return fmt.Errorf("%w: unknown adapter %q", ErrRequest, adapter)
	}
	for i, it := range items {
		if len(it.Prompt) == 0 || len(it.Continuation) == 0 {
			return fmt.Errorf("%w: item %d: prompt or continuation is empty", ErrRequest, i)
		}
		if err := e.checkTokens(slices.Concat(it.Prompt, it.Continuation)); err != nil {
			return fmt.Errorf("%w: item %d with its continuation %w", ErrRequest, i, err)
		}
	}
	if err := e.acquire(); err != nil {
		return err
	}
	defer e.release()
	if err := e.useBase(); err != nil {
		return err
	}
	for first := 0; first < len(items); first += LogitsTogether {
		group := items[first:min(first+LogitsTogether, len(items))]
		if err := e.logitsInStep(ctx, group, adapter, func(item, token int, logits []float32) error {
			for i, v := range logits {
				if !(v <= math.MaxFloat32) { // -Inf is a token that cannot be
					return fmt.Errorf("%w: item %d, token %d: logit %d is %v; try personaprobe model verify",
						ErrBroken, first+item, token, i, v)
				}
			}
			return each(first+item, token, logits)
		}); err != nil {
			return err
		}
	}
	return e.Unchanged()
}

// logitsPerContext is how many items are worth a context of their own.
const logitsPerContext = 8

// logitsInStep shares the items out to contexts that work side by side and wait for
// each other after every token.
func (e *Engine) logitsInStep(ctx context.Context, items []Forced, adapter string, each func(int, int, []float32) error) error {
	if e.native != nil {
		return e.logitsInStepNative(ctx, items, adapter, each)
	}
	n := min(e.opts.Contexts, (len(items)+logitsPerContext-1)/logitsPerContext)
	var mu sync.Mutex
	readers := make([]*logitsReader, n)
	steps := 0
	for i := range readers {
		r, err := e.newLogitsReader(items, i*len(items)/n, (i+1)*len(items)/n, adapter)
		if err != nil {
			return err
		}
		defer r.ctx.Close()
		r.each = func(item, token int, logits []float32) error {
			mu.Lock()
			defer mu.Unlock()
			return each(item, token, logits)
		}
		readers[i] = r
		steps = max(steps, len(items[r.order[0]].Continuation))
	}
	for t := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		var g errgroup.Group
		for _, r := range readers {
			g.Go(func() error {
				if t == 0 {
					return r.prompts()
				}
				return r.step(t)
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// logitsReader takes some of the items through a context of its own, each in a
// sequence of its own.
type logitsReader struct {
	ctx   *llama.Context
	items []Forced
	order []int // items by sequence, the longest continuations first
	vocab int
	each  func(item, token int, logits []float32) error
	batch llama.Batch
}

func (e *Engine) newLogitsReader(items []Forced, from, to int, adapter string) (*logitsReader, error) {
	r := &logitsReader{items: items, vocab: e.info.Vocab}
	longest := 0
	for i := from; i < to; i++ {
		r.order = append(r.order, i)
		longest = max(longest, len(items[i].Prompt)+len(items[i].Continuation))
	}
	// Those that are still going are then the first sequences, without a gap. Among
	// them prompts of one length are neighbours and so are computed together.
	slices.SortStableFunc(r.order, func(a, b int) int {
		return cmp.Or(len(items[b].Continuation)-len(items[a].Continuation), len(items[a].Prompt)-len(items[b].Prompt))
	})
	var err error
	batch := max(defaultStateBatch, longest, len(r.order))
	if r.ctx, err = e.newContext(max(len(r.order), 2), longest+1, batch, false); err != nil {
		return nil, err
	}
	if adapter != "" {
		if err := r.ctx.SetAdapter(e.adapters[adapter], 1); err != nil {
			_ = r.ctx.Close()
			return nil, err
		}
	}
	return r, nil
}

// prompts computes the prompts and hands over what follows them. The last two
// tokens of each are outputs: a single row would take another kernel on the CPU.
func (r *logitsReader) prompts() error {
	for seq := 0; seq < len(r.order); {
		n := len(r.items[r.order[seq]].Prompt)
		end := seq + 1
		for end < len(r.order) && len(r.items[r.order[end]].Prompt) == n && (end+1-seq)*n <= r.ctx.Options().Batch {
			end++
		}
		r.batch.Reset()
		for s := seq; s < end; s++ {
			for i, t := range r.items[r.order[s]].Prompt {
				r.batch.Add(t, int32(i), int32(s), i >= n-2)
			}
		}
		if r.batch.Len() == 1 {
			if err := r.singlePrompt(seq); err != nil {
				return err
			}
		} else if err := r.decode(seq, end, 0, min(n, 2)); err != nil {
			return err
		}
		seq = end
	}
	return nil
}

// singlePrompt computes a prompt of one token twice, the other in a sequence that is
// emptied again: the next one, which is computed later, or of the last sequence the
// one before it, behind its tokens.
func (r *logitsReader) singlePrompt(seq int) error {
	other, pos := seq+1, 0
	if other == r.ctx.Options().Sequences {
		other = seq - 1
		pos = len(r.items[r.order[other]].Prompt)
	}
	token := r.batch.Tokens[0]
	r.batch.Reset()
	r.batch.Add(token, 0, int32(seq), true)
	r.batch.Add(token, int32(pos), int32(other), true)
	if err := r.ctx.Decode(&r.batch, nil); err != nil {
		return err
	}
	logits, err := r.ctx.Logits()
	if err != nil {
		return err
	}
	if err := r.each(r.order[seq], 0, logits[:r.vocab]); err != nil {
		return err
	}
	return r.ctx.Remove(other, pos)
}

// step computes token t-1 of all continuations that have a token t.
func (r *logitsReader) step(t int) error {
	r.batch.Reset()
	active := 0
	for seq, item := range r.order {
		it := &r.items[item]
		if len(it.Continuation) <= t {
			break
		}
		r.batch.Add(it.Continuation[t-1], int32(len(it.Prompt)+t-1), int32(seq), true)
		active++
	}
	switch active {
	case 0:
		return nil
	case 1: // padded to two rows by the sequence beside it, which has ended or never began
		pos := 0
		if len(r.order) > 1 {
			other := &r.items[r.order[1]]
			pos = len(other.Prompt) + len(other.Continuation) - 1
		}
		r.batch.Add(r.batch.Tokens[0], int32(pos), 1, true)
		if err := r.decode(0, 1, t, 1); err != nil {
			return err
		}
		return r.ctx.Remove(1, pos)
	}
	return r.decode(0, active, t, 1)
}

// decode computes the batch, which has perSeq output rows of each sequence, and hands
// over the last of them.
func (r *logitsReader) decode(from, to, token, perSeq int) error {
	if err := r.ctx.Decode(&r.batch, nil); err != nil {
		return err
	}
	logits, err := r.ctx.Logits()
	if err != nil {
		return err
	}
	for s := from; s < to; s++ {
		row := (s-from+1)*perSeq - 1
		if err := r.each(r.order[s], token, logits[row*r.vocab:(row+1)*r.vocab]); err != nil {
			return err
		}
	}
	return nil
}
