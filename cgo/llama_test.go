package llama_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	llama "personaprobe/cgo"
	"personaprobe/internal/golden"
	"personaprobe/internal/tinytest"
	"personaprobe/models/tiny"
)

func openModel(t testing.TB) (*llama.Model, tiny.Files) {
	t.Helper()
	f := tinytest.Files(t)
	m, err := llama.OpenModel(f.Model, llama.ModelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m, f
}

func newContext(t testing.TB, m *llama.Model, opts llama.ContextOptions) *llama.Context {
	t.Helper()
	if opts.Sequences == 0 {
		opts.Sequences = 4
	}
	opts.Cells, opts.Batch, opts.Threads, opts.KVType = 256, 256, 1, llama.TypeF16
	c, err := m.NewContext(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// feed adds tokens to a sequence; the last two are outputs, because a single row
// takes another kernel.
func feed(b *llama.Batch, seq int, tokens []int32) {
	for i, tok := range tokens {
		b.Add(tok, int32(i), int32(seq), i >= len(tokens)-2)
	}
}

// Logits of the base model and every adapter agree with transformers' float32
// values; the error is relative to the spread of the logits. Where the golden margin
// exceeds the error, the most probable token is the same.
func TestLogitsGolden(t *testing.T) {
	m, f := openModel(t)
	c := newContext(t, m, llama.ContextOptions{})
	sets, err := golden.Load()
	if err != nil {
		t.Fatal(err)
	}
	vocab := m.Info().Vocab
	for _, set := range sets {
		for _, model := range set.Models {
			if model != "base" {
				a, err := m.OpenAdapter(f.Adapters[model])
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close()
				if err := c.SetAdapter(a, 1); err != nil {
					t.Fatal(err)
				}
			} else if err := c.SetAdapter(nil, 0); err != nil {
				t.Fatal(err)
			}
			want, ok := set.Logits(model)
			if !ok {
				t.Fatalf("no golden logits of %s", model)
			}
			worst := 0.0
			for _, p := range set.Prompts {
				ids := make([]int32, len(p.IDs))
				for i, id := range p.IDs {
					ids[i] = int32(id)
				}
				var b llama.Batch
				feed(&b, 0, ids)
				if err := c.Decode(&b, nil); err != nil {
					t.Fatal(err)
				}
				logits, err := c.Logits()
				if err != nil {
					t.Fatal(err)
				}
				worst = math.Max(worst, checkRow(t, model, logits[vocab:2*vocab], want.Row(p.Row)))
				if err := c.Clear(); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%s %s: error of the logits at most %.2g of their standard deviation", set.Name, model, worst)
		}
	}
}

func checkRow(t *testing.T, model string, got, want []float32) float64 {
	t.Helper()
	var mean, variance, diff float64
	for _, w := range want {
		mean += float64(w) / float64(len(want))
	}
	for i, w := range want {
		variance += (float64(w) - mean) * (float64(w) - mean) / float64(len(want))
		diff = math.Max(diff, math.Abs(float64(got[i])-float64(w)))
	}
	e := diff / math.Sqrt(variance)
	if !(e <= 2e-2) {
		t.Errorf("%s: logits are off by %.3g standard deviations", model, e)
	}
	sorted := slices.Sorted(slices.Values(want))
	margin := float64(sorted[len(sorted)-1] - sorted[len(sorted)-2])
	if margin > 2*diff && argmax(got) != argmax(want) {
		t.Errorf("%s: most probable token is %d, want %d", model, argmax(got), argmax(want))
	}
	return e
}

func argmax(x []float32) int { return slices.Index(x, slices.Max(x)) }

// A fork continues as its source does, and changes nothing in it.
func TestFork(t *testing.T) {
	m, _ := openModel(t)
	c := newContext(t, m, llama.ContextOptions{})
	var b llama.Batch
	feed(&b, 0, []int32{10, 20, 30, 40, 50})
	must(t, c.Decode(&b, nil))
	must(t, c.Fork(1, 0))
	must(t, c.Fork(2, 0))
	must(t, c.Fork(2, 2))
	b.Reset()
	for seq := range int32(3) {
		b.Add(60, 5, seq, true)
	}
	must(t, c.Decode(&b, nil))
	logits, err := c.Logits()
	must(t, err)
	n := m.Info().Vocab
	if !slices.Equal(logits[:n], logits[n:2*n]) || !slices.Equal(logits[:n], logits[2*n:3*n]) {
		t.Error("a fork's logits differ from its source's")
	}
	must(t, c.Remove(1, 3))
	b.Reset()
	b.Add(40, 3, 1, true)
	b.Add(50, 4, 1, true)
	must(t, c.Decode(&b, nil))
	again, err := c.Logits()
	must(t, err)
	if len(again) != 2*n {
		t.Errorf("%d values, want %d", len(again), 2*n)
	}
}

// A tap reads what it names, and with Stop nothing after it is computed.
func TestTap(t *testing.T) {
	m, _ := openModel(t)
	c := newContext(t, m, llama.ContextOptions{Taps: true})
	tokens := []int32{10, 20, 30, 40, 50, 60}
	hidden := m.Info().Hidden
	read := func(names []string, stop bool) []float32 {
		var b llama.Batch
		feed(&b, 0, tokens)
		tap := llama.Tap{Names: names, Rows: []int32{2, 5}, Stop: stop, Dst: make([]float32, len(names)*2*hidden)}
		for i := range tap.Dst {
			tap.Dst[i] = float32(math.NaN()) // must all be overwritten
		}
		if slices.Contains(names, "l_out-27") {
			tap.Rows = []int32{5, 5}
		}
		must(t, c.Decode(&b, &tap))
		must(t, c.Clear())
		if slices.ContainsFunc(tap.Dst, func(x float32) bool { return x != x }) {
			t.Errorf("%v: not every value was written", names)
		}
		return tap.Dst
	}
	both := read([]string{"l_out-3", "l_out-15"}, true)
	if !slices.Equal(both[2*hidden:], read([]string{"l_out-15"}, false)) {
		t.Error("a layer's rows depend on which others are read, or on stopping")
	}
	if slices.Equal(both[:2*hidden], both[2*hidden:]) {
		t.Error("two layers have the same rows")
	}
	read([]string{"l_out-27"}, true)
	var b llama.Batch
	feed(&b, 0, tokens)
	err := c.Decode(&b, &llama.Tap{Names: []string{"l_out-99"}, Rows: []int32{0}, Dst: make([]float32, hidden)})
	if !errors.Is(err, llama.ErrBatch) {
		t.Errorf("a tensor that is not there: %v", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What llama.cpp would answer with an abort of the process is an error here.
func TestBadBatch(t *testing.T) {
	m, _ := openModel(t)
	c := newContext(t, m, llama.ContextOptions{})
	for name, b := range map[string]llama.Batch{
		"empty":             {},
		"negative token":    {Tokens: []int32{-1}, Pos: []int32{0}, Seq: []int32{0}, Output: []int8{1}},
		"unknown token":     {Tokens: []int32{2048}, Pos: []int32{0}, Seq: []int32{0}, Output: []int8{1}},
		"unknown sequence":  {Tokens: []int32{1}, Pos: []int32{0}, Seq: []int32{4}, Output: []int8{1}},
		"negative sequence": {Tokens: []int32{1}, Pos: []int32{0}, Seq: []int32{-1}, Output: []int8{1}},
		"far position":      {Tokens: []int32{1}, Pos: []int32{256}, Seq: []int32{0}, Output: []int8{1}},
		"gap":               {Tokens: []int32{1, 1}, Pos: []int32{0, 5}, Seq: []int32{0, 0}, Output: []int8{1, 1}},
		"uneven":            {Tokens: []int32{1, 1}, Pos: []int32{0}, Seq: []int32{0}, Output: []int8{1}},
		"too long": {Tokens: make([]int32, 257), Pos: make([]int32, 257), Seq: make([]int32, 257),
			Output: make([]int8, 257)},
	} {
		if err := c.Decode(&b, nil); !errors.Is(err, llama.ErrBatch) {
			t.Errorf("%s: %v", name, err)
		}
		must(t, c.Clear())
	}
	var b llama.Batch
	feed(&b, 0, []int32{1, 2, 3})
	if err := c.Decode(&b, &llama.Tap{Names: []string{"l_out-1"}}); !errors.Is(err, llama.ErrBatch) {
		t.Errorf("tap of a context without taps: %v", err)
	}
	if err := c.Decode(&b, nil); err != nil {
		t.Errorf("a good batch after bad ones: %v", err)
	}
}

func TestBadFiles(t *testing.T) {
	m, f := openModel(t)
	dir := t.TempDir()
	data, err := os.ReadFile(f.Model)
	must(t, err)
	truncated := filepath.Join(dir, "truncated.gguf")
	must(t, os.WriteFile(truncated, data[:len(data)/2], 0o600))
	garbage := filepath.Join(dir, "garbage.gguf")
	must(t, os.WriteFile(garbage, []byte("not a model"), 0o600))
	for _, path := range []string{filepath.Join(dir, "missing.gguf"), dir, truncated, garbage} {
		if _, err := llama.OpenModel(path, llama.ModelOptions{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("model %s: %v", path, err)
		}
		if _, err := m.OpenAdapter(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("adapter %s: %v", path, err)
		}
	}
	if _, err := m.OpenAdapter(f.Model); !errors.Is(err, llama.ErrLoad) {
		t.Errorf("a model as adapter: %v", err)
	}
}

// Use after close is an error, closing twice is not, and the model outlives its
// own Close while a context needs it.
func TestClose(t *testing.T) {
	m, f := openModel(t)
	c := newContext(t, m, llama.ContextOptions{})
	a, err := m.OpenAdapter(f.Adapters["villain"])
	must(t, err)
	must(t, m.Close())
	must(t, m.Close())
	var b llama.Batch
	feed(&b, 0, []int32{1, 2, 3})
	must(t, c.Decode(&b, nil)) // the weights are still there
	must(t, a.Close())
	must(t, a.Close())
	if err := c.SetAdapter(a, 1); !errors.Is(err, llama.ErrClosed) {
		t.Errorf("a closed adapter: %v", err)
	}
	must(t, c.Close())
	must(t, c.Close())
	c.Abort(true)
	for name, err := range map[string]error{
		"decode": c.Decode(&b, nil), "clear": c.Clear(), "remove": c.Remove(0, 0), "fork": c.Fork(1, 0),
		"adapter": c.SetAdapter(nil, 0), "logits": second(c.Logits()),
		"context": second(m.NewContext(llama.ContextOptions{Sequences: 1, Cells: 1, Batch: 1})),
		"open":    second(m.OpenAdapter(f.Adapters["villain"])),
		"encode":  second(m.Vocab().Tokenize("a", false)), "decode text": second(m.Vocab().Detokenize([]int32{1}, false)),
	} {
		if !errors.Is(err, llama.ErrClosed) {
			t.Errorf("%s after close: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestAbort(t *testing.T) {
	m, _ := openModel(t)
	c := newContext(t, m, llama.ContextOptions{})
	var b llama.Batch
	feed(&b, 0, []int32{1, 2, 3})
	c.Abort(true)
	if err := c.Decode(&b, nil); !errors.Is(err, llama.ErrAborted) {
		t.Errorf("got %v", err)
	}
	c.Abort(false)
	must(t, c.Clear())
	must(t, c.Decode(&b, nil))
}

// Any text survives a round trip, and hostile lengths and bytes are no trouble.
func TestTokenizeRoundTrip(t *testing.T) {
	m, _ := openModel(t)
	v := m.Vocab()
	for _, text := range []string{"", "a", " ", "\n\n", "Grüße, 世界 🙂", "a\x00b", strings.Repeat("word ", 20000), "<|im_end|>", "1234567890"} {
		ids, err := v.Tokenize(text, false)
		must(t, err)
		back, err := v.Detokenize(ids, true)
		must(t, err)
		if back != text {
			t.Errorf("%.40q became %.40q", text, back)
		}
	}
	if _, err := v.Detokenize([]int32{-1}, false); !errors.Is(err, llama.ErrTokenize) {
		t.Errorf("token -1: %v", err)
	}
	if _, err := v.Tokenize("\xff\xfe invalid", false); err != nil {
		t.Errorf("invalid UTF-8: %v", err)
	}
}

// Opening and closing over and over leaves no memory behind.
func TestNoLeak(t *testing.T) {
	f := tinytest.Files(t)
	cycle := func() {
		m, err := llama.OpenModel(f.Model, llama.ModelOptions{})
		must(t, err)
		a, err := m.OpenAdapter(f.Adapters["comedian"])
		must(t, err)
		c, err := m.NewContext(llama.ContextOptions{Sequences: 8, Cells: 256, Batch: 64, Threads: 1, Taps: true})
		must(t, err)
		must(t, c.SetAdapter(a, 1))
		var b llama.Batch
		feed(&b, 0, []int32{1, 2, 3})
		must(t, c.Decode(&b, &llama.Tap{Names: []string{"l_out-2"}, Rows: []int32{0}, Dst: make([]float32, 128)}))
		must(t, c.Close())
		must(t, a.Close())
		must(t, m.Close())
	}
	for range 3 {
		cycle()
	}
	before := resident(t)
	const cycles = 40
	for range cycles {
		cycle()
	}
	// A context alone has 60 MB: one that leaked would show at once.
	if grown := resident(t) - before; grown > 20<<20 {
		t.Errorf("%d cycles grew the process by %d MiB", cycles, grown>>20)
	}
}

// resident is the process's resident memory in bytes.
func resident(t *testing.T) int {
	runtime.GC()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("needs /proc/self/statm: ", err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	must(t, err)
	return pages * os.Getpagesize()
}

// A batch of the same shape after a change of adapters is computed with the new ones:
// llama.cpp reuses the graph of a batch before it, adapters within, unless told not to.
func TestAdapterChange(t *testing.T) {
	m, files := openModel(t)
	a, err := m.OpenAdapter(files.Adapters["villain"])
	must(t, err)
	defer a.Close()
	prompt := []int32{40, 50, 60, 70, 80}
	logits := func(c *llama.Context, adapter *llama.Adapter) []float32 {
		must(t, c.SetAdapter(adapter, 1))
		var b llama.Batch
		feed(&b, 0, prompt)
		must(t, c.Decode(&b, nil))
		out, err := c.Logits()
		must(t, err)
		out = slices.Clone(out)
		must(t, c.Remove(0, 0))
		return out
	}
	opts := llama.ContextOptions{Sequences: 2, Cells: 64, Batch: 16, Threads: 1, KVType: llama.TypeF16}
	base := logits(newContext(t, m, opts), nil)
	adapted := logits(newContext(t, m, opts), a)
	if slices.Equal(base, adapted) {
		t.Fatal("the adapter changes nothing")
	}
	c := newContext(t, m, opts)
	for i, want := range [][]float32{base, adapted, base, base, adapted} {
		adapter := a
		if slices.Equal(want, base) {
			adapter = nil
		}
		if !slices.Equal(logits(c, adapter), want) {
			t.Errorf("batch %d is not computed with its adapter", i)
		}
	}
}
