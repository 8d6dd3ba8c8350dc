package hidden

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"personaprobe/engine"
)

// The measures of [DistancesOf].
const (
	MeasureJS          = "js"
	MeasureSymmetricKL = "sym_kl"
)

// DistanceOptions says how output distributions are compared. The zero value is good.
type DistanceOptions struct {
	// Targets are the personas that all others are compared with. Default: each with
	// each.
	Targets []string
	// Adapter is applied while the distributions are read; "" is the base model. The
	// answers are the base model's in any case.
	Adapter string
	// MaxTokens of an answer. Default 64.
	MaxTokens int
	// Progress, if not nil, is told how far it has come, in distributions.
	Progress func(done, total int)
}

// Answer is what the base model answers to a question, greedily and without a persona.
type Answer struct {
	Question string  // name
	Text     string  // of the tokens
	Tokens   []int32 // without the end-of-turn token
}

// Distances are the compared personas and the answers along which they were.
type Distances struct {
	Comparison
	Answers []Answer
}

// DistancesOf compares personas by what the model would say as them. The base model
// answers every question greedily, without a system message of ours. Along each of
// these answers every persona's next-token distributions are read (teacher forcing):
// P(t) is the softmax over the whole vocabulary, at temperature 1, after the persona's
// prompt with the question and the first t tokens of the answer. The distance of two
// personas is the mean over the questions of the mean over the answer's tokens of the
// divergence of their distributions, MeasureJS and MeasureSymmetricKL; see
// docs/hidden.md. An answer without a token is left out.
//
// Logits are reduced as they come: in memory are those of one token of at most
// [engine.LogitsTogether] sequences. Errors wrap ErrInput for what cannot be compared,
// before anything is computed.
func DistancesOf(ctx context.Context, e *engine.Engine, personas, questions []Text, opts DistanceOptions) (*Distances, error) {
	if opts.MaxTokens == 0 {
		opts.MaxTokens = 64
	}
	d := &distances{e: e, opts: &opts}
	if err := d.prepare(personas, questions); err != nil {
		return nil, err
	}
	if err := d.answer(ctx, questions); err != nil {
		return nil, err
	}
	for _, t := range tiles(d.pairs) {
		if err := d.tile(ctx, t); err != nil {
			return nil, err
		}
	}
	return d.result(personas), nil
}

// distances is one call of DistancesOf.
type distances struct {
	e       *engine.Engine
	opts    *DistanceOptions
	prompts [][]int32 // persona by persona, as Grid has them
	longest int       // prompt with or without persona
	pairs   []pair
	answers []Answer
	js, kl  [][]float64 // by question and pair: sums over the answer's tokens
	done    int         // distributions
	total   int
}

// pair is a comparison of personas by number, as Pair is by name.
type pair struct{ row, target int }

// prepare checks everything and makes the prompts.
func (d *distances) prepare(personas, questions []Text) error {
	if d.opts.MaxTokens < 0 {
		return fmt.Errorf("%w: answers of %d tokens", ErrInput, d.opts.MaxTokens)
	}
	if a := d.opts.Adapter; a != "" && d.e.Files().Adapters[a] == "" {
		return fmt.Errorf("%w: no adapter is called %q", ErrInput, a)
	}
	if len(questions) == 0 {
		return fmt.Errorf("%w: there are no questions", ErrInput)
	}
	var names []string
	for _, p := range personas {
		if p.Name == "" || slices.Contains(names, p.Name) {
			return fmt.Errorf("%w: the name %q of a persona is empty or given twice", ErrInput, p.Name)
		}
		names = append(names, p.Name)
	}
	pairs, err := pairsOf(names, d.opts.Targets)
	if err != nil {
		return err
	}
	if len(pairs) == 0 {
		return fmt.Errorf("%w: %d personas give nothing to compare", ErrInput, len(personas))
	}
	for _, p := range pairs {
		d.pairs = append(d.pairs, pair{slices.Index(names, p.Row), slices.Index(names, p.Target)})
	}
	room := d.e.Info().Context - d.opts.MaxTokens
	for p, err := range Grid(personas, questions) {
		if err != nil {
			return err
		}
		ids, err := p.encode(d.e.Tokenizer())
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrInput, p.ID, err)
		}
		if d.e.Info().Context > 0 && len(ids) > room {
			return fmt.Errorf("%w: %s has %d tokens; with an answer of %d that exceeds the model's context of %d", ErrInput, p.ID, len(ids), d.opts.MaxTokens, d.e.Info().Context)
		}
		d.longest = max(d.longest, len(ids))
		d.prompts = append(d.prompts, ids)
	}
	d.js, d.kl = make([][]float64, len(questions)), make([][]float64, len(questions))
	for q := range questions {
		d.js[q], d.kl[q] = make([]float64, len(pairs)), make([]float64, len(pairs))
	}
	return nil
}

// prompt is a persona's with a question.
func (d *distances) prompt(persona, question int) []int32 {
	return d.prompts[persona*len(d.js)+question]
}

// answer generates the answers.
func (d *distances) answer(ctx context.Context, questions []Text) error {
	requests := make([]engine.Request, len(questions))
	for i, q := range questions {
		messages := []engine.Message{{Role: "user", Content: q.Text}}
		ids, err := d.e.Tokenizer().EncodeChat(messages)
		if err != nil {
			return fmt.Errorf("%w: question %s: %w", ErrInput, q.Name, err)
		}
		d.longest = max(d.longest, len(ids))
		requests[i] = engine.Request{ID: strconv.Itoa(i), Tokens: ids, MaxTokens: d.opts.MaxTokens}
	}
	if err := d.e.Reserve(0, d.longest+d.opts.MaxTokens); err != nil {
		return err
	}
	d.answers = make([]Answer, len(questions))
	tokens := 0
	for c, err := range d.e.Generate(ctx, slices.Values(requests)) {
		if err != nil {
			return err
		}
		i, err := strconv.Atoi(c.ID)
		if err != nil {
			return err
		}
		d.answers[i] = Answer{questions[i].Name, c.Text, c.Tokens}
		tokens += len(c.Tokens)
	}
	if tokens == 0 {
		return errors.New("the base model answers no question with a token, so there is nothing to compare along")
	}
	for _, t := range tiles(d.pairs) {
		d.total += tokens * len(t.members)
	}
	return nil
}

// tile is a set of personas that are computed together, with the pairs among them.
type tile struct {
	members []int
	pairs   []int // numbers in distances.pairs
}

// tiles cuts the pairs so that none has more personas than are computed in step.
func tiles(pairs []pair) []*tile {
	personas := 0
	for _, p := range pairs {
		personas = max(personas, p.row+1, p.target+1)
	}
	block := engine.LogitsTogether
	if personas > block {
		block /= 2 // of rows, and as many of targets
	}
	var out []*tile
	find := map[[2]int]*tile{}
	for i, p := range pairs {
		key := [2]int{p.row / block, p.target / block}
		t := find[key]
		if t == nil {
			t = &tile{}
			find[key] = t
			out = append(out, t)
		}
		t.pairs = append(t.pairs, i)
		t.members = append(t.members, p.row, p.target)
	}
	for _, t := range out {
		slices.Sort(t.members)
		t.members = slices.Compact(t.members)
	}
	return out
}

// tile compares the personas of a tile along all answers, as many questions at a time
// as sequences go in step.
func (d *distances) tile(ctx context.Context, t *tile) error {
	together := max(1, engine.LogitsTogether/len(t.members))
	var open []int // questions with an answer
	for q, a := range d.answers {
		if len(a.Tokens) > 0 {
			open = append(open, q)
		}
	}
	for group := range slices.Chunk(open, together) {
		if err := d.along(ctx, t, group); err != nil {
			return err
		}
	}
	return nil
}

// along compares the members of a tile along the answers to some questions.
func (d *distances) along(ctx context.Context, t *tile, questions []int) error {
	n := len(t.members)
	var items []engine.Forced
	for _, q := range questions {
		for _, m := range t.members {
			items = append(items, engine.Forced{Prompt: d.prompt(m, q), Continuation: d.answers[q].Tokens})
		}
	}
	read := make([]distribution, len(items))
	arrived := make([]int, len(questions)) // of the current token
	return d.e.Logits(ctx, items, d.opts.Adapter, func(item, _ int, logits []float32) error {
		read[item].set(logits)
		k := item / n
		if arrived[k]++; arrived[k] < n {
			return nil
		}
		arrived[k] = 0
		d.done += n
		if d.opts.Progress != nil {
			d.opts.Progress(d.done, d.total)
		}
		d.compare(t, questions[k], read[k*n:(k+1)*n])
		return nil
	})
}

// compare adds the divergences at one token of the answer to a question. Each pair's
// sum is taken in the order of the tokens, whoever computes it.
func (d *distances) compare(t *tile, question int, members []distribution) {
	parallel(len(members), func(i int) { members[i].normalise() })
	place := make(map[int]int, len(t.members))
	for i, m := range t.members {
		place[m] = i
	}
	parallel(len(t.pairs), func(i int) {
		p := t.pairs[i]
		js, kl := divergences(&members[place[d.pairs[p].row]], &members[place[d.pairs[p].target]])
		d.js[question][p] += js
		d.kl[question][p] += kl
	})
}

// parallel calls do for all numbers below n, on all cores.
func parallel(n int, do func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	var g errgroup.Group
	for w := range workers {
		g.Go(func() error {
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				do(i)
			}
			return nil
		})
	}
	_ = g.Wait() // no errors
}

func (d *distances) result(personas []Text) *Distances {
	out := &Distances{Comparison{Measures: []string{MeasureJS, MeasureSymmetricKL}}, d.answers}
	for i, p := range d.pairs {
		js, kl, n := 0.0, 0.0, 0
		for q, a := range d.answers {
			if len(a.Tokens) == 0 {
				continue
			}
			n++
			js += d.js[q][i] / float64(len(a.Tokens))
			kl += d.kl[q][i] / float64(len(a.Tokens))
		}
		js /= float64(n)
		kl /= float64(n)
		out.Pairs = append(out.Pairs, Pair{Row: personas[p.row].Name, Target: personas[p.target].Name, Values: []*float64{&js, &kl}})
	}
	return out
}
