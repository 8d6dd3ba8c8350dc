package lora

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"personaprobe/internal/filecache"
	"personaprobe/internal/fingerprint"
	"personaprobe/models"
	"personaprobe/models/gguf"
)

// Resolve returns the path of a GGUF adapter for what a user names: a GGUF
// adapter is returned as it is, a PEFT directory is converted into cacheDir
// unless it already was. Either is checked against the base model: it must be of the
// Qwen2 family as the adapter is (models.ErrUnsupported), every pair must have a base
// weight of the right shape (ErrMismatch, a *MismatchError), and the sums must be finite.
// warnings are sentences for the user, such as a base model of
// another name.
func Resolve(ctx context.Context, path, baseGGUF, cacheDir string) (ggufPath string, warnings []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, fmt.Errorf("find adapter: %w", err)
	}
	a, err := openFor(path, baseGGUF)
	if err != nil {
		return "", nil, err
	}
	if !info.IsDir() {
		return path, a.warnings, nil
	}
	key := fingerprint.New("adapter", models.ConverterVersion)
	for _, name := range []string{configName, weightsName} {
		if err := key.Content(filepath.Join(path, name)); err != nil {
			return "", nil, fmt.Errorf("read adapter: %w", err)
		}
	}
	name := fmt.Sprintf("%s-%s.gguf", fingerprint.SafeName(path), key.Key())
	ggufPath, _, err = filecache.Get(ctx, filepath.Join(cacheDir, "adapters"), name, func(out string) error {
		return a.write(ctx, out, filepath.Base(path))
	})
	return ggufPath, a.warnings, err
}

// openFor opens an adapter to be used with a base model, the path of a GGUF.
func openFor(path, baseGGUF string) (*adapter, error) {
	base, err := gguf.Open(baseGGUF)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	a, err := openAdapter(path, base)
	if err != nil {
		return nil, fmt.Errorf("adapter %s: %w", path, err)
	}
	return a, nil
}

// Check checks a GGUF adapter against the base model it is to be used with.
func Check(adapter, baseGGUF string) (warnings []string, err error) {
	a, err := openFor(adapter, baseGGUF)
	if err != nil {
		return nil, err
	}
	return a.warnings, nil
}
