package models

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"personaprobe/models/gguf"
	"personaprobe/models/safetensors"
)

// Report is what Verify found.
type Report struct {
	Path       string    `json:"path"`
	Kind       Kind      `json:"kind"`
	Files      []FileSum `json:"files"`
	Tensors    int       `json:"tensors"`
	Parameters int64     `json:"parameters"`
	// Problems make the model unfit for use.
	Problems []Finding `json:"problems"`
	// Warnings are strange, but need not be wrong.
	Warnings []Finding `json:"warnings"`
	// Values by tensor name.
	Values map[string]Values `json:"values"`
}

// Finding is something that Verify noticed.
type Finding struct {
	Tensor string `json:"tensor,omitempty"` // "" for the file as a whole
	Text   string `json:"text"`
}

func (f Finding) String() string {
	if f.Tensor == "" {
		return f.Text
	}
	return "tensor " + f.Tensor + ": " + f.Text
}

// OK reports whether there are no problems.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

func (r *Report) problem(tensor, format string, args ...any) {
	r.Problems = append(r.Problems, Finding{tensor, fmt.Sprintf(format, args...)})
}

func (r *Report) warn(tensor, format string, args ...any) {
	r.Warnings = append(r.Warnings, Finding{tensor, fmt.Sprintf(format, args...)})
}

// Plausible sizes of values. Published Qwen2.5 weights have biases up to some
// hundreds and matrices of a root mean square between 0.005 and 0.1; a file that
// was damaged or converted wrongly lies far outside.
const (
	maxPlausible = 1e5
	minRMS       = 1e-7
	maxRMS       = 10
)

// Verify reads a model as a whole and checks it: the structure, and that every
// value is finite and of a plausible size; for the qwen2 architecture also that
// the tensors are those that the metadata calls for and that the tokeniser agrees
// with itself. It takes a GGUF file (or any part of a split one), a safetensors
// file, a checkpoint directory or a PEFT directory.
//
// A file that cannot be read or is malformed is an error; what is wrong inside a
// readable one is a problem in the report. Whether an adapter fits its base is
// for lora.Resolve. progress may be nil.
func Verify(ctx context.Context, path string, progress Progress) (*Report, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	kind, err := kindOf(path, info.IsDir())
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	r := &Report{Path: path, Kind: kind, Problems: []Finding{}, Warnings: []Finding{}}
	if kind == KindGGUF {
		err = r.verifyGGUF(ctx, path, progress)
	} else {
		err = r.verifySafetensors(ctx, path, progress)
	}
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", path, err)
	}
	return r, nil
}

func (r *Report) verifyGGUF(ctx context.Context, path string, progress Progress) error {
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var tensors []stored
	for _, t := range f.Tensors {
		tensors = append(tensors, stored{t.Name, t.Type, t.Elements(), t.Data()})
	}
	if err := r.read(ctx, f.Parts, tensors, progress); err != nil {
		return err
	}
	if kind, _ := f.String("general.type"); kind == "adapter" {
		r.Kind = KindAdapter
		return nil
	}
	r.checkArchitecture(f)
	r.checkTokenizer(f)
	return nil
}

func (r *Report) verifySafetensors(ctx context.Context, path string, progress Progress) error {
	f, files, err := openSafetensors(path, r.Kind)
	if err != nil {
		return err
	}
	defer f.Close()
	var tensors []stored
	for _, t := range f.Tensors {
		kind, ok := t.DType.GGML()
		if !ok {
			r.warn(t.Name, "values of type %s were not checked", t.DType)
			continue
		}
		tensors = append(tensors, stored{t.Name, kind, t.Elements(), t.Data()})
	}
	if err := r.read(ctx, files, tensors, progress); err != nil {
		return err
	}
	if r.Kind == KindCheckpoint {
		r.checkCheckpoint(path, f)
	}
	return nil
}

// checkCheckpoint checks what Convert would, without writing anything.
func (r *Report) checkCheckpoint(dir string, f *safetensors.File) {
	config, err := readConfig(dir)
	if err != nil {
		r.problem("", "%v", err)
		return
	}
	if _, err := plan(config.shape(), f, TypeKeep); err != nil {
		r.problem("", "%v", err)
	}
	if _, err := readTokenizer(dir, config.VocabSize); err != nil {
		r.problem("", "%v", err)
	}
}

// read hashes the files and scans the tensors at the same time.
func (r *Report) read(ctx context.Context, files []string, tensors []stored, progress Progress) error {
	r.Files = make([]FileSum, len(files))
	var values []*Values
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		values, err = scanAll(ctx, tensors, progress)
		return err
	})
	group.Go(func() (err error) {
		for i, path := range files {
			if r.Files[i], err = sumFile(ctx, path); err != nil {
				return err
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	r.Values = make(map[string]Values, len(tensors))
	for i, t := range tensors {
		r.Tensors++
		r.Parameters += t.elements
		if values[i] == nil {
			r.warn(t.name, "values of type %s were not checked", t.kind)
			continue
		}
		r.Values[t.name] = *values[i]
		r.judge(t.name, *values[i])
	}
	return nil
}

// judge compares values with what is plausible.
func (r *Report) judge(name string, v Values) {
	switch {
	case v.NotFinite > 0:
		r.problem(name, "%d values are NaN or infinite", v.NotFinite)
	case v.MaxAbs > maxPlausible:
		r.warn(name, "a value of %.4g is implausibly large", v.MaxAbs)
	case IsVector(name) || strings.HasSuffix(name, ".bias"):
	case v.RMS == 0:
		r.warn(name, "all values are 0")
	case v.RMS < minRMS || v.RMS > maxRMS:
		r.warn(name, "a root mean square of %.4g is implausible for a matrix", v.RMS)
	}
}

// checkArchitecture checks that the tensors are exactly the architecture's.
func (r *Report) checkArchitecture(f *gguf.File) {
	r.checkKeys(f)
	r.checkTypes(f)
	shape, err := ShapeOf(f)
	if err != nil {
		if a, _ := f.String("general.architecture"); a != arch {
			r.warn("", "architecture %q: its tensors were not checked against the metadata", a)
			return
		}
		r.problem("", "%v", err)
		return
	}
	r.checkQwen2Keys(f, &shape)
	want := map[string]bool{}
	for _, s := range shape.slots() {
		want[s.name] = true
		t := f.Tensor(s.name)
		switch {
		case t == nil && strings.HasSuffix(s.name, ".bias"):
			r.warn(s.name, "is missing; llama.cpp takes it for 0")
		case t == nil:
			r.problem(s.name, "is missing")
		case !equal(t.Shape, s.shape):
			r.problem(s.name, "has shape %s, the metadata asks for %s", gguf.FormatShape(t.Shape), gguf.FormatShape(s.shape))
		}
	}
	for _, t := range f.Tensors {
		if !want[t.Name] {
			r.problem(t.Name, "does not belong to a %s model of %d layers", arch, shape.Layers)
		}
	}
}

// checkTokenizer checks that a vocabulary agrees with itself and the embedding.
func (r *Report) checkTokenizer(f *gguf.File) {
	tokens, ok := f.Strings("tokenizer.ggml.tokens")
	if !ok {
		r.problem("", "tokenizer.ggml.tokens is missing")
		return
	}
	if len(tokens) <= defaultToken {
		r.problem("", "tokenizer.ggml.tokens: %d are too few; llama.cpp takes number %d for the end of a text unless told otherwise", len(tokens), defaultToken)
		return
	}
	seen := make(map[string]int, len(tokens))
	for id, text := range tokens {
		if strings.Contains(text, "\x00") {
			r.problem("", "tokenizer.ggml.tokens: number %d, %q, has a zero byte, with which it ends for llama.cpp", id, text)
			return
		}
		if first, twice := seen[text]; twice {
			r.problem("", "tokenizer.ggml.tokens: %q is both %d and %d; llama.cpp aborts on that", text, first, id)
			return
		}
		seen[text] = id
	}
	if e := f.Tensor("token_embd.weight"); e != nil && len(e.Shape) == 2 && e.Shape[1] != int64(len(tokens)) {
		r.problem("", "tokenizer.ggml.tokens: %d tokens, but the embedding has %d rows", len(tokens), e.Shape[1])
	}
	r.checkVocabularyTypes(f, len(tokens))
	for _, name := range []string{"bos", "eos", "eot", "eom", "padding"} {
		key := "tokenizer.ggml." + name + "_token_id"
		if id, ok := f.Uint(key); ok && id >= uint64(len(tokens)) {
			r.problem("", "%s is %d, but there are %d tokens", key, id, len(tokens))
		}
	}
	if t, ok := f.String("tokenizer.chat_template"); !ok || t == "" {
		r.warn("", "tokenizer.chat_template is missing; prompts cannot be rendered")
	}
}

// openSafetensors opens the weights of a file or directory and lists the files
// they lie in.
func openSafetensors(path string, kind Kind) (*safetensors.File, []string, error) {
	switch kind {
	case KindCheckpoint:
		f, err := safetensors.OpenDir(path)
		if err != nil {
			return nil, nil, err
		}
		files, err := safetensors.Files(path)
		if err != nil {
			f.Close()
		}
		return f, files, err
	case KindPEFT:
		path = filepath.Join(path, "adapter_model.safetensors")
	}
	f, err := safetensors.Open(path)
	return f, []string{path}, err
}
