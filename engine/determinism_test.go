package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"personaprobe/engine"
)

// studyRequests is a slice of the study: personas x questions, n completions
// each, of the base model and two adapters.
func studyRequests(personas, questions, n int) []engine.Request {
	var out []engine.Request
	for _, adapter := range []string{"", "villain", "assistant"} {
		for p := range personas {
			for q := range questions {
				out = append(out, engine.Request{
					ID:        fmt.Sprintf("%s/%d/%d", adapter, p, q),
					Messages:  messages(fmt.Sprintf("You are a %s.", []string{"pirate", "quiet and very careful librarian", "cook"}[p%3]), []string{"Why is the sky blue?", "Is honesty always the best policy?", "How do I cook rice well on a cold day?"}[q%3]),
					Adapter:   adapter,
					Seeds:     []uint64{42, uint64(137 + p)},
					N:         n,
					Sampling:  engine.DefaultSampling(),
					MaxTokens: 20 + q,
				})
			}
		}
	}
	return out
}

// digest is everything that a completion promises, in an order of its own.
func digest(all []engine.Completion) map[string]string {
	out := map[string]string{}
	for _, c := range all {
		out[fmt.Sprint(c.ID, c.Seed, c.Index)] = fmt.Sprint(c.Tokens, c.Text, c.Finish, c.LogProb)
	}
	return out
}

// A completion has the same bytes with any number of slots, contexts and threads
// and in any order of the requests. PERSONAPROBE_THOROUGH=1 compares all completions
// with few slots, too, which takes minutes.
func TestSameBytesWhateverTheBatch(t *testing.T) {
	n := 120 // x 18 requests: 2,160 completions
	if testing.Short() {
		n = 10
	}
	requests := studyRequests(3, 3, n/2)[:18]
	want := digest(collect(t, open(t, nil), requests...))
	if len(want) != 18*n {
		t.Fatalf("%d completions, want %d", len(want), 18*n)
	}
	for _, c := range []struct{ slots, contexts, threads int }{
		{1, 1, 1}, {7, 1, 1}, {32, 2, 2}, {64, 1, 1}, {100, 1, 2},
	} {
		t.Run(fmt.Sprintf("%d slots, %d contexts, %d threads", c.slots, c.contexts, c.threads), func(t *testing.T) {
			shuffled := slices.Clone(requests)
			part := 1
			switch {
			case os.Getenv("PERSONAPROBE_THOROUGH") != "":
			case c.slots <= 7: // slow
				part = 10
			case c.threads > c.contexts: // threads that meet at spinning barriers: slow when the machine is busy
				part = 4
			}
			for i := range shuffled {
				shuffled[i].N = max(1, shuffled[i].N/part)
			}
			rand.New(rand.NewPCG(1, uint64(c.slots))).Shuffle(len(shuffled), func(i, j int) {
				shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
			})
			slices.SortStableFunc(shuffled, func(a, b engine.Request) int { return len(a.Adapter) - len(b.Adapter) })
			e := open(t, func(o *engine.Options) { o.Slots, o.Contexts, o.Threads = c.slots, c.contexts, c.threads })
			got := digest(collect(t, e, shuffled...))
			t.Logf("%d completions", len(got))
			for key, g := range got {
				if g != want[key] {
					t.Fatalf("%s:\ngot  %s\nwant %s", key, g, want[key])
				}
			}
		})
	}
}

// Prompts of one token, cut prompts and lone completions take other paths through
// the stepper and must not show it.
func TestSameBytesForOddShapes(t *testing.T) {
	var requests []engine.Request
	for i, length := range []int{1, 2, 3, 17, 100, 130} {
		r := engine.Request{ID: fmt.Sprint(i), Sampling: engine.DefaultSampling(), N: 2, MaxTokens: 5}
		for k := range length {
			r.Tokens = append(r.Tokens, int32(100+(k*7+i)%500))
		}
		requests = append(requests, r)
	}
	want := digest(collect(t, open(t, nil), requests...))
	for _, chunk := range []int{1, 2, 33, 64} {
		e := open(t, func(o *engine.Options) { o.Chunk, o.Slots, o.Contexts, o.Threads = chunk, 9, 1, 1 })
		for _, r := range requests {
			for key, g := range digest(collect(t, e, r)) {
				if g != want[key] {
					t.Errorf("chunk %d, prompt of %d tokens: got %s, want %s", chunk, len(r.Tokens), g, want[key])
				}
			}
		}
	}
}

// States are the same bytes one by one, together, and with and without shared
// prefixes.
func TestSameStatesWhateverTheBatch(t *testing.T) {
	e := open(t, nil)
	var prompts [][]int32
	for _, r := range studyRequests(3, 3, 1)[:9] {
		ids, err := e.Tokenizer().EncodeChat(r.Messages)
		if err != nil {
			t.Fatal(err)
		}
		prompts = append(prompts, ids)
	}
	prompts = append(prompts, []int32{5}, []int32{5, 6}, prompts[0])
	layers := []int{0, 10, 15, e.Info().Layers - 1}
	read := func(prompts [][]int32, noSharing bool) []string {
		out := make([]string, len(prompts))
		err := e.LastStates(context.Background(), prompts, engine.StateOptions{Layers: layers, NoSharing: noSharing},
			func(prompt int, states [][]float32) error {
				var b bytes.Buffer
				for _, s := range states {
					_ = binary.Write(&b, binary.LittleEndian, s)
				}
				out[prompt] = b.String()
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	together := read(prompts, false)
	if got := read(prompts, true); !slices.Equal(got, together) {
		t.Error("sharing prefixes changes states")
	}
	for i, p := range prompts {
		if got := read([][]int32{p}, false); got[0] != together[i] {
			t.Errorf("prompt %d of %d tokens: alone and together differ", i, len(p))
		}
	}
	if together[0] == together[1] {
		t.Error("different prompts have equal states")
	}
}
