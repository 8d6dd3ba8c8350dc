package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	llama "personaprobe/cgo"
	"personaprobe/cgo/cudalib"
	"personaprobe/cgo/native"
	"personaprobe/lora"
	"personaprobe/models/gguf"
)

// nativeModel is a model on the native path: its weights, and sets of them with
// adapters merged in.
type nativeModel struct {
	lib      *native.Library
	memory   memorySizes // lib's
	device   cudalib.Device
	shape    native.Shape
	model    *native.Model
	params   uint64
	bytes    uint64            // of the file's tensors
	adapters map[string]string // GGUF files by name
	sets     map[string]int    // sets of weights by adapter; "" is 0
	order    []string          // adapters with sets, the latest used last
	maxSets  int
}

// openNative loads a model to the native path. The error wraps errNotNative or that
// of the device where llama.cpp may still serve.
func openNative(ctx context.Context, files Files, opts *Options, progress func(done, total int64)) (_ *nativeModel, err error) {
	lib, device, err := openKernels()
	if err != nil {
		return nil, err
	}
	f, err := gguf.Open(files.Model)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	m := &nativeModel{lib: lib, memory: lib, device: device, adapters: files.Adapters, sets: map[string]int{"": 0}}
	if m.shape, err = nativeShape(f); err != nil {
		return nil, err
	}
	for _, t := range f.Tensors {
		m.params += uint64(t.Elements()) //nolint:gosec // verified with the file
		m.bytes += uint64(t.Bytes())     //nolint:gosec // likewise
	}
	for name, path := range files.Adapters {
		if err := m.checkAdapter(path); err != nil {
			return nil, fmt.Errorf("adapter %s: %w", name, err)
		}
	}
	if err := m.plan(opts); err != nil {
		return nil, err
	}
	if m.model, err = lib.NewModel(m.shape); err != nil {
		return nil, err
	}
	if err := loadNative(ctx, m.model, f, progress); err != nil {
		m.model.Close()
		return nil, err
	}
	return m, nil
}

// checkAdapter sees that an adapter changes layer matrices only: embedding, head and
// norms are shared by the sets.
func (m *nativeModel) checkAdapter(path string) error {
	weights, err := lora.Weights(path)
	if err != nil {
		return err
	}
	for _, name := range weights {
		if at, ok := placeOf(name, &m.shape); !ok || at.weight < native.QKV {
			return notNative("an adapter of %s", name)
		}
	}
	return nil
}

// use returns the set of weights with an adapter merged in.
func (m *nativeModel) use(adapter string) (int, error) {
	set, ok := m.sets[adapter]
	if !ok {
		path, known := m.adapters[adapter]
		if !known {
			return 0, fmt.Errorf("%w: no adapter of that name was opened", ErrRequest)
		}
		var err error
		if set, err = m.freshSet(); err != nil {
			return 0, err
		}
		if err := m.merge(set, path); err != nil {
			return 0, err
		}
		m.sets[adapter] = set
	}
	if adapter != "" {
		m.touch(adapter)
	}
	return set, nil
}

// freshSet is a set that equals the base: a new one, or the one longest unused.
func (m *nativeModel) freshSet() (int, error) {
	if len(m.order) < m.maxSets {
		return m.model.NewSet()
	}
	oldest := m.order[0]
	set := m.sets[oldest]
	m.order = m.order[1:]
	delete(m.sets, oldest)
	return set, m.model.ResetSet(set)
}

func (m *nativeModel) touch(adapter string) {
	for i, name := range m.order {
		if name == adapter {
			m.order = append(m.order[:i:i], m.order[i+1:]...)
			break
		}
	}
	m.order = append(m.order, adapter)
}

func (m *nativeModel) merge(set int, path string) error {
	return lora.Pairs(path, func(p lora.Pair) error {
		at, ok := placeOf(p.Weight, &m.shape)
		if !ok || at.rows != p.Rows || at.cols != p.Cols {
			return notNative("an adapter of %s, %d x %d", p.Weight, p.Rows, p.Cols)
		}
		return m.model.Merge(set, native.Factors{Weight: at.weight, Layer: at.layer, Row0: at.row0,
			Rows: p.Rows, Cols: p.Cols, Rank: p.Rank, A: p.A, B: p.B})
	})
}

// Shapes of the native path. A row's bytes depend on them, so they are fixed and
// part of the settings.
const (
	nativeRows       = 512  // of a decode step, if the memory holds as many
	nativeChunk      = 256  // tokens of a prompt pass beside decode steps
	nativeStateChunk = 1024 // tokens of a pass that reads hidden states
	nativeDraws      = 4096 // first tokens that one prompt pass draws, and so completions of a request
)

// nativeSlots is how many sequences a decoder of so many rows holds: its rows, and
// prompts and first tokens that wait for one, as many again within limits, so that
// completions of one length, which end together, leave few rows without a successor.
func nativeSlots(rows int) int { return rows + min(max(rows, 64), 256) }

// sizes of a decoder for so many rows of so many tokens.
func (m *nativeModel) sizes(rows, tokens int) native.Sizes {
	table := tableBlocks(tokens)
	return native.Sizes{Rows: rows, Chunk: nativeChunk, Table: table, Blocks: nativeSlots(rows) * table, Draws: nativeDraws}
}

// info describes the model as llama.cpp would have; vocab is what its tokenizer tells.
func (m *nativeModel) info(vocab llama.ModelInfo) llama.ModelInfo {
	s := &m.shape
	vocab.Layers, vocab.Hidden, vocab.Heads, vocab.KVHeads = s.Layers, s.Hidden, s.Heads, s.KVHeads
	vocab.Vocab, vocab.Context = s.Vocab, s.Context
	vocab.Arch, vocab.Params, vocab.Bytes = "qwen2", m.params, m.bytes
	vocab.Description = fmt.Sprintf("qwen2 %s %s", size(m.params), m.dtype())
	return vocab
}

// settings are the choices that bear on the bytes.
func (m *nativeModel) settings(rows int) (map[string]string, error) {
	products, err := m.model.Algorithms(rows, nativeChunk, nativeStateChunk)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"products":   products,
		"backend":    "native",
		"kv_cache":   m.dtype(),
		"rows":       strconv.Itoa(rows),
		"chunk":      strconv.Itoa(nativeChunk),
		"cuda":       strconv.Itoa(m.device.Runtime),
		"capability": fmt.Sprintf("%d.%d", m.device.Major, m.device.Minor),
	}, nil
}

// dtype names the type of weights, activations and cache.
func (m *nativeModel) dtype() string {
	if m.shape.Type == native.F16 {
		return "f16"
	}
	return "bf16"
}

func (m *nativeModel) close() { m.model.Close() }
