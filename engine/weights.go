package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	llama "personaprobe/cgo"
	"personaprobe/cgo/cudalib"
)

// weights merges adapters into the model's weights on the device, so that decoding
// with one costs what the base model costs. All lanes compute with the same weights: a
// lane that needs another adapter waits until no lane holds the present one.
type weights struct {
	merger *cudalib.Merger
	pairs  map[string][]llama.Pair // by adapter

	mu      sync.Mutex
	changed sync.Cond
	now     string        // the adapter merged in, "" for the base
	holders int           // lanes that compute with it
	took    time.Duration // of the last change
}

// errCannotMerge means that adapters have to be applied at run time.
var errCannotMerge = errors.New("engine: adapters cannot be merged into the weights")

// newWeights prepares to merge the adapters, all of them or none.
func newWeights(k *cudalib.Kernels, adapters map[string]*llama.Adapter, onHost bool) (*weights, error) {
	w := &weights{pairs: map[string][]llama.Pair{"": nil}}
	w.changed.L = &w.mu
	for name, a := range adapters {
		pairs, err := a.Pairs()
		if err != nil {
			return nil, fmt.Errorf("%w: adapter %s: %w", errCannotMerge, name, err)
		}
		for i := range pairs {
			if !mergeable(pairs[i].WType) || pairs[i].OnHost != onHost {
				return nil, fmt.Errorf("%w: adapter %s changes a weight of another type or place", errCannotMerge, name)
			}
		}
		w.pairs[name] = pairs
	}
	var err error
	w.merger, err = k.NewMerger()
	return w, err
}

func mergeable(t int) bool { return t == llama.TypeF32 || t == llama.TypeF16 || t == llama.TypeBF16 }

// acquire makes the weights those of an adapter and holds them so until release.
func (w *weights) acquire(adapter string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.holders > 0 && w.now != adapter {
		w.changed.Wait()
	}
	if w.now != adapter {
		start := time.Now()
		if err := w.merger.Set(w.pairs[adapter], 1); err != nil {
			w.now = ""
			return err
		}
		w.now, w.took = adapter, time.Since(start)
		slog.Debug("merged adapter", "adapter", adapter, "weights", len(w.pairs[adapter]), "took", w.took)
	}
	w.holders++
	return nil
}

func (w *weights) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holders--
	w.changed.Broadcast()
}

// copies is about how many bytes of device memory the copies of the base weights will
// take, 0 if the first have been made.
func (w *weights) copies() int64 {
	if w.took > 0 {
		return 0
	}
	sizes := map[cudalib.Memory]int64{}
	for _, pairs := range w.pairs {
		for i := range pairs {
			sizes[pairs[i].W] = int64(pairs[i].Bytes)
		}
	}
	var sum int64
	for _, n := range sizes {
		sum += n
	}
	return sum
}

func (w *weights) close() error { return w.merger.Close() }

// hold is one lane's use of the weights.
type hold struct {
	w    *weights
	held bool
}

func (h *hold) use(adapter string) error {
	h.release()
	if err := h.w.acquire(adapter); err != nil {
		return err
	}
	h.held = true
	return nil
}

func (h *hold) release() {
	if h.held {
		h.w.release()
		h.held = false
	}
}
