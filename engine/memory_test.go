package engine

import (
	"testing"

	llama "personaprobe/cgo"
)

// llama.cpp spreads layers and caches over all GPUs, so what fits is decided by all.
func TestFreeMemoryOfSeveralGPUs(t *testing.T) {
	const gib = 1 << 30
	gpu := func(free uint64) llama.Device { return llama.Device{Type: gpuType, Free: free, Total: 80 * gib} }
	host := llama.Device{Type: "cpu", Free: 500 * gib}
	for _, c := range []struct {
		devices  []llama.Device
		contexts int
		want     int64
	}{
		{[]llama.Device{host}, 2, 0},
		{[]llama.Device{host, gpu(40 * gib)}, 2, 40 * gib},
		{[]llama.Device{gpu(40 * gib), gpu(10 * gib)}, 1, 50*gib - spare},
		{[]llama.Device{gpu(40 * gib), host, gpu(10 * gib), gpu(10 * gib)}, 2, 60*gib - 4*spare},
	} {
		if got := freeMemory(c.devices, c.contexts); got != c.want {
			t.Errorf("%d devices, %d contexts: %d bytes free, want %d", len(c.devices), c.contexts, got, c.want)
		}
	}
}
