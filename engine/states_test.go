package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"personaprobe/engine"
)

// readStates returns every reading's states, [reading][layer].
func readStates(t testing.TB, e *engine.Engine, readings []engine.Reading, opts engine.StateOptions) [][][]float32 {
	t.Helper()
	out := make([][][]float32, len(readings))
	err := e.States(context.Background(), readings, opts, func(i int, states [][]float32) error {
		if out[i] != nil {
			return fmt.Errorf("reading %d came twice", i)
		}
		for _, s := range states {
			out[i] = append(out[i], slices.Clone(s))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// mixedReadings are readings of all kinds over prompts that share beginnings of
// several lengths, and of one and two tokens.
func mixedReadings(t testing.TB, e *engine.Engine) []engine.Reading {
	t.Helper()
	var out []engine.Reading
	for i, r := range studyRequests(3, 3, 1)[:9] {
		ids, err := e.Tokenizer().EncodeChat(r.Messages)
		if err != nil {
			t.Fatal(err)
		}
		n := len(ids)
		for _, reading := range []engine.Reading{
			{}, {To: n}, {To: n, Mean: true}, {From: n / 3, To: n - i}, {From: n - 2, To: n}, {From: 1, To: 3, Mean: true},
		} {
			reading.Tokens = ids
			out = append(out, reading)
		}
	}
	one, two := []int32{5}, []int32{5, 6}
	return append(out, engine.Reading{Tokens: one}, engine.Reading{Tokens: one, To: 1, Mean: true}, engine.Reading{Tokens: two, To: 2},
		engine.Reading{Tokens: two, From: 1, To: 2}, engine.Reading{Tokens: two, To: 1})
}

// The state of a token is that of the last token of the prompt that ends with it:
// what follows cannot change it. So every row can be computed in another way.
func TestStatesOfAnyTokens(t *testing.T) {
	for _, adapter := range []string{"", "villain"} {
		e := open(t, nil)
		opts := engine.StateOptions{Adapter: adapter, Layers: []int{3, 15, e.Info().Layers - 1}}
		readings := mixedReadings(t, e)
		got := readStates(t, e, readings, opts)
		known := map[string][][]float32{} // last states by tokens
		last := func(tokens []int32) [][]float32 {
			key := fmt.Sprint(tokens)
			if known[key] == nil {
				known[key] = readStates(t, e, []engine.Reading{{Tokens: tokens}}, opts)[0]
			}
			return known[key]
		}
		width := e.Info().Hidden
		for i, r := range readings {
			if r.To == 0 {
				r.From, r.To = len(r.Tokens)-1, len(r.Tokens)
			}
			for k := range opts.Layers {
				want := make([]float32, 0, r.Rows()*width)
				sums := make([]float64, width)
				for p := r.From; p < r.To; p++ {
					row := last(r.Tokens[:p+1])[k]
					want = append(want, row...)
					for j, x := range row {
						sums[j] += float64(x)
					}
				}
				if r.Mean {
					want = want[:0]
					for _, s := range sums {
						want = append(want, float32(s/float64(r.To-r.From)))
					}
				}
				if !slices.Equal(got[i][k], want) {
					t.Fatalf("adapter %q, reading %d (tokens %d to %d of %d, mean %v), layer %d differs", adapter, i, r.From, r.To, len(r.Tokens), r.Mean, opts.Layers[k])
				}
			}
		}
	}
}

// The bytes do not depend on sharing, on the batch's size, nor on which layers are
// read together.
func TestStatesWhateverTheBatch(t *testing.T) {
	e := open(t, nil)
	layers := []int{15, 0, e.Info().Layers - 1}
	readings := mixedReadings(t, e)
	want := readStates(t, e, readings, engine.StateOptions{Layers: layers})
	equal := func(what string, got [][][]float32) {
		t.Helper()
		for i := range want {
			for k := range want[i] {
				if !slices.Equal(got[i][k], want[i][k]) {
					t.Errorf("%s: reading %d, layer %d differs", what, i, layers[k])
					return
				}
			}
		}
	}
	equal("no sharing", readStates(t, e, readings, engine.StateOptions{Layers: layers, NoSharing: true}))
	for _, batch := range []int{1, 7, 50, 5000} {
		equal(fmt.Sprintf("batch of %d", batch), readStates(t, e, readings, engine.StateOptions{Layers: layers, Batch: batch}))
	}
	for k, l := range layers {
		for i, got := range readStates(t, e, readings, engine.StateOptions{Layers: []int{l}}) {
			if !slices.Equal(got[0], want[i][k]) {
				t.Fatalf("layer %d alone: reading %d differs", l, i)
			}
		}
	}
}

func TestStatesRefuses(t *testing.T) {
	e := open(t, nil)
	long := make([]int32, e.Info().Context+1)
	for _, c := range []struct {
		reading engine.Reading
		opts    engine.StateOptions
		want    string
	}{
		{engine.Reading{Tokens: []int32{1}}, engine.StateOptions{Layers: []int{28}}, "layer 28: the model has decoder layers 0 to 27"},
		{engine.Reading{Tokens: []int32{1}}, engine.StateOptions{Layers: []int{-1}}, "layer -1"},
		{engine.Reading{Tokens: []int32{1}}, engine.StateOptions{Layers: []int{3, 3}}, "layer 3 is given twice"},
		{engine.Reading{Tokens: []int32{1}}, engine.StateOptions{Adapter: "x"}, `unknown adapter "x"`},
		{engine.Reading{}, engine.StateOptions{Layers: []int{3}}, "prompt 0 is empty"},
		{engine.Reading{Tokens: long}, engine.StateOptions{Layers: []int{3}}, "the model's context is"},
		{engine.Reading{Tokens: []int32{1, 1 << 20}}, engine.StateOptions{Layers: []int{3}}, "the token 1048576 at position 1"},
		{engine.Reading{Tokens: []int32{1, 2}, From: 1, To: 1}, engine.StateOptions{Layers: []int{3}}, "states of 1 to 0"},
		{engine.Reading{Tokens: []int32{1, 2}, To: 3}, engine.StateOptions{Layers: []int{3}}, "has 2 tokens"},
	} {
		err := e.States(context.Background(), []engine.Reading{c.reading}, c.opts, nil)
		if !errors.Is(err, engine.ErrRequest) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v", c.want, err)
		}
	}
	stop := errors.New("stop")
	err := e.States(context.Background(), mixedReadings(t, e), engine.StateOptions{Layers: []int{1}}, func(int, [][]float32) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("an error of the callback: got %v", err)
	}
}
