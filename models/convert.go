package models

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
	"personaprobe/models/safetensors"
)

// ConvertOptions are the choices of Convert. The zero value keeps each matrix
// in its own type.
type ConvertOptions struct {
	// Type of the matrices.
	Type WeightType
	// Name is written as general.name. Default: the checkpoint's own name, else
	// the directory's.
	Name string
	// Progress may be nil.
	Progress Progress
}

// Validate reports options that make no sense.
func (o ConvertOptions) Validate() error { return o.Type.Validate() }

// Convert writes the GGUF form of a Hugging Face checkpoint directory (Qwen2,
// Qwen2.5) to out, replacing a file of that name.
//
// Matrices are stored in opts.Type, vectors as F32; a tensor whose type does
// not change keeps its bits. The tokenizer, its special tokens and the chat
// template go into the metadata, so that the file stands alone. Memory stays
// below about 100 MB plus the tokenizer whatever the model's size.
//
// Errors: ErrUnsupported for another architecture or an option that llama.cpp's
// qwen2 does not compute, ErrFormat for a damaged checkpoint, the context's
// error when cancelled, pin.ErrChanged for a checkpoint that was written to meanwhile.
// Nothing is left behind then.
func Convert(ctx context.Context, dir, out string, opts ConvertOptions) error {
	c, err := pinCheckpoint(dir)
	if err != nil {
		return fmt.Errorf("convert %s: %w", dir, err)
	}
	defer c.pins.Close()
	return c.convert(ctx, out, opts)
}

func (c *checkpoint) convert(ctx context.Context, out string, opts ConvertOptions) error {
	if err := c.write(ctx, out, opts); err != nil {
		return fmt.Errorf("convert %s: %w", c.dir, err)
	}
	return nil
}

func (c *checkpoint) write(ctx context.Context, out string, opts ConvertOptions) error {
	if err := opts.Validate(); err != nil {
		return err
	}
	config, err := readConfig(c.dir)
	if err != nil {
		return err
	}
	weights, err := safetensors.OpenDir(c.dir)
	if err != nil {
		return err
	}
	defer weights.Close()
	jobs, err := plan(config.shape(), weights, opts.Type)
	if err != nil {
		return err
	}
	tokens, err := readTokenizer(c.dir, config.VocabSize)
	if err != nil {
		return err
	}
	metadata, err := modelMetadata(config, tokens, modelName(c.dir, config, opts), jobs[0].Type)
	if err != nil {
		return err
	}
	return writeJobs(ctx, out, metadata, jobs, c.pins.Unchanged, opts.Progress)
}

// job is a tensor to be written and where its elements come from.
type job struct {
	gguf.TensorInfo
	from gguf.Type
	src  *safetensors.Tensor
}

// plan matches the checkpoint's tensors with the architecture's: each must be
// there, with the right shape, and no other.
func plan(shape Shape, weights *safetensors.File, want WeightType) ([]job, error) {
	var jobs []job
	used := make(map[string]bool)
	for _, s := range shape.slots() {
		t := weights.Tensor(s.hf)
		if t == nil {
			return nil, fault.Formatf("%s: tensor %s is missing", weights.Path, s.hf)
		}
		used[s.hf] = true
		from, err := checkTensor(t, s)
		if err != nil {
			return nil, err
		}
		to := gguf.F32
		if len(s.shape) > 1 {
			to = want.matrix(from, s.shape[0])
		}
		jobs = append(jobs, job{gguf.TensorInfo{Name: s.name, Type: to, Shape: s.shape}, from, t})
	}
	for _, t := range weights.Tensors {
		if used[t.Name] || strings.HasSuffix(t.Name, ".rotary_emb.inv_freq") {
			continue // old transformers stored the rotation's frequencies, which follow from rope_theta
		}
		if t.Name == "lm_head.weight" && shape.Tied {
			if err := checkTied(weights); err != nil {
				return nil, err
			}
			continue
		}
		return nil, fault.Unsupportedf("%s: tensor %s is not part of a %d-layer Qwen2 model", t.Path, t.Name, shape.Layers)
	}
	return jobs, nil
}

func checkTensor(t *safetensors.Tensor, s slot) (gguf.Type, error) {
	want := make([]int64, len(s.shape))
	for i, d := range s.shape {
		want[len(want)-1-i] = d
	}
	if !equal(t.Shape, want) {
		return 0, fault.Formatf("%s: tensor %s has shape %v, but config.json asks for %v", t.Path, t.Name, t.Shape, want)
	}
	from, ok := t.DType.GGML()
	if !ok {
		return 0, fault.Unsupportedf("%s: tensor %s has type %s; F32, F16, BF16 and F64 are converted", t.Path, t.Name, t.DType)
	}
	return from, nil
}

// checkTied accepts a stored output head beside tie_word_embeddings only if it
// repeats the embedding: transformers would ignore a different one.
func checkTied(weights *safetensors.File) error {
	head, embedding := weights.Tensor("lm_head.weight"), weights.Tensor("model.embed_tokens.weight")
	same, err := sameBytes(head.Data(), embedding.Data())
	if err != nil {
		return fmt.Errorf("%s: compare lm_head.weight: %w", head.Path, err)
	}
	if head.DType != embedding.DType || !same {
		return fault.Formatf("%s: lm_head.weight differs from model.embed_tokens.weight, but config.json sets tie_word_embeddings", head.Path)
	}
	return nil
}

func modelName(dir string, config *hfConfig, opts ConvertOptions) string {
	if opts.Name != "" {
		return opts.Name
	}
	if name := config.NameOrPath; name != "" && !filepath.IsAbs(name) {
		return filepath.Base(name)
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	// The Hub's cache: models--<organisation>--<name>/snapshots/<commit>.
	if snapshots := filepath.Dir(dir); filepath.Base(snapshots) == "snapshots" {
		parts := strings.Split(filepath.Base(filepath.Dir(snapshots)), "--")
		if len(parts) > 1 && parts[0] == "models" {
			return parts[len(parts)-1]
		}
	}
	return filepath.Base(dir)
}

// modelMetadata returns all keys in the order in which llama.cpp's converter
// writes them. kind is the type of the matrices.
func modelMetadata(config *hfConfig, tokens *tokenizer, name string, kind gguf.Type) ([]gguf.KV, error) {
	kvs := []gguf.KV{
		{Key: "general.architecture", Value: arch},
		{Key: "general.type", Value: "model"},
		{Key: "general.name", Value: name},
		{Key: "general.file_type", Value: fileType(kind)},
		{Key: "general.quantization_version", Value: uint32(2)},
	}
	kvs = append(kvs, config.shape().metadata()...)
	rope, err := config.ropeMetadata()
	if err != nil {
		return nil, err
	}
	kvs = append(kvs, rope...)
	vocabulary, err := tokens.metadata()
	if err != nil {
		return nil, err
	}
	return append(kvs, vocabulary...), nil
}

// writeJobs writes a model. unchanged has the last word: whether the tensors came from
// what the metadata came from.
func writeJobs(ctx context.Context, out string, metadata []gguf.KV, jobs []job, unchanged func() error, progress Progress) error {
	infos := make([]gguf.TensorInfo, len(jobs))
	for i, j := range jobs {
		infos[i] = j.TensorInfo
	}
	w, err := gguf.Create(out, metadata, infos, progress)
	if err != nil {
		return err
	}
	defer w.Abort()
	c := w.NewCopier(ctx)
	for i, j := range jobs {
		c.Add(i, j.src.Data(), j.from, nil)
	}
	if err := c.Wait(); err != nil {
		return err
	}
	if err := unchanged(); err != nil {
		return err
	}
	return w.Commit()
}
