//go:build cgo

package cudalib

// #include "table.h"
// #include "../cuda/measure.h"
//
// static int k_measure(void *f, pp_rates *r) { return ((__typeof__(pp_measure) *) f)(r); }
import "C"

// Measure finds the device's copy bandwidth and matrix rate. It takes about half a
// second and 2.5 GiB of device memory.
func (k *Kernels) Measure() (Rates, error) {
	f, err := k.Symbol("pp_measure")
	if err != nil {
		return Rates{}, err
	}
	var r C.pp_rates
	if err := k.check("measure", C.k_measure(f, &r)); err != nil {
		return Rates{}, err
	}
	return Rates{Copy: float64(r.copy), Matrix: float64(r.matrix)}, nil
}
