package experiment

import (
	"context"
	"runtime"
	"testing"
)

// The full study, 135,000 completions, does not pile up in memory: what is held is the
// groups that are not written yet, and at the end of an adapter one shard.
func TestMemoryOfAFullStudyIsBounded(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("135,000 completions")
	}
	study, err := NewStudy(DefaultPlan().Full(), makeTaxonomy(t, 5, 8, 5), makeQuestions(t, 20))
	if err != nil {
		t.Fatal(err)
	}
	const textBytes = 600
	model := &fakeModel{filler: textBytes, inFlight: 64}
	perAdapter := study.Size() / 5
	var base uint64
	peaks := make([]uint64, 5)
	model.onEach = func(n int) {
		if n%2500 != 1 {
			return
		}
		heap := liveHeap()
		if n == 1 {
			base = heap
		}
		peaks[(n-1)/perAdapter] = max(peaks[(n-1)/perAdapter], heap)
	}
	if _, err := Run(context.Background(), t.TempDir(), model, inputsOf(study), Options{}); err != nil {
		t.Fatal(err)
	}
	source := uint64(perAdapter * textBytes)
	t.Logf("%d completions, %d MiB of text a source: %d KiB live at the start, at most %d KiB by source",
		study.Size(), source>>20, base>>10, kib(peaks))
	if model.yielded != 135000 {
		t.Errorf("%d completions were generated", model.yielded)
	}
	for i, peak := range peaks {
		if peak-base > source/2 {
			t.Errorf("source %d: %d MiB more than at the start; its text is %d MiB", i, (peak-base)>>20, source>>20)
		}
	}
	if grown := int64(peaks[4]) - int64(peaks[1]); grown > int64(source)/10 {
		t.Errorf("from the second to the last source memory grew by %d MiB", grown>>20)
	}
}

func kib(bytes []uint64) []uint64 {
	out := make([]uint64, len(bytes))
	for i, b := range bytes {
		out[i] = b >> 10
	}
	return out
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
