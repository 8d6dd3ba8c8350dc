package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"personaprobe/cgo/cudalib"
	"personaprobe/cgo/native"
)

const gb = 1 << 30

// What is planned fits, all of it; what is refused would not have; and no further set
// would have been allowed.
func TestFootprint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Int64Range(0, 100*gb)
		f := footprint{amount.Draw(t, "free"), amount.Draw(t, "base"), amount.Draw(t, "set"), amount.Draw(t, "decoder"),
			rapid.IntRange(0, 6).Draw(t, "adapters")}
		total := func(sets int) int64 { return f.base + int64(sets)*f.set + f.decoder + nativeSpare }
		least := min(f.adapters, 1)
		n, err := f.sets()
		if (err != nil) != (total(least) > f.free) || err != nil && !errors.Is(err, native.ErrMemory) {
			t.Fatalf("%+v: %v; %d of %d bytes are needed", f, err, total(least), f.free)
		}
		if err != nil {
			return
		}
		if n < least || n > f.adapters || total(n) > f.free || n > 1 && f.base+int64(n)*f.set > f.free/2 {
			t.Fatalf("%+v: %d sets", f, n)
		}
		if n < f.adapters && total(n+1) <= f.free && f.base+int64(n+1)*f.set <= f.free/2 {
			t.Fatalf("%+v: %d sets, one more would do", f, n)
		}
	})
}

// The figures of a model of 7 billion weights in 16 bits on cards that there are.
func TestFootprintOfCards(t *testing.T) {
	const base, set, decoder = 142 * gb / 10, 122 * gb / 10, 4 * gb
	for _, c := range []struct {
		free     float64 // GiB
		adapters int
		want     int // sets; -1: llama.cpp's
	}{
		{12, 0, -1}, // not even the weights
		{15, 0, -1}, // the weights alone, which was once enough to go on
		{18.6, 0, -1},
		{18.8, 0, 0}, // with the spare memory
		{24, 5, -1},
		{32, 5, 1},
		{79, 5, 2},
		{141, 5, 4},
	} {
		f := footprint{int64(c.free * gb), base, set, decoder, c.adapters}
		n, err := f.sets()
		if err != nil {
			n = -1
		}
		if n != c.want {
			t.Errorf("%.1f GiB and %d adapters: %d sets, want %d (%v)", c.free, c.adapters, n, c.want, err)
		}
	}
	f := footprint{15 * gb, base, set, decoder, 0}
	if _, err := f.sets(); err == nil || err.Error() != "out of GPU memory: the weights take 14.2 GiB, cache and buffers at least 4.5; 15.0 GiB are free" {
		t.Errorf("the error is %q", err)
	}
}

// tallies are memorySizes that count blocks and rows.
type tallies struct{ base, set, block, row int64 }

func (s tallies) ModelBytes(native.Shape) int64 { return s.base }
func (s tallies) SetBytes(native.Shape) int64   { return s.set }
func (s tallies) DecoderBytes(_ native.Shape, z native.Sizes) int64 {
	return s.block*int64(z.Blocks) + s.row*int64(max(z.Rows, z.Chunk))
}

func planned(free int64, o *Options) (*nativeModel, error) {
	m := &nativeModel{
		memory: tallies{base: 8 * gb, set: 6 * gb, block: 1 << 20, row: 1 << 20}, device: cudalib.Device{Free: uint64(free)},
		shape: native.Shape{Context: 1 << 15}, adapters: o.Adapters,
	}
	return m, m.plan(o)
}

// The smallest decoder is that of what was asked for, and of hidden states at least; a
// plan that succeeds leaves room for it.
func TestPlan(t *testing.T) {
	least := func(o Options) float64 { // GiB
		lo, hi := int64(0), int64(1<<20)*gb
		for lo+1 < hi {
			middle := (lo + hi) / 2
			if _, err := planned(middle, &o); err == nil {
				hi = middle
			} else {
				lo = middle
			}
		}
		return float64(hi) / gb
	}
	blocks := func(rows, tokens int) float64 { return float64(new(nativeModel).sizes(rows, tokens).Blocks) / 1024 }
	adapters := map[string]string{"x": "x.gguf", "y": "y.gguf"}
	const states = (stateBlocks + nativeStateChunk) / 1024.
	const chunk = nativeChunk / 1024.
	for _, c := range []struct {
		what string
		o    Options
		want float64
	}{
		{"nothing given", Options{}, 8.5 + chunk + blocks(1, 1024)},
		{"an adapter", Options{Adapters: adapters}, 14.5 + chunk + blocks(1, 1024)},
		{"short sequences: the states count", Options{Context: 16}, 8.5 + states},
		{"long sequences", Options{Context: 4096}, 8.5 + chunk + blocks(1, 4096)},
		{"slots of known length", Options{Context: 4096, Slots: 200}, 8.5 + chunk + blocks(200, 4096)},
		{"slots whose length Reserve tells", Options{Slots: 200}, 8.5 + chunk + blocks(1, 1024)},
		{"longer than the model's", Options{Context: 1 << 40}, 8.5 + chunk + blocks(1, 1<<15)},
	} {
		if got := least(c.o); got < c.want-1e-6 || got > c.want+1e-6 {
			t.Errorf("%s: from %.3f GiB on, want %.3f", c.what, got, c.want)
		}
	}
	if _, err := planned(1<<20*gb, &Options{Context: 1024, Slots: 1 << 60}); !errors.Is(err, native.ErrMemory) {
		t.Errorf("2^60 slots: %v", err)
	}
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Context: rapid.IntRange(0, 5000).Draw(t, "context")}
		if rapid.Bool().Draw(t, "adapters") {
			o.Adapters = adapters
		}
		m, err := planned(rapid.Int64Range(0, 60*gb).Draw(t, "free"), &o)
		if err == nil && m.fitting(nativeRows, o.withDefaults(m.shape.Context, true).Context) < 1 {
			t.Fatalf("%+v: planned with %d sets, and no row fits", o, m.maxSets)
		}
	})
}

// Reserve takes as many slots as fit, but not fewer than were asked for.
func TestNativeFit(t *testing.T) {
	m, err := planned(20*gb, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Slots: nativeRows, Context: 1024}
	if err := m.fit(&o, true); err != nil || o.Slots >= nativeRows || o.Slots < 64 {
		t.Errorf("%d slots, %v", o.Slots, err)
	}
	fits := o.Slots
	o.Slots = 3 // of longer sequences, before
	if err := m.fit(&o, true); err != nil || o.Slots != fits {
		t.Errorf("%d slots, want %d: %v", o.Slots, fits, err)
	}
	if err := m.fit(&o, false); err != nil || o.Slots != fits {
		t.Errorf("%d slots fit and then not: %v", fits, err)
	}
	o.Slots = nativeRows
	if err := m.fit(&o, false); !errors.Is(err, native.ErrMemory) || o.Slots != nativeRows {
		t.Errorf("%d slots of those asked for: %v", o.Slots, err)
	}
	o.Context = 1 << 20
	if err := m.fit(&o, true); !errors.Is(err, native.ErrMemory) {
		t.Errorf("not one sequence fits: %v", err)
	}
}

// What keeps the native path from a model is one line of the log where it was not asked
// for, nothing where there is no GPU, and the error where it was.
func TestFallBack(t *testing.T) {
	_, tooLarge := planned(9*gb, &Options{})
	for _, c := range []struct {
		what    string
		backend Backend
		reason  error
		fails   bool
		log     string
	}{
		{"too little memory", BackendAuto, tooLarge, false, "cache and buffers at least"},
		{"too little memory, asked for", BackendNative, tooLarge, true, ""},
		{"another family", BackendAuto, notNative("architecture %q", "llama"), false, "architecture"},
		{"another family, asked for", BackendNative, notNative("architecture %q", "llama"), true, ""},
		{"no GPU", BackendAuto, cudalib.ErrAbsent, false, ""},
		{"no GPU, asked for", BackendNative, cudalib.ErrAbsent, true, ""},
	} {
		var log bytes.Buffer
		before := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		err := (&Options{Backend: c.backend}).fallBack(context.Background(), c.reason)
		slog.SetDefault(before)
		if c.fails && !errors.Is(err, c.reason) || !c.fails && err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		lines := strings.Count(log.String(), "\n")
		if c.log == "" && lines > 0 || c.log != "" && (lines != 1 || !strings.Contains(log.String(), c.log)) {
			t.Errorf("%s: the log says %q", c.what, log.String())
		}
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if err := (&Options{}).fallBack(stopped, context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
