package engine

import (
	"context"

	"personaprobe/cgo/native"
)

// logitsInStepNative is logitsInStep on the native path: the prompts in passes, then
// a pass a token in which every item has a row.
func (e *Engine) logitsInStepNative(ctx context.Context, items []Forced, adapter string, each func(int, int, []float32) error) error {
	m := e.native
	set, err := m.use(adapter)
	if err != nil {
		return err
	}
	longest, steps := 0, 0
	for _, it := range items {
		longest = max(longest, len(it.Prompt)+len(it.Continuation))
		steps = max(steps, len(it.Continuation))
	}
	table := tableBlocks(longest)
	z := native.Sizes{Rows: 1, Chunk: nativeChunk, Table: table, Blocks: len(items) * table, Draws: 1}
	d, err := e.newNativeDecoder(z)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Use(set); err != nil {
		return err
	}
	r := &nativeLogits{d: d, vocab: m.shape.Vocab, each: each}
	r.pass.init(m, z)
	r.pass.p.Last = m.shape.Layers - 1
	pool, seqs := newBlockPool(z.Blocks), make([]pages, len(items))
	for t := range steps {
		for i := range items {
			it := &items[i]
			if t >= len(it.Continuation) {
				continue
			}
			tokens := it.Prompt
			if t > 0 {
				tokens = it.Continuation[t-1 : t]
			}
			for len(tokens) > 0 {
				n := r.pass.room(len(tokens))
				if n == 0 {
					if err := r.run(ctx, t); err != nil {
						return err
					}
					continue
				}
				if err := r.pass.add(pool, &seqs[i], tokens[:n], t == 0); err != nil {
					return err
				}
				tokens = tokens[n:]
			}
			r.pass.logits()
			r.items = append(r.items, i)
		}
		if err := r.run(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

type nativeLogits struct {
	d      *native.Decoder
	pass   promptPass
	vocab  int
	items  []int // whose logits the pass gives
	logits []float32
	each   func(item, token int, logits []float32) error
}

// run computes the pass and hands its logits over.
func (r *nativeLogits) run(ctx context.Context, token int) error {
	p := &r.pass.p
	if len(p.Rows) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if need := len(r.items) * r.vocab; cap(r.logits) < need {
		r.logits = make([]float32, need)
	}
	p.Logits = r.logits[:len(r.items)*r.vocab]
	if err := r.d.Prompt(p); err != nil {
		return err
	}
	for i, item := range r.items {
		if err := r.each(item, token, p.Logits[i*r.vocab:(i+1)*r.vocab]); err != nil {
			return err
		}
	}
	r.pass.reset()
	r.items = r.items[:0]
	return nil
}
