package lora

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"personaprobe/internal/filecache"
	"personaprobe/internal/fingerprint"
	"personaprobe/internal/pin"
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
	files, warnings, err := Pin(ctx, path, baseGGUF, cacheDir)
	if err != nil {
		return "", warnings, err
	}
	defer files.Close()
	return files.Files()[0].Path, warnings, nil
}

// Pin is Resolve for who goes on to load the adapter: it returns the GGUF open as it was
// checked. Its Unchanged says afterwards whether what was loaded by path is that. The
// caller closes it.
func Pin(ctx context.Context, path, baseGGUF, cacheDir string) (_ *pin.Set, warnings []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("find adapter: %w", err)
	}
	if !info.IsDir() {
		f, err := gguf.Open(path)
		if err != nil {
			return nil, nil, fmt.Errorf("read adapter: %w", err)
		}
		a, err := openFor(path, baseGGUF)
		if err != nil {
			return nil, nil, errors.Join(err, f.Close())
		}
		return f.Pins(), a.warnings, nil
	}
	inputs, err := pinPEFT(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read adapter: %w", err)
	}
	defer inputs.Close()
	a, err := openFor(path, baseGGUF)
	if err != nil {
		return nil, nil, err
	}
	f, err := cached(ctx, path, cacheDir, inputs, a.write)
	if err != nil {
		return nil, nil, err
	}
	files := &pin.Set{}
	files.Take(f)
	return files, a.warnings, nil
}

// pinPEFT opens the files of a PEFT directory that are read.
func pinPEFT(dir string) (*pin.Set, error) {
	files := &pin.Set{}
	for _, name := range []string{configName, weightsName} {
		if _, err := files.Add(filepath.Join(dir, name)); err != nil {
			return nil, errors.Join(err, files.Close())
		}
	}
	return files, nil
}

// cached is the cache's conversion of a PEFT directory that was read into memory from
// the inputs, which write makes.
func cached(ctx context.Context, dir, cacheDir string, inputs *pin.Set,
	write func(ctx context.Context, out, name string) error) (*pin.File, error) {
	name := ownName(dir)
	key := fingerprint.New("adapter", models.ConverterVersion, name)
	for _, f := range inputs.Files() {
		if err := key.Content(ctx, f); err != nil {
			return nil, fmt.Errorf("read adapter: %w", err)
		}
	}
	if err := inputs.Unchanged(); err != nil {
		return nil, fmt.Errorf("adapter %s: %w", dir, err)
	}
	entry := fmt.Sprintf("%s-%s.gguf", fingerprint.SafeName(dir), key.Key())
	return filecache.Get(ctx, cacheDir, "adapters", entry, func(out string) error { return write(ctx, out, name) })
}

// ownName is what an adapter is called after its directory. It is among the bytes.
func ownName(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return filepath.Base(dir)
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
