package experiment

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"personaprobe/engine"
	"personaprobe/models"
	"personaprobe/models/tiny"
)

// Session is a plan with everything it names opened: what Run needs.
type Session struct {
	Inputs Inputs
	Model  *EngineModel
}

// SessionOptions are choices that do not bear on a run's bytes, apart from Build.
type SessionOptions struct {
	Build   string // version of the program
	Threads int    // of the CPU; 0: all cores
	Slots   int    // completions computed together; 0: the engine's default
	CPU     bool   // keep the model off the GPU
	Backend engine.Backend
	Dir     string // run directory: a run that is there gives its date; "" for none
	// Progress, if not nil, is told how far a conversion has come.
	Progress func(what string, done, total int64)
}

// Open reads the plan's files, checks that they fit together, and loads model and
// adapters. Errors of the inputs match [ErrInput] or those of packages models, lora
// and llama. The caller closes the session.
func Open(ctx context.Context, p Plan, opts SessionOptions) (_ *Session, err error) {
	study, err := readStudy(p)
	if err != nil {
		return nil, err
	}
	date, err := opts.date(p)
	if err != nil {
		return nil, err
	}
	cache, err := models.CacheDir()
	if err != nil {
		return nil, err
	}
	o := engine.Options{
		Model: p.Model, Adapters: map[string]string{}, CacheDir: cache,
		Slots: opts.Slots, Threads: opts.Threads, CPU: opts.CPU, Backend: opts.Backend, Progress: opts.Progress, Date: date,
	}
	var embedded tiny.Files
	if p.Model == EmbeddedModel {
		if embedded, err = tiny.Install(ctx, cache); err != nil {
			return nil, fmt.Errorf("embedded model: %w", err)
		}
		o.Model = embedded.Model
	}
	for _, a := range study.Adapters() {
		if o.Adapters[a.Name()], err = adapterPath(a, embedded); err != nil {
			return nil, err
		}
	}
	e, err := engine.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	s := &Session{Model: &EngineModel{e}}
	if study, err = study.of(s.Model.Layers()); err != nil {
		return nil, err
	}
	if s.Inputs, err = inputs(ctx, study, e, opts.Build); err != nil {
		return nil, err
	}
	if s.Inputs.Prompts, err = RenderPrompts(ctx, study, e.Tokenizer()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Inputs.Prompts.Close())
		}
	}()
	if err = e.Reserve(0, s.Inputs.Prompts.Longest+p.MaxTokens); err != nil {
		return nil, err
	}
	// Now, because what fits may be fewer rows than the default.
	if s.Inputs.Settings, err = e.Settings(); err != nil {
		return nil, err
	}
	return s, nil
}

// adapterPath is where an adapter is: the plan's, or the embedded one.
func adapterPath(a Adapter, embedded tiny.Files) (string, error) {
	path := a.Path
	if path == "" {
		path = embedded.Adapters[a.Source]
	}
	if path == "" {
		return "", &InputError{Path: "adapters", Problem: fmt.Sprintf("no adapter for the source %q", a.Source)}
	}
	return path, nil
}

// Close frees the model.
func (s *Session) Close() error { return errors.Join(s.Inputs.Prompts.Close(), s.Model.Close()) }

// date is that of the plan, else that of the run to go on with, else zero: now.
func (o SessionOptions) date(p Plan) (time.Time, error) {
	switch {
	case p.Date != "":
		return ParseDate(p.Date)
	case o.Dir != "":
		return DateOf(o.Dir)
	}
	return time.Time{}, nil
}

// readStudy reads personas and questions, the embedded ones where the plan names
// none.
func readStudy(p Plan) (*Study, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	var t *Taxonomy
	var q *Questions
	var err error
	if p.Personas == "" {
		t, err = ParseTaxonomy("embedded taxonomy.json", tiny.Taxonomy())
	} else {
		t, err = ReadTaxonomy(p.Personas)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case p.Questions != "":
		q, err = ReadQuestions(p.Questions)
	case p.Personas != "" && p.Model != EmbeddedModel:
		q, err = ReadQuestions(p.Personas)
	default:
		q, err = ParseQuestions("embedded questions.json", tiny.Questions())
	}
	if err != nil {
		return nil, err
	}
	return NewStudy(p, t, q)
}

// inputs gathers what determines the run's bytes.
func inputs(ctx context.Context, study *Study, e *engine.Engine, build string) (Inputs, error) {
	in := Inputs{
		Study: study, Build: build, Device: e.Device(), GPUs: e.GPUs(), Adapters: map[string]File{}, Date: e.Options().Date,
	}
	var err error
	if in.Model, err = hashed(ctx, e, "", e.Files().Model); err != nil {
		return in, err
	}
	if in.Name = e.Name(); study.Plan.Model == EmbeddedModel {
		in.Name = EmbeddedModel
	}
	for name, path := range e.Files().Adapters {
		if in.Adapters[name], err = hashed(ctx, e, name, path); err != nil {
			return in, err
		}
	}
	return in, nil
}

// hashed is the file of an adapter, "" for the model, with the hash of what was loaded.
func hashed(ctx context.Context, e *engine.Engine, adapter, path string) (File, error) {
	sum, err := e.SHA256(ctx, adapter)
	return File{Path: path, SHA256: sum}, err
}

// EngineModel makes an engine the Model of a study.
type EngineModel struct{ *engine.Engine }

var _ Model = (*EngineModel)(nil)

// LastStates reads the hidden states of the prompts' last tokens.
func (m *EngineModel) LastStates(ctx context.Context, adapter string, prompts [][]engine.Message, layers []int,
	each func(prompt int, states [][]float32) error) error {
	ids := make([][]int32, len(prompts))
	for i, p := range prompts {
		var err error
		if ids[i], err = m.Tokenizer().EncodeChat(p); err != nil {
			return fmt.Errorf("prompt %d: %w", i, err)
		}
	}
	return m.Engine.LastStates(ctx, ids, engine.StateOptions{Adapter: adapter, Layers: layers}, each)
}

// Layers is the number of decoder layers.
func (m *EngineModel) Layers() int { return m.Info().Layers }

// HiddenSize is the width of a hidden state.
func (m *EngineModel) HiddenSize() int { return m.Info().Hidden }

// CountTokens is the number of tokens of a text by itself.
func (m *EngineModel) CountTokens(text string) (int, error) {
	ids, err := m.Tokenizer().Encode(text)
	return len(ids), err
}

// MeanStates is, for each text, the mean over its tokens of the output of the last
// decoder layer of the base model, HiddenSize components: no chat template, no special
// tokens. A text without tokens is an error.
func (m *EngineModel) MeanStates(ctx context.Context, texts []string) ([][]float32, error) {
	readings := make([]engine.Reading, len(texts))
	for i, text := range texts {
		ids, err := m.Tokenizer().Encode(text)
		if err != nil {
			return nil, fmt.Errorf("text %d: %w", i, err)
		}
		readings[i] = engine.Reading{Tokens: ids, To: len(ids), Mean: true}
	}
	out := make([][]float32, len(texts))
	err := m.States(ctx, readings, engine.StateOptions{Layers: []int{m.Layers() - 1}}, func(i int, states [][]float32) error {
		out[i] = slices.Clone(states[0])
		return nil
	})
	return out, err
}

// Answers is, for each chat, the base model's probabilities that its reply begins with
// each of the answers, which must be one token each; they sum to 1 over the answers.
func (m *EngineModel) Answers(ctx context.Context, chats [][]engine.Message, answers []string) ([][]float64, error) {
	tokens := make([]int32, len(answers))
	for k, answer := range answers {
		ids, err := m.Tokenizer().Encode(answer)
		if err != nil {
			return nil, err
		}
		if len(ids) != 1 {
			return nil, fmt.Errorf("%w: the answer %q is %d tokens of this model, want one", ErrInput, answer, len(ids))
		}
		tokens[k] = ids[0]
	}
	out := make([][]float64, len(chats))
	err := m.NextLogits(ctx, "", chats, 1, func(i, _ int, logits []float32) error {
		out[i] = softmax(logits, tokens)
		return nil
	})
	return out, err
}

// NextLogits reads what follows the last tokens of the prompts.
func (m *EngineModel) NextLogits(ctx context.Context, adapter string, prompts [][]engine.Message, last int,
	each func(prompt, token int, logits []float32) error) error {
	items := make([]engine.Forced, len(prompts))
	for i, p := range prompts {
		ids, err := m.Tokenizer().EncodeChat(p)
		if err != nil {
			return fmt.Errorf("prompt %d: %w", i, err)
		}
		at := len(ids) - min(last, len(ids)) + 1
		// Any token serves as the last: it is not computed.
		items[i] = engine.Forced{Prompt: ids[:at], Continuation: append(slices.Clone(ids[at:]), 0)}
	}
	return m.Logits(ctx, items, adapter, each)
}

// softmax is over the given tokens alone.
func softmax(logits []float32, tokens []int32) []float64 {
	most := math.Inf(-1)
	for _, t := range tokens {
		most = max(most, float64(logits[t]))
	}
	out, sum := make([]float64, len(tokens)), 0.0
	for k, t := range tokens {
		out[k] = math.Exp(float64(logits[t]) - most)
		sum += out[k]
	}
	for k := range out {
		out[k] /= sum
	}
	return out
}
