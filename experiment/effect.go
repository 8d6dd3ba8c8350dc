package experiment

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"personaprobe/engine"
	"personaprobe/hidden"
)

// AdapterEffect says how far an adapter moves the model: the Kullback-Leibler divergence
// KL(adapter || base) of the next token, over the whole vocabulary at temperature 1, in
// nats. It is read along the last tokens of prompts, not after them alone, where a chat
// template or a habit of the model may leave nothing open whatever the adapter.
type AdapterEffect struct {
	KLMean  float64 `json:"kl_mean"` // over the predictions of all prompts
	KLMax   float64 `json:"kl_max"`
	Prompts int     `json:"prompts"`           // of up to effectTokens predictions each
	SameAs  string  `json:"same_as,omitempty"` // an earlier adapter with the same logits on all prompts
}

// InertKL is the KLMax from which on an adapter counts as one with an effect. By
// Pinsker's inequality two distributions 1e-6 nats apart give no set of tokens
// probabilities that differ by more than sqrt(1e-6 / 2) = 0.0007: no study sees that. An
// adapter that is not applied, or whose B is zero, has 0 exactly, since base and adapter
// are computed alike; a B that is next to nothing has up to 1.4e-7 on the embedded model,
// from rounding alone; that model's own adapters have 0.02 to 0.04.
const InertKL = 1e-6

// Inert reports whether the adapter does nothing that a study could see.
func (e AdapterEffect) Inert() bool { return e.KLMax < InertKL }

const (
	minEffectPrompts = 8  // at least, where the taxonomy has as many
	maxEffectPrompts = 16 // their predictions of the base model are held in memory
	minBystanders    = 3  // of them, however many sources there are
	effectTokens     = 16 // of each prompt, the last ones
)

// effectPrompts are the prompts at which effects are measured, the same for all
// adapters: the sources that are run, and bystanders from all over the taxonomy, each
// with the first question.
func (s *Study) effectPrompts() [][]engine.Message {
	var prompts [][]engine.Message
	add := func(persona string) { prompts = append(prompts, chat(persona, s.Questions[0])) }
	var bystanders []string
	for _, source := range s.sources {
		for _, p := range s.Taxonomy.Personas(source) {
			switch {
			case p.Category != AnchorCategory:
				bystanders = append(bystanders, p.Prompt)
			case p.ID == anchorPrefix+source:
				add(p.Prompt)
			}
		}
	}
	prompts = spread(prompts, maxEffectPrompts-minBystanders)
	for _, p := range spread(bystanders, max(minBystanders, minEffectPrompts-len(prompts))) {
		add(p)
	}
	return prompts
}

// spread are n elements from all over a list, or all if there are no more.
func spread[T any](list []T, n int) []T {
	n = min(n, len(list))
	out := make([]T, n)
	for i := range out {
		out[i] = list[(2*i+1)*len(list)/(2*n)]
	}
	return out
}

// probe measures the adapters of a run that begins in dir.
type probe struct {
	dir   string
	study *Study
	model Model
	opts  Options
	done  int // prompts read
	total int
}

// begin measures the adapters if no run was begun in dir, and refuses those without an
// effect. Nothing is written yet, so that a refusal leaves nothing behind.
func begin(ctx context.Context, dir string, model Model, study *Study, opts Options) (map[string]AdapterEffect, error) {
	if _, err := os.Stat(filepath.Join(dir, manifestFile)); !errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // the run has its own
	}
	if err := checkEmpty(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	p := &probe{dir: dir, study: study, model: model, opts: opts}
	effects, err := p.effects(ctx)
	if err != nil {
		return nil, err
	}
	return effects, p.judge(effects)
}

// judge refuses adapters without an effect, and warns of copies.
func (p *probe) judge(effects map[string]AdapterEffect) error {
	var out problems
	for _, a := range p.study.Adapters() {
		e := effects[a.Name()]
		if e.Inert() && !p.opts.AllowInertAdapter {
			out.add("adapters."+a.Name(), "the adapter does nothing: along %d prompts the next token's distribution is "+
				"at most %.2g nats from the base model's, and an effect begins at %g. Usually it is untrained (B is zero), "+
				"was not applied, or is of another base model; --allow-inert-adapter runs it all the same",
				e.Prompts, e.KLMax, InertKL)
		}
		if e.SameAs != "" {
			p.opts.Log.Warn("two adapters predict the same next token on every prompt, to the bit: is one a copy of the other?",
				"adapter", a.Name(), "same_as", e.SameAs)
		}
	}
	return out.err("", nil)
}

// effects measures every adapter of the study.
func (p *probe) effects(ctx context.Context) (map[string]AdapterEffect, error) {
	prompts, adapters := p.study.effectPrompts(), p.study.Adapters()
	p.total = len(prompts) * (1 + len(adapters))
	base := make([][][]float32, len(prompts)) // by prompt and token
	if err := p.read(ctx, "", prompts, func(i, _ int, logits []float32) {
		base[i] = append(base[i], slices.Clone(logits))
	}); err != nil {
		return nil, err
	}
	out, first := make(map[string]AdapterEffect), make(map[string]string)
	for _, a := range adapters {
		kl, sums := make([][]float64, len(prompts)), make([][][sha256.Size]byte, len(prompts))
		if err := p.read(ctx, a.Name(), prompts, func(i, t int, logits []float32) {
			kl[i], sums[i] = append(kl[i], hidden.KL(logits, base[i][t])), append(sums[i], logitsSum(logits))
		}); err != nil {
			return nil, err
		}
		e := AdapterEffect{Prompts: len(prompts)}
		all := slices.Concat(kl...)
		for _, v := range all {
			if math.IsNaN(v) {
				return nil, fmt.Errorf("adapter %s: with it the model's predictions are not finite numbers", a.Name())
			}
			e.KLMean += float64(v / float64(len(all)))
			e.KLMax = max(e.KLMax, v)
		}
		key := fmt.Sprint(sums)
		if e.SameAs = first[key]; e.SameAs == "" {
			first[key] = a.Name()
		}
		out[a.Name()] = e
	}
	return out, nil
}

// read reads the logits along the ends of the prompts, unless the run is to stop.
func (p *probe) read(ctx context.Context, adapter string, prompts [][]engine.Message,
	each func(prompt, token int, logits []float32)) error {
	err := p.model.NextLogits(ctx, adapter, prompts, effectTokens, func(i, t int, logits []float32) error {
		if p.opts.draining() {
			return errDrained
		}
		each(i, t, logits)
		if t > 0 {
			return nil
		}
		if p.done++; p.opts.Progress != nil {
			p.opts.Progress.Report(Status{Phase: PhaseAdapters, Adapter: adapter, Done: p.done, Total: p.total})
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return &InterruptedError{Dir: p.dir, Total: p.study.Size(), Cause: ctx.Err()}
	case errors.Is(err, errDrained):
		return &InterruptedError{Dir: p.dir, Total: p.study.Size()}
	case err != nil && adapter != "":
		return fmt.Errorf("adapter %s: %w", adapter, err)
	}
	return err
}

// logitsSum is the hash of a row of logits.
func logitsSum(logits []float32) [sha256.Size]byte {
	data := make([]byte, 0, 4*len(logits))
	for _, v := range logits {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return sha256.Sum256(data)
}
