package sampler

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// alpha is the level of each goodness-of-fit test here. The seeds are fixed, so a
// test passes or fails for good; alpha is small because there are some fifty of them.
const alpha = 1e-4

// chiSquare returns Pearson's p-value of counts under the probabilities expected. Rare
// cells are put together until 5 counts are expected; a count where the probability is
// 0 gives 0.
func chiSquare(counts, expected []float64) (p float64) {
	n := 0.0
	byRarity := make([]int, len(counts))
	for i, c := range counts {
		n += c
		byRarity[i] = i
		if expected[i] == 0 && c > 0 {
			return 0
		}
	}
	slices.SortStableFunc(byRarity, func(a, b int) int { return cmp.Compare(expected[a], expected[b]) })
	stat, freedom := 0.0, -1.0
	var count, mean float64
	for k, i := range byRarity {
		count, mean = count+counts[i], mean+n*expected[i]
		if mean >= 5 || k == len(byRarity)-1 {
			stat += (count - mean) * (count - mean) / mean
			freedom++
			count, mean = 0, 0
		}
	}
	if freedom < 1 {
		return 1
	}
	return distuv.ChiSquared{K: freedom}.Survival(stat)
}

// textbook is the truncated distribution in plain floats and with another exp, its
// nucleus longer by extra tokens than it should be.
func textbook(logits []float32, p Params, extra int) []float64 {
	probs := make([]float64, len(logits))
	ids := make([]int, len(logits))
	top, sum := float64(slices.Max(logits)), 0.0
	for i, l := range logits {
		ids[i] = i
		probs[i] = math.Exp((float64(l) - top) / float64(p.Temperature))
		sum += probs[i]
	}
	slices.SortFunc(ids, func(a, b int) int {
		return cmp.Or(cmp.Compare(logits[b], logits[a]), cmp.Compare(a, b))
	})
	kept, size := 0.0, 0
	for size < len(ids) && kept < float64(p.TopP)*sum {
		kept += probs[ids[size]]
		size++
	}
	size = min(max(size+extra, 1), len(ids))
	kept = 0
	for _, i := range ids[:size] {
		kept += probs[i]
	}
	for _, i := range ids[size:] {
		probs[i] = 0
	}
	for i := range probs {
		probs[i] /= kept
	}
	return probs
}

// draws counts the tokens of n positions of one completion.
func draws(t *testing.T, logits []float32, p Params, n uint32, seed uint64) []float64 {
	t.Helper()
	counts := make([]float64, len(logits))
	var s Sampler
	key := Key{Seed: seed, Prompt: 99}
	for i := range n {
		c, err := s.Sample(logits, p, key.Uniform(i))
		if err != nil {
			t.Fatal(err)
		}
		counts[c.Token]++
	}
	return counts
}

func gaussianRow(vocab int, sd float64, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 0))
	logits := make([]float32, vocab)
	for i := range logits {
		logits[i] = float32(sd * rng.NormFloat64())
	}
	return logits
}

func TestFrequencies(t *testing.T) {
	negInf := float32(math.Inf(-1))
	cases := map[string][]float32{
		"ten tokens": {2, -1, 0.5, 3, 3.1, -4, 1, 0, 2.5, -0.5},
		"ties":       {1, 2, 2, 1, 2, 0, 0, 2, 1, 2, 2},
		"forbidden":  {negInf, 1, negInf, 0.5, 2, negInf},
		"one token":  {7},
		"gaussian":   gaussianRow(300, 2, 1),
		"two spikes": append(gaussianRow(100, 1, 2), 9, 9.5),
	}
	for name, logits := range cases {
		for _, p := range []Params{{1, 0.95}, {1, 1}, {0.5, 0.9}, {2, 0.5}, {1, 0.01}, {8, 0.999}} {
			counts := draws(t, logits, p, 20_000, 42)
			if got := chiSquare(counts, textbook(logits, p, 0)); got < alpha {
				t.Errorf("%s, %+v: frequencies do not fit: p = %g", name, p, got)
			}
		}
	}
}

// A nucleus without its crossing token, or with one more, must not pass the same test.
func TestFrequenciesDetectOffByOne(t *testing.T) {
	logits := []float32{2, -1, 0.5, 3, 3.1, -4, 1, 0, 2.5, -0.5}
	for _, p := range []Params{{1, 0.95}, {0.5, 0.9}, {2, 0.5}} {
		counts := draws(t, logits, p, 20_000, 42)
		for _, extra := range []int{-1, 1} {
			if got := chiSquare(counts, textbook(logits, p, extra)); got >= alpha {
				t.Errorf("%+v: a nucleus of %+d tokens passes: p = %g", p, extra, got)
			}
		}
	}
}

// Neither may a temperature 10 % off.
func TestFrequenciesDetectTemperature(t *testing.T) {
	logits := gaussianRow(50, 2, 5)
	for _, temperature := range []float32{0.5, 1, 2} {
		counts := draws(t, logits, Params{temperature, 1}, 50_000, 42)
		for _, wrong := range []float32{0.9, 1.1} {
			if got := chiSquare(counts, textbook(logits, Params{wrong * temperature, 1}, 0)); got >= alpha {
				t.Errorf("temperature %v: %v times it passes: p = %g", temperature, wrong, got)
			}
		}
	}
}

// The draws of different completions of one prompt make a sample as well.
func TestFrequenciesAcrossKeys(t *testing.T) {
	logits, p := gaussianRow(50, 1.5, 3), Params{1, 0.95}
	keys := map[string]func(i int) float64{
		"completions": func(i int) float64 { return Key{Seed: 137, Completion: uint32(i)}.Uniform(7) },
		"prompts":     func(i int) float64 { return Key{Seed: 137, Prompt: PromptHash([]int32{int32(i)})}.Uniform(0) },
		"seeds":       func(i int) float64 { return Key{Seed: uint64(i)}.Uniform(0) },
	}
	for name, u := range keys {
		counts := make([]float64, len(logits))
		var s Sampler
		for i := range 20_000 {
			c, err := s.Sample(logits, p, u(i))
			if err != nil {
				t.Fatal(err)
			}
			counts[c.Token]++
		}
		if got := chiSquare(counts, textbook(logits, p, 0)); got < alpha {
			t.Errorf("%s: frequencies do not fit: p = %g", name, got)
		}
	}
}

func TestLogProb(t *testing.T) {
	logits := gaussianRow(500, 3, 4)
	for _, temperature := range []float32{0.3, 1, 4} {
		p := Params{temperature, 0.9}
		full := textbook(logits, Params{temperature, 1}, 0)
		kept := textbook(logits, p, 0)
		for _, u := range []float64{0, 0.2, 0.5, 0.8, 1 - 0x1p-53} {
			c, err := Reference(logits, p, u)
			if err != nil {
				t.Fatal(err)
			}
			if want := math.Log(full[c.Token]); math.Abs(c.LogProb-want) > 1e-9 {
				t.Errorf("T=%v u=%v: log-probability %v, want %v", temperature, u, c.LogProb, want)
			}
			if want := full[c.Token] / kept[c.Token]; math.Abs(c.NucleusMass-want) > 1e-9 {
				t.Errorf("T=%v u=%v: nucleus mass %v, want %v", temperature, u, c.NucleusMass, want)
			}
		}
	}
}

func ExampleSampler() {
	prompt := []int32{151644, 8948, 198}
	logits := []float32{1, 3.5, 0.2, 3, -2} // from the model
	key := Key{Seed: 42, Prompt: PromptHash(prompt), Completion: 0}

	var s Sampler
	for position := range uint32(5) {
		c, err := s.Sample(logits, Params{Temperature: 1, TopP: 0.95}, key.Uniform(position))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("token %d of %d, log-probability %.3f\n", c.Token, c.NucleusSize, c.LogProb)
	}
	// Output:
	// token 1 of 3, log-probability -0.548
	// token 3 of 3, log-probability -1.048
	// token 1 of 3, log-probability -0.548
	// token 1 of 3, log-probability -0.548
	// token 3 of 3, log-probability -1.048
}
