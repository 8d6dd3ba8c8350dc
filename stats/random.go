package stats

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
)

// stream is the random numbers of one replicate. ChaCha8's output is fixed by its
// specification, unlike the methods of rand.Rand, and streams with different keys
// are independent, so neither a Go release nor the order of work changes a result.
type stream struct{ source *rand.ChaCha8 }

// newStream keys a stream by seed, purpose (at most 16 bytes, so that a bootstrap
// and a permutation test with one seed differ) and replicate.
func newStream(seed uint64, purpose string, replicate int) stream {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(replicate))
	copy(key[16:], purpose)
	return stream{rand.NewChaCha8(key)}
}

// below returns a uniform integer in [0, n) for n > 0, without bias (Lemire 2019).
func (s stream) below(n int) int {
	bound := uint64(n)
	high, low := bits.Mul64(s.source.Uint64(), bound)
	if low < bound {
		for reject := -bound % bound; low < reject; {
			high, low = bits.Mul64(s.source.Uint64(), bound)
		}
	}
	return int(high)
}

// fill draws len(index) integers in [0, n) with replacement.
func (s stream) fill(index []int, n int) {
	for i := range index {
		index[i] = s.below(n)
	}
}

// shuffle permutes x uniformly (Fisher and Yates).
func shuffle[T any](s stream, x []T) {
	for i := len(x) - 1; i > 0; i-- {
		j := s.below(i + 1)
		x[i], x[j] = x[j], x[i]
	}
}

// parallel calls work(i) for every i in [0, n) on all cores. Each call writes to
// its own place, so the result does not depend on the schedule.
func parallel(n int, work func(i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				work(i)
			}
		})
	}
	group.Wait()
}
