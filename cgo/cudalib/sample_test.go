//go:build cgo

package cudalib_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"personaprobe/cgo/cudalib"
	"personaprobe/sampler"
)

func TestStructSizes(t *testing.T) {
	if n := unsafe.Sizeof(cudalib.Draw{}); n != cudalib.DrawBytes {
		t.Errorf("Draw has %d bytes, want %d", n, cudalib.DrawBytes)
	}
	if n := unsafe.Sizeof(cudalib.Choice{}); n != cudalib.ChoiceBytes {
		t.Errorf("Choice has %d bytes, want %d", n, cudalib.ChoiceBytes)
	}
}

// shapes are rows that are hard in different ways; those of package sampler's tests,
// and rows whose tokens crowd in few buckets.
var shapes = []struct {
	name string
	fill func(r *rand.Rand, row []float32)
}{
	{"flat", func(_ *rand.Rand, row []float32) { fill(row, func(int) float64 { return 1 }) }},
	{"gaussian", func(r *rand.Rand, row []float32) { fill(row, func(int) float64 { return 3 * r.NormFloat64() }) }},
	{"peaked", func(r *rand.Rand, row []float32) {
		fill(row, func(int) float64 { return 2.5 * r.NormFloat64() })
		for range 12 {
			row[r.IntN(len(row))] = float32(16 + 3*r.NormFloat64())
		}
	}},
	{"certain", func(r *rand.Rand, row []float32) {
		fill(row, func(int) float64 { return 2.5 * r.NormFloat64() })
		row[r.IntN(len(row))] = 40
	}},
	{"one-bucket", func(r *rand.Rand, row []float32) { fill(row, func(int) float64 { return 5 + 0.01*r.Float64() }) }},
	{"two-levels", func(r *rand.Rand, row []float32) { fill(row, func(int) float64 { return float64(r.IntN(2)) / 4 }) }},
	{"eight-levels", func(r *rand.Rand, row []float32) { fill(row, func(int) float64 { return float64(r.IntN(8)) / 2 }) }},
	{"cliff", func(r *rand.Rand, row []float32) {
		fill(row, func(int) float64 { return -math.Exp(20*r.Float64() - 18) })
	}},
	{"zero", func(r *rand.Rand, row []float32) {
		fill(row, func(int) float64 {
			return math.Copysign(float64(r.IntN(4))*math.SmallestNonzeroFloat32, float64(r.IntN(2))-0.5)
		})
	}},
	{"masked", func(r *rand.Rand, row []float32) {
		fill(row, func(int) float64 {
			if r.IntN(10) != 0 {
				return math.Inf(-1)
			}
			return float64(r.IntN(20))
		})
		row[len(row)/2] = 0
	}},
	{"one-allowed", func(r *rand.Rand, row []float32) {
		fill(row, func(int) float64 { return math.Inf(-1) })
		row[r.IntN(len(row))] = -7
	}},
	{"extremes", func(r *rand.Rand, row []float32) {
		fill(row, func(int) float64 { return math.Copysign(math.MaxFloat32*r.Float64(), float64(r.IntN(2))-0.5) })
	}},
	{"bfloat16", func(r *rand.Rand, row []float32) { // ties everywhere
		for i := range row {
			row[i] = math.Float32frombits(math.Float32bits(float32(4*r.NormFloat64())) &^ 0xffff)
		}
	}},
}

func fill(row []float32, f func(i int) float64) {
	for i := range row {
		row[i] = float32(f(i))
	}
}

var paramSets = []sampler.Params{
	{Temperature: 1, TopP: 0.95}, {Temperature: 1, TopP: 1}, {Temperature: 0}, {Temperature: 0.7, TopP: 0.5}, {Temperature: 1.5},
	{Temperature: 1e-3, TopP: 0.9}, {Temperature: 40, TopP: 0.999}, {Temperature: 1e30, TopP: 0.3}, {Temperature: 1, TopP: 1e-6},
	// With these the kernel's sketch in float32 overflows: it is wrong about where the
	// nucleus ends, and "extremes" has to be weighed again; or it is empty and no help.
	{Temperature: 1e38, TopP: 0.9}, {Temperature: 1e-40, TopP: 0.5},
}

// sample runs draws over rows of vocab logits that lie stride floats apart.
func sample(t testing.TB, k *cudalib.Kernels, logits []float32, stride, vocab int, draws []cudalib.Draw) []cudalib.Choice {
	t.Helper()
	l := cudalib.Logits{At: put(t, k, logits, 4*len(logits)+4), Stride: stride, Vocab: vocab}
	in := put(t, k, draws, len(draws)*cudalib.DrawBytes)
	out := put[byte](t, k, nil, len(draws)*cudalib.ChoiceBytes)
	if err := k.Sample(l, in, len(draws), out, 0); err != nil {
		t.Fatal(err)
	}
	choices := make([]cudalib.Choice, len(draws))
	if err := cudalib.CopyOut(k, choices, out, 0); err != nil {
		t.Fatal(err)
	}
	return choices
}

func drawOf(r *rand.Rand, p sampler.Params, row int) cudalib.Draw {
	return cudalib.Draw{Seed: r.Uint64(), Prompt: r.Uint64(), Completion: r.Uint32(), Position: r.Uint32N(512),
		Temperature: p.Temperature, TopP: p.TopP, Row: int32(row)}
}

// compare checks a choice against package sampler: all bits but the logarithm's.
func compare(row []float32, d cudalib.Draw, got cudalib.Choice) error {
	key := sampler.Key{Seed: d.Seed, Prompt: d.Prompt, Completion: d.Completion}
	var s sampler.Sampler
	want, err := s.Sample(row, sampler.Params{Temperature: d.Temperature, TopP: d.TopP}, key.Uniform(d.Position))
	if err != nil {
		return fmt.Errorf("package sampler: %w", err)
	}
	if got.Error != cudalib.SampleOK || got.Token != want.Token || int(got.NucleusSize) != want.NucleusSize || got.NucleusMass != want.NucleusMass ||
		math.Abs(got.LogProb-want.LogProb) > 1e-5 {
		return fmt.Errorf("temperature %v, top-p %v: got %+v, want %+v", d.Temperature, d.TopP, got, want)
	}
	return nil
}

func TestSampleAgreesWithSampler(t *testing.T) {
	each(t, func(t *testing.T, k *cudalib.Kernels, gpu bool) {
		vocabs, turns := []int{1, 2, 31, 2048}, 1
		if gpu {
			vocabs, turns = []int{1, 2, 31, 100, 2048, 32000, 152064, 152065}, 4
		} else if !testing.Short() {
			vocabs = append(vocabs, 8191)
		}
		if gpu && testing.Short() { // under compute-sanitizer
			vocabs, turns = []int{31, 2048, 20001}, 1
		}
		r := rand.New(rand.NewPCG(1, 2))
		if gpu { // fresh inputs, and a way to get them again
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r = rand.New(rand.NewPCG(seed, 2))
		}
		for _, vocab := range vocabs {
			agree(t, k, r, vocab, turns)
		}
	})
}

// agree checks every shape with every set of parameters, all in one launch, with
// rows that a stride pads.
func agree(t *testing.T, k *cudalib.Kernels, r *rand.Rand, vocab, turns int) {
	t.Helper()
	stride := (vocab+3)/4*4 + 4
	logits := make([]float32, len(shapes)*stride)
	var draws []cudalib.Draw
	for i, shape := range shapes {
		shape.fill(r, logits[i*stride:][:vocab])
		for _, p := range paramSets {
			for range turns {
				draws = append(draws, drawOf(r, p, i))
			}
		}
	}
	r.Shuffle(len(draws), func(i, j int) { draws[i], draws[j] = draws[j], draws[i] })
	draws = append(draws, cudalib.Draw{Row: -1})
	choices := sample(t, k, logits, stride, vocab, draws)
	bad := 0
	for i, d := range draws[:len(draws)-1] {
		if err := compare(logits[int(d.Row)*stride:][:vocab], d, choices[i]); err != nil {
			if bad++; bad <= 5 {
				t.Errorf("vocabulary %d, %s: %v", vocab, shapes[d.Row].name, err)
			}
		}
	}
	if idle := choices[len(draws)-1]; idle.Token != -1 || idle.Error != cudalib.SampleOK {
		t.Errorf("idle draw: %+v", idle)
	}
	t.Logf("vocabulary %d: %d draws, %d disagree", vocab, len(draws)-1, bad)
}

// Rows that do not start at 16 bytes or are no whole quads, and the longest ones.
func TestSampleOddLayouts(t *testing.T) {
	each(t, func(t *testing.T, k *cudalib.Kernels, gpu bool) {
		r := rand.New(rand.NewPCG(3, 4))
		vocab := 1001
		if gpu {
			vocab = 1 << 19
		}
		for _, stride := range []int{vocab + 2, vocab + 3} {
			logits := make([]float32, 3*stride)
			var draws []cudalib.Draw
			for i := range 3 {
				shapes[1+i].fill(r, logits[i*stride:][:vocab])
				draws = append(draws, drawOf(r, paramSets[0], i), drawOf(r, paramSets[2], i))
			}
			for i, c := range sample(t, k, logits, stride, vocab, draws) {
				if err := compare(logits[int(draws[i].Row)*stride:][:vocab], draws[i], c); err != nil {
					t.Errorf("stride %d: %v", stride, err)
				}
			}
		}
	})
}

func TestSampleBadRows(t *testing.T) {
	each(t, func(t *testing.T, k *cudalib.Kernels, _ bool) {
		const vocab = 500
		nan, inf := float32(math.NaN()), float32(math.Inf(1))
		rows := make([]float32, 5*vocab)
		rows[0*vocab+499], rows[0*vocab+321] = nan, inf
		rows[1*vocab+3] = -nan
		fill(rows[2*vocab:3*vocab], func(int) float64 { return math.Inf(-1) })
		ok := cudalib.Draw{Temperature: 1, TopP: 0.9}
		with := func(edit func(*cudalib.Draw)) cudalib.Draw { d := ok; edit(&d); return d }
		draws := []cudalib.Draw{
			ok, with(func(d *cudalib.Draw) { d.Row = 1 }), with(func(d *cudalib.Draw) { d.Row, d.Temperature = 1, 0 }),
			with(func(d *cudalib.Draw) { d.Row = 2 }),
			with(func(d *cudalib.Draw) { d.Row, d.Temperature = 3, -1 }), with(func(d *cudalib.Draw) { d.Row, d.Temperature = 3, inf }),
			with(func(d *cudalib.Draw) { d.Row, d.TopP = 3, 1.5 }), with(func(d *cudalib.Draw) { d.Row, d.TopP = 3, nan }),
			with(func(d *cudalib.Draw) { d.Row = 3 }),
		}
		want := []struct{ code, bad int32 }{{cudalib.SampleLogits, 321}, {cudalib.SampleLogits, 3}, {cudalib.SampleLogits, 3},
			{cudalib.SampleEmpty, -1}, {cudalib.SampleParams, -1}, {cudalib.SampleParams, -1}, {cudalib.SampleParams, -1}, {cudalib.SampleParams, -1}, {cudalib.SampleOK, -1}}
		for i, c := range sample(t, k, rows, vocab, vocab, draws) {
			if c.Error != want[i].code || c.Bad != want[i].bad || (c.Token >= 0) != (c.Error == cudalib.SampleOK) {
				t.Errorf("draw %d: got %+v, want error %d at %d", i, c, want[i].code, want[i].bad)
			}
		}
	})
}

func TestSampleRefusesBadSizes(t *testing.T) {
	each(t, func(t *testing.T, k *cudalib.Kernels, _ bool) {
		for _, vocab := range []int{0, 1<<19 + 1} {
			if err := k.Sample(cudalib.Logits{Vocab: vocab}, 0, 1, 0, 0); !errors.Is(err, cudalib.ErrDevice) {
				t.Errorf("vocabulary %d: error %v, want ErrDevice", vocab, err)
			}
		}
		if err := k.Sample(cudalib.Logits{Vocab: 5}, 0, 0, 0, 0); err != nil {
			t.Errorf("no draws: %v", err)
		}
	})
}

// The time of a launch over rows of different kinds. Run it with
// -bench Sample -benchtime 50x.
func BenchmarkSample(b *testing.B) {
	k := device(b)
	const vocab = 152064
	for _, n := range []int{1, 64, 128, 256, 512, 1024} {
		for _, s := range []int{0, 1, 2, 4, 5, 6, 12} {
			b.Run(fmt.Sprintf("rows=%d/%s", n, shapes[s].name), func(b *testing.B) { benchmarkRows(b, k, n, vocab, s) })
		}
	}
}

func benchmarkRows(b *testing.B, k *cudalib.Kernels, n, vocab, shape int) {
	r := rand.New(rand.NewPCG(5, uint64(shape)))
	base := make([]float32, 64*vocab) // repeated: filling is slow
	for i := range min(n, 64) {
		shapes[shape].fill(r, base[i*vocab:][:vocab])
	}
	l := cudalib.Logits{At: put[byte](b, k, nil, 4*n*vocab), Stride: vocab, Vocab: vocab}
	draws := make([]cudalib.Draw, n)
	for i := range draws {
		draws[i] = drawOf(r, paramSets[0], i)
		if i%64 == 0 {
			if err := cudalib.CopyIn(k, l.At+cudalib.Memory(4*i*vocab), base[:min(64, n-i)*vocab], 0); err != nil {
				b.Fatal(err)
			}
		}
	}
	in := put(b, k, draws, n*cudalib.DrawBytes)
	out := put[byte](b, k, nil, n*cudalib.ChoiceBytes)
	from, err := k.NewEvent()
	if err != nil {
		b.Fatal(err)
	}
	to, err := k.NewEvent()
	if err != nil {
		b.Fatal(err)
	}
	launch := func() {
		if err := k.Sample(l, in, n, out, 0); err != nil {
			b.Fatal(err)
		}
	}
	launch()
	_ = k.Record(from, 0) // Elapsed tells of errors
	for b.Loop() {
		launch()
	}
	_ = k.Record(to, 0)
	ms, err := k.Elapsed(from, to)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(ms/float64(b.N)*1000, "µs/launch")
	b.ReportMetric(float64(4*n*vocab)/(ms/float64(b.N))*1e-9, "TB/s")
}
