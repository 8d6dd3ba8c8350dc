package engine

import (
	"context"
	"fmt"
)

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
