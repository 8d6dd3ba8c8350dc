package sampler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// rows are the logit shapes that the benchmarks and the agreement tests share.
var rows = []struct {
	name string
	make func(rng *rand.Rand, logits []float32)
}{
	{"flat", func(_ *rand.Rand, logits []float32) {
		for i := range logits {
			logits[i] = 1
		}
	}},
	{"gaussian", func(rng *rand.Rand, logits []float32) { // sd 3
		for i := range logits {
			logits[i] = float32(3 * rng.NormFloat64())
		}
	}},
	{"peaked", func(rng *rand.Rand, logits []float32) { // a trained model's usual row
		for i := range logits {
			logits[i] = float32(2.5 * rng.NormFloat64())
		}
		for range 12 {
			logits[rng.IntN(len(logits))] = float32(16 + 3*rng.NormFloat64())
		}
	}},
	{"certain", func(rng *rand.Rand, logits []float32) { // one token has nearly all mass
		for i := range logits {
			logits[i] = float32(2.5 * rng.NormFloat64())
		}
		logits[rng.IntN(len(logits))] = 40
	}},
	{"one-bucket", func(rng *rand.Rand, logits []float32) { // distinct, and all but equal
		for i := range logits {
			logits[i] = 5 + 0.01*rng.Float32()
		}
	}},
	{"cliff", func(rng *rand.Rand, logits []float32) { // bits differ in all exponents
		for i := range logits {
			logits[i] = float32(-math.Exp(20*rng.Float64() - 18))
		}
	}},
	{"zero", func(rng *rand.Rand, logits []float32) { // both zeros and the floats next to them
		for i := range logits {
			logits[i] = float32(rng.IntN(7)-3) * math.SmallestNonzeroFloat32
			if rng.IntN(3) == 0 {
				logits[i] = -logits[i]
			}
		}
	}},
	{"masked", func(rng *rand.Rand, logits []float32) { // most tokens forbidden, many ties
		for i := range logits {
			logits[i] = float32(math.Inf(-1))
			if rng.IntN(10) == 0 {
				logits[i] = float32(rng.IntN(20))
			}
		}
		logits[0] = 0
	}},
}

func makeRow(shape, vocab int, seed uint64) []float32 {
	logits := make([]float32, vocab)
	rows[shape].make(rand.New(rand.NewPCG(seed, uint64(shape))), logits)
	return logits
}

var params = []Params{{1, 0.95}, {1, 1}}

func BenchmarkSample(b *testing.B) {
	for _, vocab := range []int{2048, 152064} {
		for shape := range rows {
			for _, p := range params {
				b.Run(fmt.Sprintf("vocab=%d/%s/top-p=%v", vocab, rows[shape].name, p.TopP), func(b *testing.B) {
					logits := makeRow(shape, vocab, 1)
					var s Sampler
					key := Key{Seed: 42}
					for i := 0; b.Loop(); i++ {
						if _, err := s.Sample(logits, p, key.Uniform(uint32(i))); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

func BenchmarkReference(b *testing.B) {
	logits := makeRow(2, 152064, 1)
	for b.Loop() {
		if _, err := Reference(logits, params[0], 0.5); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUniform(b *testing.B) {
	key := Key{Seed: 42, Prompt: 7, Completion: 3}
	for i := 0; b.Loop(); i++ {
		key.Uniform(uint32(i))
	}
}
