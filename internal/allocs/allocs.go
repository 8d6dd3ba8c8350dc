// Package allocs measures allocations in tests: a reader of hostile files must
// not allocate what the header announces but what the file can hold.
package allocs

import "runtime/metrics"

const heapAllocs = "/gc/heap/allocs:bytes"

// During returns about how many bytes f allocates on the heap. Other goroutines
// count too, and small objects only by whole spans: it is for bounds with
// megabytes to spare.
func During(f func()) uint64 {
	before := total()
	f()
	return total() - before
}

func total() uint64 {
	sample := []metrics.Sample{{Name: heapAllocs}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
