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
// unless it already was. Either is checked against the base model: every pair
// must have a base weight of the right shape (ErrMismatch, a *MismatchError) and
// finite values. warnings are sentences for the user, such as a base model of
// another name.
func Resolve(ctx context.Context, path, baseGGUF, cacheDir string) (ggufPath string, warnings []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, fmt.Errorf("find adapter: %w", err)
	}
	if !info.IsDir() {
		warnings, err := Check(path, baseGGUF)
		return path, warnings, err
	}
	p, err := openPEFT(path)
	if err != nil {
		return "", nil, fmt.Errorf("read adapter: %w", err)
	}
	defer p.Close()
	if warnings, err = p.checkBase(baseGGUF); err != nil {
		return "", nil, fmt.Errorf("adapter %s: %w", path, err)
	}
	key := fingerprint.New("adapter", models.ConverterVersion)
	for _, name := range []string{configName, weightsName} {
		if err := key.Content(filepath.Join(path, name)); err != nil {
			return "", nil, fmt.Errorf("read adapter: %w", err)
		}
	}
	name := fmt.Sprintf("%s-%s.gguf", fingerprint.SafeName(path), key.Key())
	ggufPath, _, err = filecache.Get(ctx, filepath.Join(cacheDir, "adapters"), name, func(out string) error {
		return p.write(ctx, out, filepath.Base(path))
	})
	return ggufPath, warnings, err
}

// Check checks a GGUF adapter against the base model it is to be used with.
func Check(adapter, baseGGUF string) (warnings []string, err error) {
	f, err := gguf.Open(adapter)
	if err != nil {
		return nil, fmt.Errorf("read adapter: %w", err)
	}
	defer f.Close()
	pairs, err := readGGUF(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", adapter, err)
	}
	base, err := gguf.Open(baseGGUF)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	if err := checkPairs(pairs, base); err != nil {
		return nil, fmt.Errorf("adapter %s: %w", adapter, err)
	}
	want, _ := f.String(baseNameKey)
	return nameWarning(want, base), nil
}
