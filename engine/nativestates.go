package engine

import (
	"context"
	"slices"

	"personaprobe/cgo/native"
)

// nativeStates reads hidden states on the native path. Tokens of many prompts share a
// pass of a declared number of rows; what prompts have in common is computed once.
type nativeStates struct {
	m        *nativeModel
	d        *native.Decoder
	pool     *blockPool
	pass     promptPass
	readings []Reading
	order    []int // order[i]: the place among the wanted layers of the i-th rising one
	each     func(reading int, states [][]float32) error
	taps     []tapped
	ended    []ended // with the pass
	states   []float32
	stateJoin
}

// tapped says which piece the pass's next states belong to.
type tapped struct {
	rows stateRows
	n    int
}

// ended is a reading whose last token is in the pass.
type ended struct {
	reading int
	prefix  *piece
	own     piece
	seq     *pages
}

// stateBlocks is about how many blocks of the cache a batch of prompts uses.
const stateBlocks = 2048

// stateSizes are those of a decoder that reads so many layers' states of prompts of at
// most so many tokens.
func stateSizes(tokens, layers int) native.Sizes {
	table := tableBlocks(tokens)
	return native.Sizes{Rows: 1, Chunk: nativeStateChunk, Table: table, Blocks: max(stateBlocks, 4*table), Draws: 1,
		Taps: layers * nativeStateChunk}
}

func (e *Engine) readStatesNative(ctx context.Context, readings []Reading, opts *StateOptions, each func(int, [][]float32) error) error {
	m := e.native
	set, err := m.use(opts.Adapter)
	if err != nil {
		return err
	}
	longest := 0
	for _, r := range readings {
		longest = max(longest, len(r.Tokens))
	}
	z := stateSizes(longest, len(opts.Layers))
	d, err := e.newNativeDecoder(z)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Use(set); err != nil {
		return err
	}
	r := &nativeStates{m: m, d: d, pool: newBlockPool(z.Blocks), readings: readings, each: each,
		stateJoin: newStateJoin(len(opts.Layers), m.shape.Hidden)}
	r.pass.init(m, z)
	r.layers(opts.Layers)
	all := families(readings, !opts.NoSharing)
	for len(all) > 0 {
		n := r.fitting(all)
		if err := r.together(ctx, all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// layers sorts the wanted layers, as a pass meets them.
func (r *nativeStates) layers(wanted []int) {
	for i := range wanted {
		r.order = append(r.order, i)
	}
	slices.SortFunc(r.order, func(a, b int) int { return wanted[a] - wanted[b] })
	p := &r.pass.p
	for _, i := range r.order {
		p.TapLayers = append(p.TapLayers, wanted[i])
	}
	p.Last = p.TapLayers[len(p.TapLayers)-1]
}

// fitting is how many of the families' prefixes the cache holds while half of it is
// left for suffixes.
func (r *nativeStates) fitting(all []family) int {
	blocks := 0
	for n, f := range all {
		blocks += tableBlocks(f.prefix)
		if blocks > len(r.pool.uses)/2 && n > 0 {
			return n
		}
	}
	return len(all)
}

// together computes the prefixes of families and then what follows them.
func (r *nativeStates) together(ctx context.Context, fams []family) error {
	shared := make([]piece, len(fams))
	seqs := make([]pages, len(fams))
	for i, f := range fams {
		lo := f.prefix
		for _, p := range f.prompts {
			lo = min(lo, r.readings[p].From)
		}
		shared[i] = piece{reading: f.prompts[0], to: f.prefix, lo: lo, rows: make(stateRows, len(r.out))}
		if err := r.add(ctx, &shared[i], &seqs[i], true); err != nil {
			return err
		}
	}
	if err := r.run(ctx); err != nil {
		return err
	}
	for i, f := range fams {
		for _, p := range f.prompts {
			tokens := r.readings[p].Tokens
			own := piece{reading: p, from: f.prefix, to: len(tokens), lo: r.readings[p].From, rows: make(stateRows, len(r.out))}
			seq := new(pages)
			seq.fork(r.pool, &seqs[i])
			if len(r.pool.free) < tableBlocks(own.to-own.from) {
				if err := r.run(ctx); err != nil {
					return err
				}
			}
			if err := r.add(ctx, &own, seq, f.prefix == 0); err != nil {
				return err
			}
			r.ended = append(r.ended, ended{p, &shared[i], own, seq})
		}
	}
	if err := r.run(ctx); err != nil {
		return err
	}
	for i := range seqs {
		seqs[i].clear(r.pool)
	}
	return nil
}

// add puts a piece's tokens into passes and computes those that are full.
func (r *nativeStates) add(ctx context.Context, p *piece, seq *pages, first bool) error {
	tokens := r.readings[p.reading].Tokens
	for from := p.from; from < p.to; {
		n := r.pass.room(p.to - from)
		if n == 0 {
			if err := r.run(ctx); err != nil {
				return err
			}
			continue
		}
		row := len(r.pass.p.Rows)
		if err := r.pass.add(r.pool, seq, tokens[from:from+n], first); err != nil {
			return err
		}
		wanted := 0
		for i := range n {
			if from+i >= p.lo {
				r.pass.p.TapRows = append(r.pass.p.TapRows, int32(row+i))
				wanted++
			}
		}
		if wanted > 0 {
			r.taps = append(r.taps, tapped{p.rows, wanted})
		}
		from += n
	}
	return nil
}

// run computes the pass, hands over the readings that it ends and frees what they
// used.
func (r *nativeStates) run(ctx context.Context) error {
	p := &r.pass.p
	if len(p.Rows) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	total := len(p.TapRows)
	n := len(r.out) * total * r.hidden
	r.states = slices.Grow(r.states[:0], n)[:n]
	if n > 0 {
		p.States = r.states
	}
	if err := r.d.Prompt(p); err != nil {
		return err
	}
	at := 0
	for _, t := range r.taps {
		for i, k := range r.order {
			t.rows[k] = append(t.rows[k], r.states[(i*total+at)*r.hidden:][:t.n*r.hidden]...)
		}
		at += t.n
	}
	for i := range r.ended {
		e := &r.ended[i]
		r.join(&r.readings[e.reading], e.prefix, &e.own)
		if err := r.each(e.reading, r.out); err != nil {
			return err
		}
		e.seq.clear(r.pool)
	}
	r.pass.reset()
	r.taps, r.ended = r.taps[:0], r.ended[:0]
	return nil
}
