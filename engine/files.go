package engine

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"personaprobe/lora"
	"personaprobe/models"
)

// resolve turns directories into GGUF files and checks adapters against the model
// before llama.cpp sees either. The files stay open as they were checked.
func (e *Engine) resolve(ctx context.Context, opts *Options) error {
	if opts.CacheDir == "" {
		dir, err := models.CacheDir()
		if err != nil {
			return err
		}
		opts.CacheDir = dir
	}
	progress := func(done, total int64) {
		if opts.Progress != nil {
			opts.Progress("converting the model", done, total)
		}
	}
	model, err := models.Pin(ctx, opts.Model, opts.CacheDir, progress)
	if err != nil {
		return err
	}
	e.pins[""] = model
	e.files = Files{Model: model.Files()[0].Path, Adapters: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(opts.Adapters)) {
		adapter, warnings, err := lora.Pin(ctx, opts.Adapters[name], e.files.Model, opts.CacheDir)
		if err != nil {
			return fmt.Errorf("adapter %s: %w", name, err)
		}
		for _, w := range warnings {
			slog.Warn(w, "adapter", name)
		}
		e.pins[name] = adapter
		e.files.Adapters[name] = adapter.Files()[0].Path
	}
	return nil
}

// SHA256 is the hash, in hexadecimal, of the file that an adapter was loaded from, "" for
// the model: of what was opened, whatever lies at its path by now. That of a model in
// several parts is described at pin.Set.SHA256. The hash of a large file is kept in the
// cache, as it takes half a minute for 15 GB.
func (e *Engine) SHA256(ctx context.Context, adapter string) (string, error) {
	files, ok := e.pins[adapter]
	if !ok {
		return "", fmt.Errorf("%w: unknown adapter %q", ErrRequest, adapter)
	}
	return files.SHA256(ctx, e.opts.CacheDir)
}

// Unchanged returns an error that wraps pin.ErrChanged once a file of the model or of an
// adapter has been replaced, written to or moved since Open. llama.cpp maps the weights
// into memory, so that another's writing changes the results from then on. Generate,
// States and Logits ask this at their end; who keeps completions earlier asks before.
func (e *Engine) Unchanged() error {
	for _, files := range e.pins {
		if err := files.Unchanged(); err != nil {
			return err
		}
	}
	return nil
}
