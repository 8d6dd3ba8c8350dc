package sampler

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// pow2 is 2^(n/32) to 150 bits, by square roots.
func pow2(n int) *big.Float {
	root := new(big.Float).SetPrec(200).SetInt64(2)
	for range 5 {
		root.Sqrt(root)
	}
	x := new(big.Float).SetPrec(200).SetInt64(1)
	for range n & 31 {
		x.Mul(x, root)
	}
	return x.SetMantExp(x, n>>5)
}

func bigExp(x *big.Float) *big.Float {
	x = new(big.Float).SetPrec(200).SetMantExp(x, -12)
	sum := new(big.Float).SetPrec(200).SetInt64(1)
	term := new(big.Float).SetPrec(200).SetInt64(1)
	for i := int64(1); i < 40; i++ {
		term.Mul(term, x).Quo(term, new(big.Float).SetInt64(i))
		sum.Add(sum, term)
	}
	for range 12 {
		sum.Mul(sum, sum)
	}
	return sum
}

// ln2 comes from Newton's method on exp(x) = 2.
func ln2() *big.Float {
	x := new(big.Float).SetPrec(200).SetFloat64(math.Ln2)
	for range 3 {
		e := bigExp(new(big.Float).Neg(x))
		x.Add(x, e.Mul(e, big.NewFloat(2)).Sub(e, big.NewFloat(1)))
	}
	return x
}

func TestConstants(t *testing.T) {
	for j, got := range exp2Table {
		if want, _ := pow2(j).Float64(); got != want {
			t.Errorf("exp2Table[%d] = %x, want %x", j, got, want)
		}
	}
	for b, got := range bucketMass {
		if want, _ := pow2(32*massBits - b).Float64(); got != want {
			t.Errorf("bucketMass[%d] = %x, want %x", b, got, want)
		}
	}
	c := new(big.Float).Quo(ln2(), big.NewFloat(32))
	term := new(big.Float).SetPrec(200).SetInt64(1)
	for i, got := range []float64{c1, c2, c3, c4, c5} {
		term.Mul(term, c).Quo(term, new(big.Float).SetInt64(int64(i+1)))
		if want, _ := term.Float64(); got != want {
			t.Errorf("coefficient %d = %x, want %x", i+1, got, want)
		}
	}
	if want, _ := new(big.Float).Quo(big.NewFloat(1).SetPrec(200), c).Float64(); newScale(0, 1).rate != want {
		t.Errorf("rate at temperature 1 = %x, want %x", newScale(0, 1).rate, want)
	}
}

// The documented error: a mass is within 0.6 of 2^44·exp((l − max)/T).
func TestMassError(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	worst := 0.0
	for i := range 4000 {
		temperature := float32(math.Exp(4 * rng.NormFloat64()))
		top := float32(30 * rng.NormFloat64())
		logit := top - float32(30.4*float64(temperature)*math.Pow(rng.Float64(), 3))
		s := newScale(top, temperature)
		d := s.depth(logit)
		if d > buckets-1 { // the subtraction rounded
			continue
		}
		x := new(big.Float).SetPrec(200).SetFloat64(float64(logit))
		x.Sub(x, big.NewFloat(float64(top))).Quo(x, big.NewFloat(float64(temperature)))
		exact := bigExp(x)
		exact.SetMantExp(exact, massBits)
		diff, _ := exact.Sub(exact, new(big.Float).SetUint64(mass(split(d)))).Float64()
		if worst = max(worst, math.Abs(diff)); math.Abs(diff) > 0.6 {
			t.Fatalf("row %d: logit %v under %v at temperature %v: mass is off by %v", i, logit, top, temperature, diff)
		}
	}
	t.Logf("largest error: %.4f", worst)
}

// The digest of masses over a grid comes from an independent version in Python, whose
// floats are never fused. It holds on every machine, whatever its compiler's flags.
func TestMassGolden(t *testing.T) {
	var digest uint64
	for i := range 1408*97 + 1 {
		digest = digest*6364136223846793005 + mass(split(float64(i)/97))
	}
	if digest != 0xf14c2dbc33ce20d1 {
		t.Errorf("digest = %#x; the masses differ from the definition: was a product fused?", digest)
	}
	for d, want := range map[float64]uint64{
		0: 1 << 44, 0.5: 17402683248456, 1: 17215221774115,
		46.16624130844683: 6471803571004, 100.25: 2005622882521, 1408: 1,
	} {
		if got := mass(split(d)); got != want {
			t.Errorf("mass at depth %v = %d, want %d", d, got, want)
		}
	}
}

// What lets Sampler find the end of the nucleus by bucket and by bisection: buckets
// never fall as the logit falls, and no token in a bucket lacks mass.
func TestBucketsFollowLogits(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		top := float32(math.Ldexp(rng.NormFloat64(), rng.IntN(20)-10))
		s := newScale(top, float32(math.Exp(3*rng.NormFloat64())))
		l, last := top, uint32(0)
		for range 2000 {
			d := s.depth(l)
			if d > buckets-1 {
				break
			}
			b, rest := split(d)
			if b < last || b >= buckets || math.Abs(rest) > 0.5 || mass(b, rest) == 0 {
				t.Fatalf("logit %v under %v: bucket %d after %d, rest %v, mass %d", l, top, b, last, rest, mass(b, rest))
			}
			last = b
			for range 1 + rng.IntN(3) {
				l = math.Nextafter32(l, float32(math.Inf(-1)))
			}
			if rng.IntN(4) == 0 {
				l -= float32(rng.Float64() / s.rate)
			}
		}
	}
}
