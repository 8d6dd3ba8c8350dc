package models

import (
	"context"
	"fmt"
	"math"
	"strings"

	"personaprobe/internal/bpe"
	"personaprobe/internal/noise"
	"personaprobe/models/gguf"
)

// SynthOptions are the choices of Synth. The zero value gives BF16 matrices, a
// synthetic vocabulary and seed 0.
type SynthOptions struct {
	// Type of the matrices. Default: bf16, as Qwen2.5 is published.
	Type WeightType
	// Seed of the weights. The same seed and shape give the same bytes, whatever
	// the number of cores.
	Seed uint64
	// TokenizerDir holds a checkpoint's tokeniser (tokenizer.json, or vocab.json
	// and merges.txt), whose vocabulary is padded to Shape.Vocab. Default: a
	// synthetic byte-level vocabulary of that size.
	TokenizerDir string
	// Name is written as general.name. Default: "random-qwen2".
	Name string
	// Progress may be nil.
	Progress Progress
}

// chatML is the chat template of a synthetic model whose tokeniser brings none.
const chatML = `{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// logitSpread is the standard deviation of the logits. Over 150,000 tokens it
// leaves about 4 nats of entropy, some hundred tokens within top-p 0.95, as in
// the open places of real text.
const logitSpread = 4

// Synth writes a GGUF model of the given shape with random weights to out, for
// benchmarks and tests where the numbers do not matter but their sizes do:
// activations stay near 1, logits spread like a real model's. It writes about as
// fast as the disk.
func Synth(ctx context.Context, shape Shape, out string, opts SynthOptions) error {
	if err := synth(ctx, shape, out, opts); err != nil {
		return fmt.Errorf("synthesise %s: %w", out, err)
	}
	return nil
}

func synth(ctx context.Context, shape Shape, out string, opts SynthOptions) error {
	if opts.Type == TypeKeep {
		opts.Type = TypeBF16
	}
	if err := opts.Type.Validate(); err != nil {
		return err
	}
	if err := shape.Validate(); err != nil {
		return err
	}
	tokens, err := synthTokenizer(shape, opts.TokenizerDir)
	if err != nil {
		return err
	}
	infos := shape.Tensors()
	for i, t := range infos {
		if len(t.Shape) > 1 {
			infos[i].Type = opts.Type.matrix(gguf.F32, t.Shape[0])
		}
	}
	config := &hfConfig{HiddenSize: shape.Hidden, IntermediateSize: shape.Intermediate, Layers: shape.Layers, Heads: shape.Heads,
		KVHeads: &shape.KVHeads, VocabSize: shape.Vocab, MaxPositions: shape.Context, RMSNormEps: shape.RMSEps, RopeTheta: shape.RopeTheta, Tied: shape.Tied}
	name := opts.Name
	if name == "" {
		name = "random-qwen2"
	}
	metadata, err := modelMetadata(config, tokens, name, infos[0].Type)
	if err != nil {
		return err
	}
	w, err := gguf.Create(out, metadata, infos, opts.Progress)
	if err != nil {
		return err
	}
	defer w.Abort()
	tables := noise.NewTables()
	c := w.NewCopier(ctx)
	for i, t := range infos {
		mean, deviation := shape.distribution(t.Name)
		c.Add(i, tables.Source(t.Type, opts.Seed, uint64(i), mean, deviation), noiseType(t.Type), nil)
	}
	if err := c.Wait(); err != nil {
		return err
	}
	return w.Commit()
}

// noiseType is the type in which noise is made for a tensor: its own, or float32
// to be quantised.
func noiseType(t gguf.Type) gguf.Type {
	if t == gguf.Q8_0 {
		return gguf.F32
	}
	return t
}

// distribution returns the mean and standard deviation of a tensor's weights.
// Every product keeps the size of its input; what the layers add to the residual
// stream sums to logitSpread, so that a tied embedding does not make each token
// predict itself.
func (s Shape) distribution(name string) (mean, deviation float64) {
	hidden, residual := math.Sqrt(float64(s.Hidden)), logitSpread/math.Sqrt(2*float64(s.Layers))
	const silu = 0.6 // root mean square of silu(x)*y for normal x and y
	switch {
	case strings.HasSuffix(name, "norm.weight"):
		return 1, 0.02
	case strings.HasSuffix(name, ".bias"):
		return 0, 0.1
	case name == "output.weight", name == "token_embd.weight" && s.Tied:
		return 0, logitSpread / hidden
	case name == "token_embd.weight":
		return 0, 1
	case strings.HasSuffix(name, "attn_output.weight"):
		return 0, residual / hidden
	case strings.HasSuffix(name, "ffn_down.weight"):
		return 0, residual / silu / math.Sqrt(float64(s.Intermediate))
	}
	return 0, 1 / hidden
}

func synthTokenizer(shape Shape, dir string) (*tokenizer, error) {
	if dir != "" {
		t, err := readTokenizer(dir, shape.Vocab)
		if err == nil && len(t.config.templates) == 0 {
			t.config.templates["default"] = chatML
		}
		return t, err
	}
	tokens, merges, err := bpe.Synthetic(int(shape.Vocab))
	if err != nil {
		return nil, err
	}
	t := &tokenizer{tokens: tokens, merges: merges, ids: map[string]int{}, types: make([]int32, len(tokens))}
	for i, s := range tokens {
		t.ids[s], t.types[i] = i, tokenNormal
		if i >= len(tokens)-len(bpe.Specials) {
			t.types[i] = tokenControl
		}
	}
	t.config.templates = map[string]string{"default": chatML}
	t.config.bos, t.config.eos, t.config.pad = t.ids[endOfText], t.ids[endOfTurn], t.ids[endOfText]
	return t, nil
}
