package engine

import (
	"fmt"

	"personaprobe/cgo/native"
)

// promptPass gathers tokens of prompts for one pass.
type promptPass struct {
	p        native.Prompt
	chunk    int // rows at most
	table    int
	tileRows int
}

func (b *promptPass) init(m *nativeModel, z native.Sizes) {
	b.chunk, b.table, b.tileRows = z.Chunk, z.Table, m.lib.TileRows(m.shape)
}

func (b *promptPass) reset() {
	p := &b.p
	*p = native.Prompt{Rows: p.Rows[:0], Tables: p.Tables[:0], Tiles: p.Tiles[:0], LogitRows: p.LogitRows[:0],
		Draws: p.Draws[:0], TapRows: p.TapRows[:0], TapLayers: p.TapLayers, Last: p.Last}
}

// room is how many of so many tokens still fit.
func (b *promptPass) room(tokens int) int { return min(tokens, b.chunk-len(b.p.Rows)) }

// add appends tokens to a sequence, to its first part or its second, and to the pass.
func (b *promptPass) add(pool *blockPool, seq *pages, tokens []int32, first bool) error {
	p := &b.p
	start := len(p.Rows)
	for _, t := range tokens {
		row := native.Row{Token: t, Pos: int32(seq.length), Prefix: native.Whole}
		if !seq.grow(pool, first) {
			return fmt.Errorf("%w: the cache has no block left", native.ErrMemory)
		}
		if !first {
			row.Prefix = int32(seq.prefix)
		}
		p.Rows = append(p.Rows, row)
	}
	if len(seq.blocks) > b.table {
		return fmt.Errorf("%w: a sequence of %d tokens", native.ErrArgument, seq.length)
	}
	for range tokens {
		p.Tables = append(p.Tables, seq.blocks...)
		for range b.table - len(seq.blocks) {
			p.Tables = append(p.Tables, 0)
		}
	}
	for at := start; at < len(p.Rows); at += b.tileRows {
		p.Tiles = append(p.Tiles, native.Tile{Row: int32(at), N: int32(min(b.tileRows, len(p.Rows)-at))})
	}
	return nil
}

// logits asks for the logits of the last row, tap for its states.
func (b *promptPass) logits() { b.p.LogitRows = append(b.p.LogitRows, int32(len(b.p.Rows)-1)) }
