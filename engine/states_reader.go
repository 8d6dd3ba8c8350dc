package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	llama "personaprobe/cgo"
)

// defaultStateBatch is about how many tokens one pass computes, stateSequences how
// many prompts at most.
const (
	defaultStateBatch = 1024
	stateSequences    = 64
	minStateBatch     = 3 // so that every longer prompt can be cut into parts of 2 to 3 tokens
)

// readStates shares the prompts out to as many contexts as generation would
// have, in batches of families with a prefix of the same length.
func (e *Engine) readStates(ctx context.Context, readings []Reading, opts *StateOptions, each func(int, [][]float32) error) error {
	if e.native != nil {
		return e.readStatesNative(ctx, readings, opts, each)
	}
	if opts.Batch == 0 {
		opts.Batch = defaultStateBatch
	}
	opts.Batch = max(opts.Batch, minStateBatch)
	batches := batchFamilies(readings, families(readings, !opts.NoSharing), opts.Batch)
	var mu sync.Mutex // one call of each at a time, and of next
	next := func() []family {
		mu.Lock()
		defer mu.Unlock()
		if len(batches) == 0 {
			return nil
		}
		b := batches[0]
		batches = batches[1:]
		return b
	}
	g, ctx := errgroup.WithContext(ctx)
	for range min(e.opts.Contexts, len(batches)) {
		g.Go(func() error {
			r, err := e.newStateReader(readings, opts, func(reading int, states [][]float32) error {
				mu.Lock()
				defer mu.Unlock()
				if err := ctx.Err(); err != nil { // another reader has failed
					return err
				}
				return each(reading, states)
			})
			if err != nil {
				return err
			}
			defer r.ctx.Close()
			for batch := next(); batch != nil; batch = next() {
				if err := r.together(ctx, batch); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// stateReader reads states with a context of its own.
type stateReader struct {
	ctx      *llama.Context
	readings []Reading
	each     func(reading int, states [][]float32) error
	tap      llama.Tap
	last     bool // the last layer is wanted, which has output rows only
	batch    llama.Batch
	scratch  []stateRows
	stateJoin
}

func (e *Engine) newStateReader(readings []Reading, opts *StateOptions, each func(int, [][]float32) error) (*stateReader, error) {
	longest := 0
	for _, r := range readings {
		longest = max(longest, len(r.Tokens))
	}
	sequences := min(stateSequences, max(len(readings), 2))
	c, err := e.newContext(sequences, longest+1, opts.Batch, true)
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
		ctx:      c,
		readings: readings,
		each:     each,
		tap:      llama.Tap{Stop: true},
		last:     slices.Contains(opts.Layers, e.info.Layers-1),
		scratch:  make([]stateRows, sequences),

		stateJoin: newStateJoin(len(opts.Layers), e.info.Hidden),
	}
	for i := range r.scratch {
		r.scratch[i] = make(stateRows, len(opts.Layers))
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
	shared := make([]piece, len(fams))
	for seq, f := range fams {
		lo := f.prefix
		for _, i := range f.prompts {
			lo = min(lo, r.readings[i].From)
		}
		shared[seq] = piece{seq: seq, reading: f.prompts[0], to: f.prefix, lo: lo, rows: make(stateRows, len(r.out))}
	}
	if fams[0].prefix > 0 {
		if err := r.compute(ctx, shared); err != nil {
			return err
		}
	}
	for _, sel := range r.passes(fams) {
		if err := r.suffixes(ctx, sel, shared); err != nil {
			return err
		}
	}
	for seq := range fams {
		if err := r.ctx.Remove(seq, 0); err != nil {
			return err
		}
	}
	return nil
}

// passes cuts the families' suffixes into pieces of work: suffixes of one length in
// neighbouring sequences, as many as fit a batch. llama.cpp computes such tokens as
// one; others it would split, and leave single rows.
func (r *stateReader) passes(fams []family) [][]piece {
	pending := map[int][][]piece{} // by length: by sequence
	var lengths []int
	for seq, f := range fams {
		for _, i := range f.prompts {
			p := piece{seq: seq, reading: i, from: f.prefix, to: len(r.readings[i].Tokens), lo: r.readings[i].From}
			n := p.to - p.from
			if pending[n] == nil {
				pending[n] = make([][]piece, len(fams))
				lengths = append(lengths, n)
			}
			pending[n][seq] = append(pending[n][seq], p)
		}
	}
	slices.Sort(lengths)
	var out [][]piece
	for _, n := range lengths {
		for sel := nextOfEach(pending[n]); len(sel) > 0; sel = nextOfEach(pending[n]) {
			for len(sel) > 0 {
				k := runLength(sel, max(1, r.ctx.Options().Batch/n))
				out = append(out, sel[:k])
				sel = sel[k:]
			}
		}
	}
	return out
}

// nextOfEach takes one piece of every sequence that has any left.
func nextOfEach(bySeq [][]piece) []piece {
	var out []piece
	for seq, left := range bySeq {
		if len(left) > 0 {
			out = append(out, left[0])
			bySeq[seq] = left[1:]
		}
	}
	return out
}

// runLength is how many of the first have neighbouring sequences, at most limit.
func runLength(sel []piece, limit int) int {
	n := 1
	for n < len(sel) && n < limit && sel[n].seq == sel[n-1].seq+1 {
		n++
	}
	return n
}

// suffixes computes what follows the prefixes, hands the states over, and takes the
// suffixes out of the cache.
func (r *stateReader) suffixes(ctx context.Context, sel, shared []piece) error {
	for i := range sel {
		sel[i].rows = r.scratch[i]
	}
	if err := r.compute(ctx, sel); err != nil {
		return err
	}
	for i := range sel {
		p := &sel[i]
		r.join(&r.readings[p.reading], &shared[p.seq], p)
		if err := r.each(p.reading, r.out); err != nil {
			return err
		}
		if err := r.ctx.Remove(p.seq, p.from); err != nil {
			return err
		}
	}
	return nil
}

// compute computes pieces of one length. A single one that is longer than the batch
// is computed in parts, none of a single token.
func (r *stateReader) compute(ctx context.Context, pieces []piece) error {
	for i := range pieces {
		for k := range pieces[i].rows {
			pieces[i].rows[k] = pieces[i].rows[k][:0]
		}
	}
	from, n, limit := pieces[0].from, pieces[0].to-pieces[0].from, r.ctx.Options().Batch
	parts := (n*len(pieces) + limit - 1) / limit
	cut := slices.Clone(pieces)
	for part := range parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range cut {
			cut[i].from, cut[i].to = from+part*n/parts, from+(part+1)*n/parts
		}
		if err := r.decode(cut); err != nil {
			return err
		}
		r.take(cut)
	}
	return nil
}

// decode computes the pieces as they are.
func (r *stateReader) decode(pieces []piece) error {
	r.batch.Reset()
	rows := r.tap.Rows[:0]
	for i := range pieces {
		p := &pieces[i]
		lo, hi := outputs(p)
		for pos := p.from; pos < p.to; pos++ {
			if pos >= p.lo {
				rows = append(rows, int32(r.batch.Len()))
			}
			r.batch.Add(r.readings[p.reading].Tokens[pos], int32(pos), int32(p.seq), r.last && pos >= lo && pos < hi)
		}
	}
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

// outputs are the positions lo <= pos < hi that need an output row for the last
// layer: llama.cpp computes no others there. A single one would take another kernel
// and so gets a neighbour.
func outputs(p *piece) (lo, hi int) {
	n := p.wanted()
	if n == 1 {
		n = min(2, p.to-p.from)
	}
	return p.to - n, p.to
}

// take moves the rows that the tap has read to their pieces.
func (r *stateReader) take(pieces []piece) {
	total, at := len(r.tap.Rows), 0
	for i := range pieces {
		p := &pieces[i]
		n := p.wanted()
		for k := range p.rows {
			p.rows[k] = append(p.rows[k], r.tap.Dst[(k*total+at)*r.hidden:][:n*r.hidden]...)
		}
		at += n
	}
}

// single computes a prompt of one token beside a row of padding in a
// neighbouring, empty sequence, so that it takes the kernels of all others.
func (r *stateReader) single() error {
	token, seq := r.batch.Tokens[0], r.batch.Seq[0]
	lo := min(seq, int32(r.ctx.Options().Sequences-2))
	r.batch.Reset()
	for s := lo; s < lo+2; s++ {
		r.batch.Add(token, 0, s, r.last)
	}
	for i := range r.tap.Rows { // one, or none of a token that is not wanted
		r.tap.Rows[i] = seq - lo
	}
	if err := r.ctx.Decode(&r.batch, &r.tap); err != nil {
		return err
	}
	return r.ctx.Remove(int(2*lo+1-seq), 0)
}
