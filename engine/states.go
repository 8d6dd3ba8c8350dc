package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	llama "personaprobe/cgo"
)

// StateOptions says which hidden states to read.
type StateOptions struct {
	// Adapter applies while reading; "" is the base model.
	Adapter string
	// Layers are 0-based decoder layers; layer L means the output of decoder
	// block L, transformers' hidden_states[L+1], llama.cpp's l_out-L.
	Layers []int
	// NoSharing computes every prompt from its first token. By default the
	// beginning that neighbouring prompts have in common is computed once.
	NoSharing bool
}

// LastStates reads the hidden states of the last token of each prompt at the
// given layers: states[k] is layer Layers[k], (hidden) float32. It calls each
// once per prompt, in an order of its own; states is valid during the call.
//
// Several layers cost one pass, and nothing after the deepest is computed.
// Results do not depend on the other prompts nor on their order.
func (e *Engine) LastStates(ctx context.Context, prompts [][]int32, opts StateOptions,
	each func(prompt int, states [][]float32) error) error {
	if err := e.checkStates(prompts, &opts); err != nil {
		return err
	}
	if len(prompts) == 0 || len(opts.Layers) == 0 {
		return nil
	}
	if err := e.acquire(); err != nil {
		return err
	}
	defer e.release()
	return e.readStates(ctx, prompts, &opts, each)
}

func (e *Engine) checkStates(prompts [][]int32, opts *StateOptions) error {
	for _, l := range opts.Layers {
		if l < 0 || l >= e.info.Layers {
			return fmt.Errorf("%w: layer %d: the model has decoder layers 0 to %d", ErrRequest, l, e.info.Layers-1)
		}
	}
	if opts.Adapter != "" && e.adapters[opts.Adapter] == nil {
		return fmt.Errorf("%w: unknown adapter %q", ErrRequest, opts.Adapter)
	}
	for i, p := range prompts {
		if len(p) == 0 {
			return fmt.Errorf("%w: prompt %d is empty", ErrRequest, i)
		}
		if len(p) > e.info.Context {
			return fmt.Errorf("%w: prompt %d has %d tokens, the model's context is %d", ErrRequest, i, len(p), e.info.Context)
		}
	}
	return nil
}

// stateBatch is about how many tokens one pass computes, stateSequences how many
// prompts at most.
const (
	stateBatch     = 1024
	stateSequences = 64
)

// readStates shares the prompts out to as many contexts as generation would
// have, in batches of families with a prefix of the same length.
func (e *Engine) readStates(ctx context.Context, prompts [][]int32, opts *StateOptions, each func(int, [][]float32) error) error {
	batches := batchFamilies(families(prompts, !opts.NoSharing))
	var mu sync.Mutex // one call of each at a time, and of next
	g, ctx := errgroup.WithContext(ctx)
	for range min(e.opts.Contexts, len(batches)) {
		g.Go(func() error {
			r, err := e.newStateReader(prompts, opts, func(prompt int, states [][]float32) error {
				mu.Lock()
				defer mu.Unlock()
				return each(prompt, states)
			})
			if err != nil {
				return err
			}
			defer r.ctx.Close()
			for {
				mu.Lock()
				if len(batches) == 0 {
					mu.Unlock()
					return nil
				}
				batch := batches[0]
				batches = batches[1:]
				mu.Unlock()
				if err := r.together(ctx, batch); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// batchFamilies groups families of one prefix length, as many as are computed
// together.
func batchFamilies(all []family) [][]family {
	slices.SortStableFunc(all, func(a, b family) int { return a.prefix - b.prefix })
	var out [][]family
	for len(all) > 0 {
		limit := stateSequences
		if p := all[0].prefix; p > 0 {
			limit = min(limit, max(1, stateBatch/p))
		}
		n := 1
		for n < len(all) && n < limit && all[n].prefix == all[0].prefix {
			n++
		}
		out = append(out, all[:n])
		all = all[n:]
	}
	return out
}

// stateReader reads states with a context of its own.
type stateReader struct {
	ctx     *llama.Context
	prompts [][]int32
	each    func(prompt int, states [][]float32) error
	tap     llama.Tap
	hidden  int
	last    bool // the last layer is wanted, which has output rows only
	batch   llama.Batch
	states  [][]float32
}

func (e *Engine) newStateReader(prompts [][]int32, opts *StateOptions, each func(int, [][]float32) error) (*stateReader, error) {
	longest := 0
	for _, p := range prompts {
		longest = max(longest, len(p))
	}
	c, err := e.newContext(min(stateSequences, max(len(prompts), 2)), longest+1, max(stateBatch, longest+1), true)
	if err != nil {
		return nil, err
	}
	if opts.Adapter != "" {
		if err := c.SetAdapter(e.adapters[opts.Adapter], 1); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	r := &stateReader{
		ctx:     c,
		prompts: prompts,
		each:    each,
		tap:     llama.Tap{Stop: true},
		hidden:  e.info.Hidden,
		last:    slices.Contains(opts.Layers, e.info.Layers-1),
		states:  make([][]float32, len(opts.Layers)),
	}
	for _, l := range opts.Layers {
		r.tap.Names = append(r.tap.Names, fmt.Sprintf("l_out-%d", l))
	}
	return r, nil
}

// together computes families of one prefix length, each in a sequence of its
// own: the prefixes once, then one suffix after the other behind them, taken back
// after it has been read.
func (r *stateReader) together(ctx context.Context, fams []family) error {
	prefix := fams[0].prefix
	if prefix > 0 {
		r.batch.Reset()
		for seq, f := range fams {
			r.add(seq, f.prompts[0], 0, prefix)
		}
		if err := r.decode(nil); err != nil {
			return err
		}
	}
	pending := map[int][][]int{} // by suffix length: by sequence: prompts
	var lengths []int
	for seq, f := range fams {
		for _, p := range f.prompts {
			n := len(r.prompts[p]) - prefix
			if pending[n] == nil {
				pending[n] = make([][]int, len(fams))
				lengths = append(lengths, n)
			}
			pending[n][seq] = append(pending[n][seq], p)
		}
	}
	slices.Sort(lengths)
	for _, n := range lengths {
		for sel := nextOfEach(pending[n]); len(sel) > 0; sel = nextOfEach(pending[n]) {
			for len(sel) > 0 {
				if err := ctx.Err(); err != nil {
					return err
				}
				k := runLength(sel, max(1, r.ctx.Options().Batch/n))
				if err := r.suffixes(sel[:k], prefix); err != nil {
					return err
				}
				sel = sel[k:]
			}
		}
	}
	for seq := range fams {
		if err := r.ctx.Remove(seq, 0); err != nil {
			return err
		}
	}
	return nil
}

// seqPrompt is a prompt whose suffix is computed in a sequence.
type seqPrompt struct{ seq, prompt int }

// nextOfEach takes one prompt of every sequence that has any left.
func nextOfEach(bySeq [][]int) []seqPrompt {
	var out []seqPrompt
	for seq, left := range bySeq {
		if len(left) > 0 {
			out = append(out, seqPrompt{seq, left[0]})
			bySeq[seq] = left[1:]
		}
	}
	return out
}

// runLength is how many of the first have neighbouring sequences, at most limit.
func runLength(sel []seqPrompt, limit int) int {
	n := 1
	for n < len(sel) && n < limit && sel[n].seq == sel[n-1].seq+1 {
		n++
	}
	return n
}

// suffixes computes what follows the prefix, hands the states of each prompt's
// last token over, and takes the suffixes out of the cache.
func (r *stateReader) suffixes(sel []seqPrompt, prefix int) error {
	r.batch.Reset()
	var rows []int32
	for _, s := range sel {
		r.add(s.seq, s.prompt, prefix, len(r.prompts[s.prompt]))
		rows = append(rows, int32(r.batch.Len()-1))
	}
	if err := r.decode(rows); err != nil {
		return err
	}
	for i, s := range sel {
		for k := range r.states {
			at := (k*len(sel) + i) * r.hidden
			r.states[k] = r.tap.Dst[at : at+r.hidden]
		}
		if err := r.each(s.prompt, r.states); err != nil {
			return err
		}
		if err := r.ctx.Remove(s.seq, prefix); err != nil {
			return err
		}
	}
	return nil
}

// add puts tokens from..to of a prompt into the batch. For the last layer the
// last two are outputs: llama.cpp computes no other rows there, and a single one
// with another kernel.
func (r *stateReader) add(seq, prompt, from, to int) {
	tokens := r.prompts[prompt]
	for i := from; i < to; i++ {
		r.batch.Add(tokens[i], int32(i), int32(seq), r.last && i >= len(tokens)-2)
	}
}

func (r *stateReader) decode(rows []int32) error {
	r.tap.Rows = rows
	if need := len(r.tap.Names) * len(rows) * r.hidden; cap(r.tap.Dst) < need {
		r.tap.Dst = make([]float32, need)
	} else {
		r.tap.Dst = r.tap.Dst[:need]
	}
	if r.batch.Len() == 1 {
		return r.single()
	}
	return r.ctx.Decode(&r.batch, &r.tap)
}

// single computes a prompt of one token beside a row of padding in a
// neighbouring, empty sequence, so that it takes the kernels of all others.
func (r *stateReader) single() error {
	token, seq := r.batch.Tokens[0], int(r.batch.Seq[0])
	r.batch.Reset()
	sp := spans([]int{seq}, r.ctx.Options().Sequences)[0]
	for s := sp.lo; s < sp.hi; s++ {
		r.batch.Add(token, 0, int32(s), r.last)
	}
	r.tap.Rows = []int32{int32(seq - sp.lo)}
	if err := r.ctx.Decode(&r.batch, &r.tap); err != nil {
		return err
	}
	for s := sp.lo; s < sp.hi; s++ {
		if s != seq {
			return r.ctx.Remove(s, 0)
		}
	}
	return nil
}
