package native_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"personaprobe/cgo/cudalib"
	"personaprobe/cgo/native"
	"personaprobe/internal/cudatest"
	"personaprobe/internal/golden"
	"personaprobe/models/gguf"
)

// library opens the kernels, or skips the test where there are none or no GPU.
func library(t testing.TB) *native.Library {
	t.Helper()
	lib, err := native.Open(cudatest.Kernels(t))
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

var shapes = []native.Shape{
	{Layers: 3, Hidden: 128, FFN: 256, Heads: 4, KVHeads: 2, HeadDim: 64, Vocab: 500},
	{Layers: 2, Hidden: 256, FFN: 136, Heads: 7, KVHeads: 1, HeadDim: 128, Vocab: 1003, Tied: true},
	{Layers: 2, Hidden: 64, FFN: 512, Heads: 3, KVHeads: 3, HeadDim: 64, Vocab: 77},
}

// sequence is a test's own bookkeeping of one sequence: its blocks in both parts.
type sequence struct {
	tokens []int32
	prefix int
	blocks []int32
	room   int // where the second part's blocks begin
}

// TestAgainstReference computes prompts that share prefixes in one pass, continues
// them in decode steps, and compares states and logits with float64.
func TestAgainstReference(t *testing.T) {
	lib := library(t)
	for _, kind := range []native.Type{native.F16, native.BF16} {
		for i, s := range shapes {
			s.Type, s.Context, s.Eps, s.RopeBase = kind, 256, 1e-6, 1e4
			t.Run(fmt.Sprintf("type %d, shape %d", kind, i), func(t *testing.T) {
				m, err := lib.NewModel(s)
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				r := rand.New(rand.NewPCG(rand.Uint64(), 7))
				ref, err := build(r, m)
				if err != nil {
					t.Fatal(err)
				}
				bound := 4e-3
				if kind == native.BF16 {
					bound = 3e-2
				}
				checkPrompts(t, r, m, ref, bound)
			})
		}
	}
}

const (
	testTable  = 12
	testBlocks = 64
)

func checkPrompts(t *testing.T, r *rand.Rand, m *native.Model, ref *reference, bound float64) {
	s := m.Shape()
	d, err := m.NewDecoder(native.Sizes{Rows: 8, Chunk: 96, Blocks: testBlocks, Table: testTable, Draws: 4, Taps: 96 * s.Layers})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	draw := func(n int) (out []int32) {
		for range n {
			out = append(out, int32(r.IntN(s.Vocab)))
		}
		return out
	}
	free := r.Perm(testBlocks)
	take := func() int32 {
		b := free[0]
		free = free[1:]
		return int32(b)
	}
	// A prefix of 21 tokens, then two sequences that go on from it.
	prefix := sequence{tokens: draw(21)}
	for range 2 {
		prefix.blocks = append(prefix.blocks, take())
	}
	pass := newPass(d, s)
	pass.add(prefix.tokens, 0, native.Whole, prefix.blocks, lib(m).TileRows(s))
	pass.run(t, d)
	compareStates(t, ref, prefix.tokens, 0, pass, 0, bound)

	var seqs []sequence
	pass = newPass(d, s)
	for range 2 {
		own := draw(5 + r.IntN(30))
		q := sequence{tokens: append(append([]int32{}, prefix.tokens...), own...), prefix: 21, blocks: append([]int32{}, prefix.blocks...), room: 2}
		for range 4 {
			q.blocks = append(q.blocks, take())
		}
		pass.add(own, 21, 21, q.blocks, lib(m).TileRows(s))
		seqs = append(seqs, q)
	}
	pass.run(t, d)
	row := 0
	for _, q := range seqs {
		compareStates(t, ref, q.tokens, 21, pass, row, bound)
		row += len(q.tokens) - 21
	}
	checkSteps(t, d, s, seqs)
}

func lib(m *native.Model) *native.Library { return m.Library() }

// checkSteps continues the sequences greedily and compares each step's choice with the
// logits of a prompt pass over the same tokens.
func checkSteps(t *testing.T, d *native.Decoder, s native.Shape, seqs []sequence) {
	next := make([]int32, len(seqs))
	for i := range next {
		next[i] = int32(i + 1)
	}
	for range 5 {
		st := d.Step(0)
		for i := range st.Rows {
			st.Rows[i], st.Draws[i] = native.Row{Pos: -1}, cudalib.Draw{Row: -1}
		}
		for i := range seqs {
			q := &seqs[i]
			q.tokens = append(q.tokens, next[i])
			row := 2*i + 1 // idle rows between them
			st.Rows[row] = native.Row{Token: next[i], Pos: int32(len(q.tokens) - 1), Prefix: int32(q.prefix)}
			st.Draws[row] = cudalib.Draw{Row: int32(row)}
			copy(st.Tables[row*testTable:], q.blocks)
		}
		if err := d.Start(0); err != nil {
			t.Fatal(err)
		}
		if err := d.Wait(0); err != nil {
			t.Fatal(err)
		}
		for i := range seqs {
			c := st.Choices[2*i+1]
			if c.Error != 0 || c.Token < 0 || int(c.Token) >= s.Vocab {
				t.Fatalf("choice %+v", c)
			}
			next[i] = c.Token
		}
		if st.Choices[0].Token != -1 {
			t.Errorf("an idle row chose %d", st.Choices[0].Token)
		}
		for i := range seqs {
			q := &seqs[i]
			// The last token once more, in a prompt pass: it writes the same place.
			n := len(q.tokens)
			pass := newPass(d, s)
			pass.add(q.tokens[n-1:], n-1, q.prefix, q.blocks, 1)
			pass.run(t, d)
			best := 0
			for v := range s.Vocab {
				if pass.p.Logits[v] > pass.p.Logits[best] {
					best = v
				}
			}
			if margin := pass.p.Logits[best] - pass.p.Logits[next[i]]; margin > 0.05 {
				t.Errorf("decode chose %d, the prompt pass %d by %g", next[i], best, margin)
			}
		}
	}
}

type pass struct{ p native.Prompt }

func newPass(d *native.Decoder, s native.Shape) *pass {
	p := &pass{}
	for l := range s.Layers {
		p.p.TapLayers = append(p.p.TapLayers, l)
	}
	p.p.Last = s.Layers - 1
	_ = d
	return p
}

func (p *pass) add(tokens []int32, pos, prefix int, blocks []int32, tile int) {
	start := len(p.p.Rows)
	for i, t := range tokens {
		n := int32(len(p.p.Rows))
		p.p.Rows = append(p.p.Rows, native.Row{Token: t, Pos: int32(pos + i), Prefix: int32(prefix)})
		table := make([]int32, testTable)
		copy(table, blocks)
		p.p.Tables = append(p.p.Tables, table...)
		p.p.LogitRows = append(p.p.LogitRows, n)
		p.p.TapRows = append(p.p.TapRows, n)
	}
	for at := start; at < len(p.p.Rows); at += tile {
		p.p.Tiles = append(p.p.Tiles, native.Tile{Row: int32(at), N: int32(min(tile, len(p.p.Rows)-at))})
	}
}

func (p *pass) run(t *testing.T, d *native.Decoder) {
	t.Helper()
	s := shapeOf(d)
	p.p.States = poisoned(len(p.p.TapLayers) * len(p.p.TapRows) * s.Hidden)
	p.p.Logits = poisoned(len(p.p.LogitRows) * s.Vocab)
	if err := d.Prompt(&p.p); err != nil {
		t.Fatal(err)
	}
}

func shapeOf(d *native.Decoder) native.Shape { return d.Model().Shape() }

func poisoned(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(math.NaN())
	}
	return out
}

// compareStates compares the rows from row on with the tokens from position from on.
func compareStates(t *testing.T, ref *reference, tokens []int32, from int, p *pass, row int, bound float64) {
	t.Helper()
	states, logits := ref.run(tokens)
	e, v, n := ref.s.Hidden, ref.s.Vocab, len(p.p.TapRows)
	worst := 0.0
	for pos := from; pos < len(tokens); pos++ {
		at := row + pos - from
		for l := range states {
			worst = math.Max(worst, golden.Relative(p.p.States[(l*n+at)*e:][:e], states[l][pos]))
		}
		worst = math.Max(worst, golden.Relative(p.p.Logits[at*v:][:v], logits[pos]))
	}
	t.Logf("%d tokens from %d: relative error at most %.2g", len(tokens), from, worst)
	if !(worst <= bound) {
		t.Errorf("relative error %.3g, want at most %.3g", worst, bound)
	}
}

// TestMerge adds a product to a set and leaves the base as it was.
func TestMerge(t *testing.T) {
	l := library(t)
	s := shapes[0]
	s.Type, s.Context, s.Eps, s.RopeBase = native.BF16, 64, 1e-6, 1e4
	m, err := l.NewModel(s)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r := rand.New(rand.NewPCG(1, 2))
	if _, err := build(r, m); err != nil {
		t.Fatal(err)
	}
	read := func(set int) []byte {
		out := make([]byte, 2*2*s.FFN*s.Hidden)
		if err := m.Read(set, native.GateUp, 1, 0, out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	base := read(0)
	set, err := m.NewSet()
	if err != nil {
		t.Fatal(err)
	}
	if string(read(set)) != string(base) {
		t.Fatal("a new set is not the base")
	}
	const rank = 300
	f := native.Factors{Weight: native.GateUp, Layer: 1, Row0: s.FFN, Rows: s.FFN, Cols: s.Hidden, Rank: rank,
		A: make([]float32, rank*s.Hidden), B: make([]float32, s.FFN*rank)}
	for i := range f.A {
		f.A[i] = float32(0.1 * r.NormFloat64())
	}
	for i := range f.B {
		f.B[i] = float32(0.1 * r.NormFloat64())
	}
	if err := m.Merge(set, f); err != nil {
		t.Fatal(err)
	}
	half := len(base) / 2
	if merged := read(set); string(merged[:half]) != string(base[:half]) || string(merged[half:]) != string(plainMerge(t, base[half:], f)) {
		t.Error("the set does not have the bytes of the plain computation")
	}
	if string(read(0)) != string(base) {
		t.Error("the base has changed")
	}
	if err := m.ResetSet(set); err != nil {
		t.Fatal(err)
	}
	if string(read(set)) != string(base) {
		t.Error("a reset set is not the base")
	}
	f.Rows++
	if err := m.Merge(set, f); !errors.Is(err, native.ErrArgument) {
		t.Errorf("rows outside of the weight: %v", err)
	}
}

// plainMerge is W + B x A in float32, term by term, rounded once.
func plainMerge(t *testing.T, w []byte, f native.Factors) []byte {
	values := make([]float32, f.Rows*f.Cols)
	if err := gguf.BF16.Decode(values, w); err != nil {
		t.Fatal(err)
	}
	for i := range values {
		var sum float32
		for k := range f.Rank {
			sum += float32(f.B[i/f.Cols*f.Rank+k] * f.A[k*f.Cols+i%f.Cols])
		}
		values[i] += sum
	}
	out := make([]byte, len(w))
	if err := gguf.BF16.Encode(out, values); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMemory opens and closes models and decoders without losing device memory.
func TestMemory(t *testing.T) {
	l := library(t)
	k := cudatest.Kernels(t)
	s := shapes[0]
	s.Type, s.Context, s.Eps, s.RopeBase = native.F16, 64, 1e-6, 1e4
	var free []uint64
	for range 20 {
		m, err := l.NewModel(s)
		if err != nil {
			t.Fatal(err)
		}
		d, err := m.NewDecoder(native.Sizes{Rows: 64, Chunk: 64, Blocks: 2000, Table: 4, Draws: 4})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Start(0); err != nil { // idle rows alone; makes a graph
			t.Fatal(err)
		}
		if err := d.Wait(0); err != nil {
			t.Fatal(err)
		}
		d.Close()
		m.Close()
		device, err := k.Device()
		if err != nil {
			t.Fatal(err)
		}
		free = append(free, device.Free)
	}
	if lost := int64(free[2]) - int64(free[len(free)-1]); lost > 4<<20 {
		t.Errorf("%d bytes of device memory lost in %d rounds", lost, len(free)-3)
	}
	if _, err := l.NewModel(native.Shape{Layers: 1000, Hidden: 8192, FFN: 65536, Heads: 64, KVHeads: 8, HeadDim: 128,
		Vocab: 100000, Type: native.BF16, Context: 64}); !errors.Is(err, native.ErrMemory) {
		t.Errorf("a model of 3 TB: %v", err)
	}
	if _, err := l.NewModel(native.Shape{Layers: 1, Hidden: 64, FFN: 64, Heads: 2, KVHeads: 1, HeadDim: 32,
		Vocab: 100, Type: native.BF16, Context: 64}); !errors.Is(err, native.ErrUnsupported) {
		t.Errorf("heads of 32: %v", err)
	}
}
