package native_test

import (
	"math"
	"math/rand/v2"

	"personaprobe/cgo/native"
	"personaprobe/models/gguf"
)

// reference is a Qwen2 model in float64, written down plainly: no cache, no blocks,
// every token computed from the whole sequence.
type reference struct {
	s      native.Shape
	embed  []float64
	head   []float64
	final  []float64
	layers []refLayer
}

type refLayer struct{ norm1, norm2, bias, qkv, out, gateUp, down []float64 }

// random makes a tensor of n elements around base, rounded to the shape's type or to
// float32, and its bytes.
func random(r *rand.Rand, kind gguf.Type, n int, base, sd float64) ([]float64, []byte) {
	f := make([]float32, n)
	for i := range f {
		f[i] = float32(base + sd*r.NormFloat64())
	}
	raw := make([]byte, kind.Bytes(int64(n)))
	if err := kind.Encode(raw, f); err != nil {
		panic(err)
	}
	if err := kind.Decode(f, raw); err != nil {
		panic(err)
	}
	out := make([]float64, n)
	for i := range f {
		out[i] = float64(f[i])
	}
	return out, raw
}

// build makes a random model on both sides.
func build(r *rand.Rand, m *native.Model) (*reference, error) {
	s := m.Shape()
	kind := gguf.BF16
	if s.Type == native.F16 {
		kind = gguf.F16
	}
	var first error
	tensor := func(w native.Weight, layer int, kind gguf.Type, n int, base, sd float64) []float64 {
		values, raw := random(r, kind, n, base, sd)
		if err := m.Write(w, layer, 0, raw, layer%native.Lanes); err != nil && first == nil {
			first = err
		}
		return values
	}
	e, qkv := s.Hidden, (s.Heads+2*s.KVHeads)*s.HeadDim
	sd := 1 / math.Sqrt(float64(e))
	ref := &reference{s: s}
	ref.embed = tensor(native.Embed, 0, kind, s.Vocab*e, 0, 1)
	ref.head = ref.embed
	if !s.Tied {
		ref.head = tensor(native.Head, 0, kind, s.Vocab*e, 0, sd)
	}
	ref.final = tensor(native.FinalNorm, 0, gguf.F32, e, 1, 0.1)
	for l := range s.Layers {
		ref.layers = append(ref.layers, refLayer{
			norm1:  tensor(native.Norm1, l, gguf.F32, e, 1, 0.1),
			norm2:  tensor(native.Norm2, l, gguf.F32, e, 1, 0.1),
			bias:   tensor(native.QKVBias, l, gguf.F32, qkv, 0, 0.5),
			qkv:    tensor(native.QKV, l, kind, qkv*e, 0, sd),
			out:    tensor(native.Out, l, kind, e*s.Heads*s.HeadDim, 0, sd),
			gateUp: tensor(native.GateUp, l, kind, 2*s.FFN*e, 0, sd),
			down:   tensor(native.Down, l, kind, e*s.FFN, 0, 1/math.Sqrt(float64(s.FFN))),
		})
	}
	for lane := range native.Lanes {
		if err := m.Flush(lane); err != nil && first == nil {
			first = err
		}
	}
	return ref, first
}

func matVec(w, x []float64) []float64 {
	out := make([]float64, len(w)/len(x))
	for i := range out {
		row := w[i*len(x):]
		for j, v := range x {
			out[i] += row[j] * v
		}
	}
	return out
}

func rmsNorm(x, w []float64, eps float32) []float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	scale := 1 / math.Sqrt(sum/float64(len(x))+float64(eps))
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v * scale * w[i]
	}
	return out
}

// rotate turns the pairs (i, i + D/2) of a head.
func (r *reference) rotate(head []float64, pos int) {
	d := len(head)
	for i := range d / 2 {
		a := float64(pos) * math.Pow(float64(r.s.RopeBase), -2*float64(i)/float64(d))
		x, y := head[i], head[i+d/2]
		head[i], head[i+d/2] = x*math.Cos(a)-y*math.Sin(a), y*math.Cos(a)+x*math.Sin(a)
	}
}

// run returns the states of every token after every layer, and every token's logits.
func (r *reference) run(tokens []int32) (states [][][]float64, logits [][]float64) {
	s := r.s
	x := make([][]float64, len(tokens))
	for i, t := range tokens {
		x[i] = append([]float64{}, r.embed[int(t)*s.Hidden:(int(t)+1)*s.Hidden]...)
	}
	for l := range r.layers {
		w := &r.layers[l]
		r.attention(x, w)
		for i := range x {
			h := rmsNorm(x[i], w.norm2, s.Eps)
			both := matVec(w.gateUp, h)
			mid := make([]float64, s.FFN)
			for j := range mid {
				mid[j] = both[j] / (1 + math.Exp(-both[j])) * both[s.FFN+j]
			}
			add(x[i], matVec(w.down, mid))
		}
		layer := make([][]float64, len(x))
		for i := range x {
			layer[i] = append([]float64{}, x[i]...)
		}
		states = append(states, layer)
	}
	for i := range x {
		logits = append(logits, matVec(r.head, rmsNorm(x[i], r.final, s.Eps)))
	}
	return states, logits
}

func add(x, y []float64) {
	for i := range x {
		x[i] += y[i]
	}
}

func (r *reference) attention(x [][]float64, w *refLayer) {
	s := r.s
	d, group := s.HeadDim, s.Heads/s.KVHeads
	qkv := make([][]float64, len(x))
	for i := range x {
		qkv[i] = matVec(w.qkv, rmsNorm(x[i], w.norm1, s.Eps))
		add(qkv[i], w.bias)
		for h := range s.Heads + s.KVHeads {
			r.rotate(qkv[i][h*d:(h+1)*d], i)
		}
	}
	for i := range x {
		out := make([]float64, s.Heads*d)
		for h := range s.Heads {
			q := qkv[i][h*d : (h+1)*d]
			scores := make([]float64, i+1)
			top := math.Inf(-1)
			for p := range scores {
				k := qkv[p][(s.Heads+h/group)*d:]
				for j, v := range q {
					scores[p] += v * k[j]
				}
				scores[p] /= math.Sqrt(float64(d))
				top = math.Max(top, scores[p])
			}
			total := 0.0
			for p := range scores {
				scores[p] = math.Exp(scores[p] - top)
				total += scores[p]
			}
			for p := range scores {
				v := qkv[p][(s.Heads+s.KVHeads+h/group)*d:]
				for j := range d {
					out[h*d+j] += scores[p] / total * v[j]
				}
			}
		}
		add(x[i], matVec(w.out, out))
	}
}
