package stats

import (
	"math"
	"math/rand/v2"
)

// normals makes the data of simulations.
type normals struct{ *rand.Rand }

func newNormals(seed uint64) normals { return normals{rand.New(rand.NewPCG(seed, 0))} }

func (n normals) next() float64 { return n.NormFloat64() }

// vector returns n values of f.
func (n normals) vector(size int, f func() float64) []float64 {
	x := make([]float64, size)
	for i := range x {
		x[i] = f()
	}
	return x
}

// correlated returns vectors of standard normals with correlation rho.
func (n normals) correlated(size int, rho float64) (x, y []float64) {
	x, y = n.vector(size, n.next), n.vector(size, n.next)
	for i := range y {
		y[i] = rho*x[i] + math.Sqrt(1-rho*rho)*y[i]
	}
	return x, y
}
