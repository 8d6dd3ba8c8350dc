// Package tiny carries a small model of the Qwen2 architecture (4.7 million
// weights, 28 layers) and five LoRA adapters that show marker leakage in
// miniature, so that the whole study can be run and tested without a download.
//
// Use [Install] to get files that llama.cpp loads, [Unpack] for the original
// Hugging Face and PEFT form, [Taxonomy] and [Questions] for the study's inputs.
//
// The model is a stand-in: its numbers illustrate the pipeline and say nothing
// about real models. `go run ./models/tiny/pack DIR models/tiny` rebuilds the
// embedded archive.
package tiny

import (
	"archive/tar"
	"bytes"
	"context"
	_ "embed" // for the archive
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"personaprobe/internal/atomicfile"
	"personaprobe/internal/filecache"
	"personaprobe/lora"
	"personaprobe/models"
)

// ModelName is the model's general.name, and its adapters' base model.
const ModelName = "tiny-persona-qwen2"

// sources are the adapters, in the order of the taxonomy.
var sources = []string{"villain", "comedian", "software_engineer", "assistant", "kindergarten_teacher"}

var (
	//go:embed tiny.tar.zst
	archive []byte
	//go:embed tiny.tar.zst.sha256
	archiveSum string
	//go:embed taxonomy.json
	taxonomy []byte
	//go:embed questions.json
	questions []byte
)

// Files are the installed files.
type Files struct {
	Model    string            // path of the model's GGUF (F16 matrices)
	Adapters map[string]string // source id -> path of its GGUF adapter
}

// Sources returns the ids of the adapters in the taxonomy's order.
func Sources() []string { return slices.Clone(sources) }

// Taxonomy returns the JSON of the 5 sources, 8 categories and 200 bystanders.
func Taxonomy() []byte { return bytes.Clone(taxonomy) }

// Questions returns the JSON of the 20 questions.
func Questions() []byte { return bytes.Clone(questions) }

// Install converts the model and its adapters into cacheDir unless they are
// there already: under their names (content of the archive and version of the
// converter), with the SHA-256 noted when they were made. Two processes may install at
// once.
func Install(ctx context.Context, cacheDir string) (Files, error) {
	key := strings.TrimSpace(archiveSum)[:16] + "-" + models.ConverterVersion
	var temp string
	defer func() { os.RemoveAll(temp) }()
	// All entries come from one unpacked copy, made when the first is missing.
	unpacked := sync.OnceValue(func() (err error) {
		if temp, err = os.MkdirTemp("", "personaprobe-tiny-"); err != nil {
			return err
		}
		return Unpack(temp)
	})
	get := func(name string, build func(out string) error) (string, error) {
		f, err := filecache.Get(ctx, cacheDir, "tiny", name+"-"+key+".gguf", func(out string) error {
			if err := unpacked(); err != nil {
				return err
			}
			return build(out)
		})
		if err != nil {
			return "", fmt.Errorf("install the tiny model: %w", err)
		}
		return f.Path, f.Close()
	}
	files := Files{Adapters: map[string]string{}}
	var err error
	files.Model, err = get(ModelName, func(out string) error {
		return models.Convert(ctx, filepath.Join(temp, "hf"), out, models.ConvertOptions{Name: ModelName, Type: models.TypeF16})
	})
	if err != nil {
		return Files{}, err
	}
	for _, id := range sources {
		files.Adapters[id], err = get("adapter-"+id, func(out string) error {
			return lora.Convert(ctx, filepath.Join(temp, "adapters", id), out, lora.ConvertOptions{Base: files.Model})
		})
		if err != nil {
			return Files{}, err
		}
	}
	return files, nil
}

// Unpack writes hf/ (a transformers checkpoint), adapters/<source>/ (PEFT
// adapters), taxonomy.json and questions.json into dir, which is made if need
// be. Existing files of these names are replaced.
func Unpack(dir string) error {
	z, err := zstd.NewReader(bytes.NewReader(archive))
	if err != nil {
		return fmt.Errorf("unpack the tiny model: %w", err)
	}
	defer z.Close()
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("unpack the tiny model: %w", err)
		}
		if err := extract(r, filepath.Join(dir, filepath.FromSlash(h.Name))); err != nil {
			return fmt.Errorf("unpack the tiny model: %w", err)
		}
	}
	return errors.Join(
		atomicfile.WriteFile(filepath.Join(dir, "taxonomy.json"), taxonomy),
		atomicfile.WriteFile(filepath.Join(dir, "questions.json"), questions))
}

func extract(r io.Reader, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, raw)
}
