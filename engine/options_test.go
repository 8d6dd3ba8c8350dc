package engine

import (
	"errors"
	"testing"

	llama "personaprobe/cgo"
)

// On a GPU the default is two full contexts; slots that are given get as few contexts as
// hold them, because the number of rows belongs to a result.
func TestDefaultsOnGPU(t *testing.T) {
	for _, c := range []struct{ slots, contexts, wantSlots, wantContexts int }{
		{0, 0, 512, 2}, {256, 0, 256, 1}, {257, 0, 257, 2}, {512, 0, 512, 2}, {1024, 0, 1024, 4}, {4, 0, 4, 1},
		{0, 1, 256, 1}, {0, 3, 768, 3}, {128, 2, 128, 2},
	} {
		o := Options{Model: "m", Slots: c.slots, Contexts: c.contexts}.withDefaults(0, true)
		if o.Slots != c.wantSlots || o.Contexts != c.wantContexts {
			t.Errorf("%d slots in %d contexts became %d in %d, want %d in %d", c.slots, c.contexts, o.Slots, o.Contexts, c.wantSlots, c.wantContexts)
		}
	}
}

// An adapter without a name would never be applied.
func TestAdaptersHaveNames(t *testing.T) {
	o := Options{Model: "m", Adapters: map[string]string{"": "x.gguf"}}
	if err := o.Validate(); !errors.Is(err, ErrOptions) {
		t.Errorf("an adapter without a name: %v", err)
	}
}

// What the caller left open is reduced to full contexts, then to what fits; sizes that
// were given are an error that says what would fit.
func TestFit(t *testing.T) {
	e := &Engine{info: llama.ModelInfo{Layers: 28, Hidden: 3584, Heads: 28, KVHeads: 4}, model: &llama.Model{}}
	row := int64(e.cacheBytes(541)) + sparePerRow
	for _, c := range []struct {
		rows            int64 // that are free beside what is spared
		contexts        int64
		open            bool
		slots, inFit    int
		wantSlots, want int // 0: an error
	}{
		{512, 2, true, 512, 2, 512, 2},
		{511, 2, true, 512, 2, 256, 1}, // two contexts would have different numbers of rows
		{255, 1, true, 512, 2, 255, 1},
		{1, 1, true, 512, 2, 0, 0}, // a lone row needs a neighbour
		{255, 1, false, 256, 1, 0, 0},
		{256, 1, false, 256, 1, 256, 1},
	} {
		o := Options{Context: 540, Slots: c.slots, Contexts: c.inFit}
		err := e.fitIn(&o, c.open, spare*c.contexts+c.rows*row)
		switch {
		case c.want == 0 && !errors.Is(err, llama.ErrMemory):
			t.Errorf("%+v: %v, want ErrMemory", c, err)
		case c.want != 0 && (err != nil || o.Slots != c.wantSlots || o.Contexts != c.want):
			t.Errorf("%+v: %d slots in %d contexts, %v", c, o.Slots, o.Contexts, err)
		}
	}
}
