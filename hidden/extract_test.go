package hidden

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"personaprobe/engine"
	"personaprobe/internal/dirlock"
	"personaprobe/internal/golden"
	"personaprobe/models/safetensors"
	"personaprobe/sampler"
)

// Extracted states are the golden ones, of base and adapter at all given layers.
func TestExtractGolden(t *testing.T) {
	for name, c := range map[string]struct {
		open  func(testing.TB) *engine.Engine
		bound float64
	}{
		"f16": {func(t testing.TB) *engine.Engine { return open(t, nil) }, 5e-3},
		"f32": {openF32, 2e-5},
	} {
		t.Run(name, func(t *testing.T) {
			e := c.open(t)
			for _, set := range goldenSets(t) {
				var prompts []Prompt
				for _, p := range set.Prompts {
					ids := make([]int32, len(p.IDs))
					for i, id := range p.IDs {
						ids[i] = int32(id)
					}
					prompts = append(prompts, Prompt{ID: fmt.Sprint(p.Row), Tokens: ids, Persona: p.Persona})
				}
				for _, model := range []string{"base", "villain"} {
					opts := ExtractOptions{Layers: set.Layers}
					if model != "base" {
						opts.Adapter = model
					}
					worst := 0.0
					for i, r := range rows(t, mustExtract(t, e, of(prompts...), opts)) {
						for k, l := range set.Layers {
							want, ok := set.Hidden(model, l)
							if !ok {
								t.Fatalf("no golden states of %s at layer %d", model, l)
							}
							worst = max(worst, golden.Relative(r.states[k], want.Row(set.Prompts[i].Row)))
						}
					}
					t.Logf("%s %s: %d prompts, relative error at most %.2g", set.Name, model, len(prompts), worst)
					if worst > c.bound {
						t.Errorf("%s %s: relative error %.3g, want at most %.3g", set.Name, model, worst, c.bound)
					}
				}
			}
		})
	}
}

// The centroids of the whole grid have the golden cosines.
func TestGoldenCosines(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 4,100 prompts")
	}
	want, err := loadGolden(t)
	if err != nil {
		t.Fatal(err)
	}
	personas, questions := grid(t, 205, 20)
	s := mustExtract(t, open(t, nil), Grid(personas, questions), ExtractOptions{Layers: want.layers})
	rep, err := s.Centroids(ByPersona)
	if err != nil {
		t.Fatal(err)
	}
	got, err := CosinesOf(rep, CentreMean)
	if err != nil {
		t.Fatal(err)
	}
	compared, worst := 0, 0.0
	for k, layer := range want.layers {
		golden, err := want.at[layer].CosineMatrix()
		if err != nil {
			t.Fatal(err)
		}
		numbers := map[string]int{}
		for i, name := range want.at[layer].names {
			numbers[name] = i
		}
		for _, p := range got.Pairs {
			worst = max(worst, abs(*p.Values[k]-golden[numbers[p.Row]][numbers[p.Target]]))
			compared++
		}
	}
	t.Logf("%d cosines, the largest difference is %.2g", compared, worst)
	if compared != 205*204/2*len(want.layers) || worst > 1e-3 {
		t.Errorf("%d cosines compared, difference up to %.3g, want at most 1e-3", compared, worst)
	}
}

// Every position is what the states of the same tokens, given one by one as prompts,
// make of it; response tokens are generated with the adapter, or without.
func TestPositions(t *testing.T) {
	e := open(t, nil)
	layers := []int{3, 15, 27}
	personas, questions := grid(t, 4, 2)
	prompts := Grid(personas, questions)
	for _, adapter := range []string{"", "villain"} {
		o := ExtractOptions{Layers: layers, Adapter: adapter, Response: Response{
			MaxTokens: 12, Sampling: sampler.Params{Temperature: 1, TopP: 0.95}, Seeds: []uint64{7, 3}, N: 2,
		}}
		read := func(p Position) []rowOf {
			o.Position = p
			return rows(t, mustExtract(t, e, prompts, o))
		}
		all := read(PositionAll)
		checkPooled(t, "mean", all, read(PositionMean), layers)
		last := read(PositionLast)
		for i, r := range last {
			end := slices.IndexFunc(all, func(a rowOf) bool { return a.ID == r.ID && *a.Position == *r.Position })
			if end < 0 || !sameStates(all[end].states, r.states) || end+1 < len(all) && all[end+1].ID == r.ID {
				t.Errorf("row %d of %s is not the last of all", i, r.ID)
			}
		}
		response := read(PositionResponseAll)
		checkPooled(t, "response-mean", response, read(PositionResponseMean), layers)
		if len(response) < 8*4 {
			t.Errorf("%d rows of responses", len(response))
		}
		checkResponses(t, e, prompts, response, adapter, layers)
	}
}

// checkPooled takes the means of rows of single tokens.
func checkPooled(t *testing.T, what string, single, pooled []rowOf, layers []int) {
	t.Helper()
	type key struct {
		id         string
		seed       uint64
		completion int32
	}
	keyOf := func(r Row) key {
		k := key{id: r.ID}
		if r.Seed != nil {
			k.seed, k.completion = *r.Seed, *r.Completion
		}
		return k
	}
	at := 0
	for _, r := range pooled {
		sums := make([][]float64, len(layers))
		n := 0
		for ; at < len(single) && keyOf(single[at].Row) == keyOf(r.Row); at++ {
			for k, v := range single[at].states {
				if sums[k] == nil {
					sums[k] = make([]float64, len(v))
				}
				for i, x := range v {
					sums[k][i] += float64(x)
				}
			}
			n++
		}
		if n == 0 || int32(n) != r.Tokens || r.Position != nil || r.TokenID != nil {
			t.Fatalf("%s: %s is a mean over %d tokens, want %d", what, r.ID, r.Tokens, n)
		}
		for k := range sums {
			for i, s := range sums[k] {
				if float32(s/float64(n)) != r.states[k][i] {
					t.Fatalf("%s: %s, layer %d differs", what, r.ID, layers[k])
				}
			}
		}
	}
	if at != len(single) {
		t.Errorf("%s: %d of %d rows have no mean", what, len(single)-at, len(single))
	}
}

// checkResponses gives every response token, with all before it, as a prompt.
func checkResponses(t *testing.T, e *engine.Engine, prompts Prompts, response []rowOf, adapter string, layers []int) {
	t.Helper()
	ids := map[string][]int32{}
	for p, err := range prompts {
		if err != nil {
			t.Fatal(err)
		}
		if ids[p.ID], err = p.encode(e.Tokenizer()); err != nil {
			t.Fatal(err)
		}
	}
	var again []Prompt
	var tokens []int32
	for i, r := range response {
		if int(*r.Position) == len(ids[r.ID]) {
			tokens = slices.Clone(ids[r.ID])
		}
		tokens = append(tokens, *r.TokenID)
		if len(tokens) != int(*r.Position)+1 {
			t.Fatalf("row %d has position %d after %d tokens", i, *r.Position, len(tokens)-1)
		}
		again = append(again, Prompt{ID: fmt.Sprint(i), Tokens: slices.Clone(tokens)})
	}
	for i, r := range rows(t, mustExtract(t, e, of(again...), ExtractOptions{Layers: layers, Adapter: adapter})) {
		if !sameStates(r.states, response[i].states) {
			t.Errorf("adapter %q: row %d of the responses differs from the same tokens as a prompt", adapter, i)
		}
	}
}

func sameStates(a, b [][]float32) bool { return slices.EqualFunc(a, b, slices.Equal[[]float32]) }

// One by one, in blocks and all together: the same bytes, in every file.
func TestBlocksDoNotMatter(t *testing.T) {
	e := open(t, nil)
	personas, questions := grid(t, 5, 3)
	for _, position := range Positions() {
		opts := ExtractOptions{Layers: []int{10, 27}, Position: position, Response: Response{MaxTokens: 8, Sampling: engine.DefaultSampling(), N: 2}}
		want := files(t, mustExtract(t, e, Grid(personas, questions), opts).dir)
		for _, c := range []struct {
			block block
			batch int
		}{{block{1, 1 << 30}, 1}, {block{4, 1 << 30}, 50}, {block{1000, 30000}, 0}} {
			opts.block, opts.Batch = c.block, c.batch
			got := files(t, mustExtract(t, e, Grid(personas, questions), opts).dir)
			sameFiles(t, fmt.Sprintf("%s, blocks of %+v", position, c.block), want, got)
		}
	}
}

// A job that stops after any block, or is killed while it writes the next, goes on and
// ends with the same bytes.
func TestResume(t *testing.T) {
	e := open(t, nil)
	personas, questions := grid(t, 3, 3)
	prompts := Grid(personas, questions)
	for _, position := range []Position{PositionLast, PositionResponseAll} {
		opts := ExtractOptions{Layers: []int{10, 20}, Position: position, Response: Response{MaxTokens: 6}, block: block{2, 1 << 30}}
		want := files(t, mustExtract(t, e, prompts, opts).dir)
		dir := filepath.Join(t.TempDir(), "out")
		stops := 0
		for ; ; stops++ {
			ctx, cancel := context.WithCancel(context.Background())
			opts.afterBlock = cancel
			_, err := Extract(ctx, e, prompts, dir, opts)
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) || stops > 20 {
				t.Fatal(err)
			}
			if _, err := OpenStates(dir); err == nil {
				t.Fatal("an unfinished job can be opened")
			}
			for _, name := range []string{npyName(10), indexName, responsesName} { // a torn block
				path := filepath.Join(dir, partialName, name)
				if data, err := os.ReadFile(path); err == nil && os.WriteFile(path, append(data, "torn"...), 0o666) != nil {
					t.Fatal("cannot write")
				}
			}
		}
		if stops < 4 {
			t.Errorf("%s: stopped only %d times", position, stops)
		}
		sameFiles(t, string(position), want, files(t, dir))
		// Done again, nothing is computed.
		before := e.Counts()
		if _, err := Extract(context.Background(), e, prompts, dir, opts); err != nil || e.Counts() != before {
			t.Errorf("%s: a finished job: %v, %+v", position, err, e.Counts())
		}
		// Another job is refused, by name.
		opts.Layers = []int{10, 21}
		_, err := Extract(context.Background(), e, prompts, dir, opts)
		if !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "layers is [10,21], was [10,20]") {
			t.Errorf("%s: got %v", position, err)
		}
		sameFiles(t, "after a refusal", want, files(t, dir))
	}
}

// A file that lost durable bytes is noticed.
func TestDamageIsNoticed(t *testing.T) {
	e := open(t, nil)
	personas, questions := grid(t, 3, 2)
	dir := filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithCancel(context.Background())
	opts := ExtractOptions{Layers: []int{1}, block: block{2, 1 << 30}, afterBlock: cancel}
	if _, err := Extract(ctx, e, Grid(personas, questions), dir, opts); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, partialName, npyName(1)), 200); err != nil {
		t.Fatal(err)
	}
	if _, err := Extract(context.Background(), e, Grid(personas, questions), dir, opts); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
}

// What cannot be done is refused before anything is computed or written.
func TestExtractRefuses(t *testing.T) {
	e := open(t, nil)
	hi := Prompt{ID: "hi", Text: "Hi"}
	long := Prompt{ID: "long", Tokens: make([]int32, e.Info().Context+1)}
	fits := Prompt{ID: "fits", Tokens: make([]int32, e.Info().Context-5)}
	layers := []int{3}
	noRoom := func(string) (int64, error) { return 1000, nil }
	for want, c := range map[string]struct {
		prompts Prompts
		opts    ExtractOptions
	}{
		"layer 28: the model has decoder layers 0 to 27; transformers' hidden_states[28] is layer 27 here": {of(hi), ExtractOptions{Layers: []int{28}}},
		"layer -1: the model has decoder layers 0 to 27":                                                   {of(hi), ExtractOptions{Layers: []int{-1}}},
		"no layers given": {of(hi), ExtractOptions{}},
		"not ascending":   {of(hi), ExtractOptions{Layers: []int{4, 3}}},
		"prompt 2 (e): it is empty: give messages, prompt or tokens":                                                      {of(hi, Prompt{ID: "e"}), ExtractOptions{Layers: layers}},
		fmt.Sprintf("prompt 2 (long): it has %d tokens, the model's context is %d", e.Info().Context+1, e.Info().Context): {of(hi, long), ExtractOptions{Layers: layers}},
		"and a response of 6 exceed the model's context":                                                                  {of(fits), ExtractOptions{Layers: layers, Position: PositionResponseMean, Response: Response{MaxTokens: 6}}},
		"prompt 2 has the id \"hi\", as one before it has":                                                                {of(hi, hi), ExtractOptions{Layers: layers}},
		"there are no prompts":                                                     {of(), ExtractOptions{Layers: layers}},
		"tokens[1] is 5000, the vocabulary has 2048":                               {of(Prompt{ID: "x", Tokens: []int32{1, 5000}}), ExtractOptions{Layers: layers}},
		"no adapter is called \"ghost\"":                                           {of(hi), ExtractOptions{Layers: layers, Adapter: "ghost"}},
		"unknown position \"first\"; want one of last, mean, all":                  {of(hi), ExtractOptions{Layers: layers, Position: "first"}},
		"states are stored as F32 or F16":                                          {of(hi), ExtractOptions{Layers: layers, DType: safetensors.BF16}},
		"the job can take 1428 bytes more, 1000 bytes are free; read fewer layers": {of(hi), ExtractOptions{Layers: layers, free: noRoom}},
	} {
		dir := filepath.Join(t.TempDir(), "a", "out")
		before := e.Counts()
		_, err := Extract(context.Background(), e, c.prompts, dir, c.opts)
		kind := ErrInput
		if c.opts.free != nil {
			kind = ErrSpace
		}
		if !errors.Is(err, kind) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if _, err := os.Stat(filepath.Dir(dir)); err == nil || e.Counts() != before {
			t.Errorf("%s: something was done", want)
		}
	}
}

func TestDirectoryInUse(t *testing.T) {
	e := open(t, nil)
	hi, opts := of(Prompt{ID: "hi", Text: "Hi"}), ExtractOptions{Layers: []int{3}}
	dir := t.TempDir()
	l, err := dirlock.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Extract(context.Background(), e, hi, dir, opts); !errors.Is(err, dirlock.ErrLocked) {
		t.Errorf("locked: got %v", err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Extract(context.Background(), e, hi, dir, opts); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "thesis.txt") {
		t.Errorf("not empty: got %v", err)
	}
	if _, err := Extract(context.Background(), e, hi, file, opts); !errors.Is(err, ErrDir) {
		t.Errorf("a file: got %v", err)
	}
}
