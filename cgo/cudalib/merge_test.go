//go:build cgo

package cudalib_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"personaprobe/cgo/cudalib"
	"personaprobe/models/gguf"
)

// mergeCase is a weight with two adapters' factors for it.
type mergeCase struct {
	kind          gguf.Type
	in, out, rank int
}

var mergeCases = []mergeCase{{gguf.F32, 100, 33, 8}, {gguf.F16, 257, 9, 4}, {gguf.BF16, 512, 16, 32}, {gguf.BF16, 1, 1, 1},
	{gguf.F16, 70, 11, 600}, {gguf.BF16, 264, 20, 257}}

func randoms(r *rand.Rand, n int, scale float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(scale * r.NormFloat64())
	}
	return out
}

// mergedBytes is W + scale x B x A written down plainly, in float32.
func mergedBytes(t *testing.T, c mergeCase, w []byte, a, b []float32, scale float64) []byte {
	t.Helper()
	values := make([]float32, c.in*c.out)
	if err := c.kind.Decode(values, w); err != nil {
		t.Fatal(err)
	}
	for o := range c.out {
		for i := range c.in {
			var sum float32
			for k := range c.rank {
				left := float32(float64(b[o*c.rank+k]) * scale)
				sum += float32(left * a[k*c.in+i])
			}
			values[o*c.in+i] += sum
		}
	}
	out := make([]byte, len(w))
	if err := c.kind.Encode(out, values); err != nil {
		t.Fatal(err)
	}
	return out
}

// Merging gives the bits of the plain computation, another adapter replaces the
// first, and without one the weights are the base again.
func TestMerger(t *testing.T) {
	each(t, func(t *testing.T, k *cudalib.Kernels, _ bool) {
		r := rand.New(rand.NewPCG(7, 8))
		m, err := k.NewMerger()
		if err != nil {
			t.Fatal(err)
		}
		var first, second []cudalib.Pair
		var base, wantFirst, wantSecond [][]byte
		for i, c := range mergeCases {
			w := make([]byte, c.kind.Bytes(int64(c.in*c.out)))
			if err := c.kind.Encode(w, randoms(r, c.in*c.out, 0.1)); err != nil {
				t.Fatal(err)
			}
			at := put(t, k, w, len(w))
			pair := func() (cudalib.Pair, []byte) {
				a, b, scale := randoms(r, c.rank*c.in, 0.1), randoms(r, c.out*c.rank, 0.1), 0.3+r.Float64()
				b[0] = 0
				return cudalib.Pair{W: at, A: put(t, k, a, 4*len(a)), B: put(t, k, b, 4*len(b)), WType: int(c.kind), Rank: c.rank, In: c.in, Out: c.out,
					Bytes: len(w), Scale: scale}, mergedBytes(t, c, w, a, b, 1.5*scale)
			}
			p, want := pair()
			first, wantFirst = append(first, p), append(wantFirst, want)
			if p, want = pair(); i > 0 { // the second adapter leaves the first weight alone
				second, wantSecond = append(second, p), append(wantSecond, want)
			} else {
				wantSecond = append(wantSecond, w)
			}
			base = append(base, w)
		}
		check := func(what string, want [][]byte) {
			t.Helper()
			for i, p := range first {
				got := make([]byte, p.Bytes)
				if err := cudalib.CopyOut(k, got, p.W, 0); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want[i]) {
					t.Errorf("%s: weight %d (%v) differs", what, i, mergeCases[i])
				}
			}
		}
		for _, step := range []struct {
			what  string
			pairs []cudalib.Pair
			want  [][]byte
		}{{"first", first, wantFirst}, {"second", second, wantSecond}, {"base", nil, base}, {"first again", first, wantFirst}} {
			if err := m.Set(step.pairs, 1.5); err != nil {
				t.Fatal(err)
			}
			check(step.what, step.want)
		}
		bad := slices.Clone(second)
		bad[len(bad)-1].Rank = 0
		if err := m.Set(bad, 1); err == nil {
			t.Error("rank 0: no error")
		}
		check("base after an error", base)
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		check("base after close", base)
	})
}
