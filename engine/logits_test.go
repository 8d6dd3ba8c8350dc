package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"personaprobe/engine"
	"personaprobe/internal/golden"
	"personaprobe/sampler"
)

// forcedItems are prompts with continuations of several lengths, single tokens among
// them.
func forcedItems(t testing.TB, e *engine.Engine) []engine.Forced {
	t.Helper()
	var out []engine.Forced
	for i, r := range studyRequests(3, 3, 1)[:9] {
		ids, err := e.Tokenizer().EncodeChat(r.Messages)
		if err != nil {
			t.Fatal(err)
		}
		var next []int32
		for k := range 1 + 2*i {
			next = append(next, int32(300+k*11+i))
		}
		out = append(out, engine.Forced{Prompt: ids, Continuation: next})
	}
	return append(out, engine.Forced{Prompt: []int32{5}, Continuation: []int32{6, 7}}, engine.Forced{Prompt: []int32{6}, Continuation: []int32{6}},
		engine.Forced{Prompt: []int32{5, 6}, Continuation: []int32{7}})
}

// readLogits returns every row by item and token, and checks the order.
func readLogits(t testing.TB, e *engine.Engine, items []engine.Forced, adapter string) [][][]float32 {
	t.Helper()
	out := make([][][]float32, len(items))
	step := 0
	err := e.Logits(context.Background(), items, adapter, func(item, token int, logits []float32) error {
		if token < step || token != len(out[item]) {
			return fmt.Errorf("token %d of item %d came at step %d, behind %d others", token, item, step, len(out[item]))
		}
		step = token
		out[item] = append(out[item], slices.Clone(logits))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The logits after n tokens of a continuation are those after a prompt that has
// these tokens at its end, and alone or together they have the same bytes.
func TestLogitsOfForcedTokens(t *testing.T) {
	for _, adapter := range []string{"", "comedian"} {
		e := open(t, nil)
		items := forcedItems(t, e)
		got := readLogits(t, e, items, adapter)
		for i, it := range items {
			if len(got[i]) != len(it.Continuation) {
				t.Fatalf("item %d: %d rows, want %d", i, len(got[i]), len(it.Continuation))
			}
			alone := readLogits(t, e, items[i:i+1], adapter)[0]
			for k := range it.Continuation {
				if !slices.Equal(alone[k], got[i][k]) {
					t.Fatalf("item %d, token %d: alone and together differ", i, k)
				}
				asPrompt := engine.Forced{Prompt: slices.Concat(it.Prompt, it.Continuation[:k]), Continuation: it.Continuation[k : k+1]}
				if k%4 == 1 && !slices.Equal(readLogits(t, e, []engine.Forced{asPrompt}, adapter)[0][0], got[i][k]) {
					t.Fatalf("item %d, token %d: differs from the same tokens as a prompt", i, k)
				}
			}
		}
	}
}

// The first row after a golden prompt is the golden one.
func TestForcedLogitsGolden(t *testing.T) {
	e := open(t, nil)
	for _, set := range goldenSets(t) {
		want, ok := set.Logits("base")
		if !ok {
			t.Fatalf("%s has no logits", set.Name)
		}
		var items []engine.Forced
		for _, p := range set.Prompts {
			items = append(items, engine.Forced{Prompt: int32s(p.IDs), Continuation: []int32{1}})
		}
		for i, rows := range readLogits(t, e, items, "") {
			if d := golden.Relative(rows[0], want.Row(set.Prompts[i].Row)); d > 5e-3 {
				t.Errorf("%s, prompt %d: relative error %.2g", set.Name, i, d)
			}
		}
	}
}

// Along a greedy completion the largest logit is the token that was taken; along a
// sampled one the log-softmax is the completion's log-probability.
func TestLogitsAlongACompletion(t *testing.T) {
	e := open(t, nil)
	for _, sampling := range []sampler.Params{{}, {Temperature: 1, TopP: 1}} {
		var requests []engine.Request
		for i, r := range studyRequests(3, 3, 1)[:6] {
			requests = append(requests, engine.Request{ID: strconv.Itoa(i), Messages: r.Messages, Sampling: sampling, MaxTokens: 12, LogProbs: true})
		}
		items := make([]engine.Forced, len(requests))
		probs := make([][]float32, len(requests))
		for _, c := range collect(t, e, requests...) {
			i, _ := strconv.Atoi(c.ID)
			ids, err := e.Tokenizer().EncodeChat(requests[i].Messages)
			if err != nil {
				t.Fatal(err)
			}
			items[i], probs[i] = engine.Forced{Prompt: ids, Continuation: c.Tokens}, c.LogProbs
		}
		for i, rows := range readLogits(t, e, items, "") {
			for k, row := range rows {
				token := items[i].Continuation[k]
				if sampling.Temperature == 0 && row[token] != slices.Max(row) {
					t.Errorf("item %d, token %d: %d is not the most probable", i, k, token)
				}
				if got := logProb(row, token); sampling.Temperature > 0 && math.Abs(got-float64(probs[i][k])) > 1e-4 {
					t.Errorf("item %d, token %d: log-probability %v, the completion's %v", i, k, got, probs[i][k])
				}
			}
		}
	}
}

func logProb(logits []float32, token int32) float64 {
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x - logits[token]))
	}
	return -math.Log(sum)
}

func TestLogitsRefuses(t *testing.T) {
	e := open(t, nil)
	for want, c := range map[string]struct {
		item    engine.Forced
		adapter string
	}{
		"continuation is empty":   {engine.Forced{Prompt: []int32{1}}, ""},
		"prompt or":               {engine.Forced{Continuation: []int32{1}}, ""},
		"the model's context is":  {engine.Forced{Prompt: make([]int32, e.Info().Context), Continuation: []int32{1}}, ""},
		"the token -1 at":         {engine.Forced{Prompt: []int32{-1}, Continuation: []int32{1}}, ""},
		`unknown adapter "ghost"`: {engine.Forced{Prompt: []int32{1}, Continuation: []int32{1}}, "ghost"},
	} {
		err := e.Logits(context.Background(), []engine.Forced{c.item}, c.adapter, nil)
		if !errors.Is(err, engine.ErrRequest) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}
