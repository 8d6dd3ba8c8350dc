package hidden

import "math"

// distribution is the softmax of logits.
type distribution struct {
	logits []float32
	p      []float64 // probabilities
	logSum float64   // of the exponentials: log p[i] = logits[i] - logSum
}

// set takes logits over; they are copied.
func (d *distribution) set(logits []float32) {
	d.logits = append(d.logits[:0], logits...)
}

// normalise computes the probabilities.
func (d *distribution) normalise() {
	if len(d.p) != len(d.logits) {
		d.p = make([]float64, len(d.logits))
	}
	largest := float64(d.logits[0])
	for _, x := range d.logits {
		largest = max(largest, float64(x))
	}
	sum := 0.0
	for i, x := range d.logits {
		d.p[i] = math.Exp(float64(x) - largest)
		sum += d.p[i]
	}
	for i := range d.p {
		d.p[i] /= sum
	}
	d.logSum = largest + math.Log(sum)
}

// divergences are the Jensen-Shannon divergence and the symmetric Kullback-Leibler
// divergence of two distributions, in nats:
//
//	JS(P, Q)    = KL(P, M) / 2 + KL(Q, M) / 2 with M = (P + Q) / 2, from 0 to ln 2
//	symKL(P, Q) = KL(P, Q) / 2 + KL(Q, P) / 2 = sum (p - q) (log p - log q) / 2
//
// (J. Lin, Divergence measures based on the Shannon entropy, 1991; H. Jeffreys' J is
// twice the latter.) Logarithms of p come from the logits, so that they are finite
// where p has underflowed. Products are rounded before they are added, as everywhere
// in this package.
func divergences(a, b *distribution) (js, symmetricKL float64) {
	for i, p := range a.p {
		q := b.p[i]
		logP, logQ := float64(a.logits[i])-a.logSum, float64(b.logits[i])-b.logSum
		symmetricKL += float64((p - q) * (logP - logQ))
		if m := (p + q) / 2; m > 0 {
			logM := math.Log(m)
			js += float64(p*(logP-logM)) + float64(q*(logQ-logM))
		}
	}
	return max(0, js/2), max(0, symmetricKL/2)
}

// KL is the Kullback-Leibler divergence KL(P || Q) = sum p (log p - log q) of the softmaxes
// of two rows of logits of equal length, in nats, from 0. It is NaN where logits are not
// finite.
func KL(p, q []float32) float64 {
	var a, b distribution
	a.set(p)
	b.set(q)
	a.normalise()
	b.normalise()
	sum := 0.0
	for i, pi := range a.p {
		sum += float64(pi * ((float64(a.logits[i]) - a.logSum) - (float64(b.logits[i]) - b.logSum)))
	}
	return max(0, sum) // NaN stays
}
