package models

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"personaprobe/internal/filecache"
	"personaprobe/internal/fingerprint"
	"personaprobe/internal/pin"
	"personaprobe/models/safetensors"
)

// ConverterVersion is part of every cache key. It must be raised when Convert, or
// lora.Convert, comes to write other bytes for the same input, or to refuse it.
const ConverterVersion = "2"

// CacheDir returns where converted models are kept: $PERSONAPROBE_CACHE, else
// personaprobe in the user's cache directory ($XDG_CACHE_HOME or ~/.cache).
func CacheDir() (string, error) { return filecache.Dir() }

// configFiles are the files of a checkpoint that Convert reads besides weights.
var configFiles = []string{
	"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
	"vocab.json", "merges.txt", "added_tokens.json", "chat_template.jinja",
}

// Resolve returns the path of a GGUF for what a user names: a GGUF file is
// checked (CheckGGUF) and returned as it is, a Hugging Face checkpoint directory is converted into
// cacheDir (types kept) unless it already was. progress may be nil.
//
// The cache key covers the bytes of the small files and, for the weights, path,
// size, time stamps and inode as git's index does: reading gigabytes at every
// start would cost more than the conversion. A checkpoint that is moved or
// touched is converted again. Entries are never removed; the user may delete the
// directory at any time.
func Resolve(ctx context.Context, path, cacheDir string, progress Progress) (string, error) {
	files, err := Pin(ctx, path, cacheDir, progress)
	if err != nil {
		return "", err
	}
	defer files.Close()
	return files.Files()[0].Path, nil
}

// Pin is Resolve for who goes on to load the model: it returns the GGUF's files open as
// they were checked, the one to load first. Their Unchanged says afterwards whether what
// was loaded by path is that. The caller closes them.
func Pin(ctx context.Context, path, cacheDir string, progress Progress) (*pin.Set, error) {
	return pinned(ctx, path, cacheDir, func(c *checkpoint, out string) error {
		return c.convert(ctx, out, ConvertOptions{Progress: progress})
	})
}

// ErrNotConverted marks a checkpoint that the cache does not have as GGUF.
var ErrNotConverted = errors.New("not converted yet")

// Converted is Resolve for who will not wait for a conversion: the error of a checkpoint
// that needs one is ErrNotConverted.
func Converted(ctx context.Context, path, cacheDir string) (string, error) {
	files, err := pinned(ctx, path, cacheDir, func(*checkpoint, string) error {
		return fmt.Errorf("%s is %w", path, ErrNotConverted)
	})
	if err != nil {
		return "", err
	}
	defer files.Close()
	return files.Files()[0].Path, nil
}

// pinned opens a GGUF, or the one that convert makes of a checkpoint.
func pinned(ctx context.Context, path, cacheDir string, convert func(c *checkpoint, out string) error) (*pin.Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("find model: %w", err)
	}
	if !info.IsDir() {
		return pinGGUF(path)
	}
	if err := isCheckpoint(path); err != nil {
		return nil, err
	}
	c, err := pinCheckpoint(path)
	if err != nil {
		return nil, fmt.Errorf("find model: %w", err)
	}
	defer c.pins.Close()
	key, err := c.key(ctx)
	if err != nil {
		return nil, fmt.Errorf("find model: %w", err)
	}
	name := fmt.Sprintf("%s-%s.gguf", fingerprint.SafeName(path), key)
	f, err := filecache.Get(ctx, cacheDir, "models", name, func(out string) error { return convert(c, out) })
	if err != nil {
		return nil, err
	}
	files := &pin.Set{}
	files.Take(f)
	return files, nil
}

func pinGGUF(path string) (*pin.Set, error) {
	if err := checkMagic(path); err != nil {
		return nil, err
	}
	f, err := openChecked(path)
	if err != nil {
		return nil, err
	}
	return f.Pins(), nil
}

// checkpoint is the files of a Hugging Face checkpoint directory, open, so that one that
// changes while it is converted is noticed.
type checkpoint struct {
	dir     string
	pins    pin.Set
	config  []*pin.File // configFiles
	weights []*pin.File // and their index
}

func pinCheckpoint(dir string) (_ *checkpoint, err error) {
	c := &checkpoint{dir: dir}
	defer func() {
		if err != nil {
			c.pins.Close()
		}
	}()
	// The index first: it says which weights there are.
	if _, err := c.pins.Add(filepath.Join(dir, safetensors.IndexName)); err != nil {
		return nil, err
	}
	weights, err := safetensors.Files(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range configFiles {
		f, err := c.pins.Add(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		c.config = append(c.config, f)
	}
	for _, path := range weights {
		f, err := c.pins.Add(path)
		if err != nil {
			return nil, err
		}
		c.weights = append(c.weights, f)
	}
	return c, nil
}

// key is that of the checkpoint's conversion in the cache.
func (c *checkpoint) key(ctx context.Context) (string, error) {
	p := fingerprint.New("model", ConverterVersion)
	for _, f := range c.config {
		if err := p.Content(ctx, f); err != nil {
			return "", err
		}
	}
	for _, f := range c.weights {
		p.Identity(f)
	}
	return p.Key(), nil
}

// isCheckpoint explains what a directory is if it is no checkpoint.
func isCheckpoint(dir string) error {
	_, err := os.Stat(filepath.Join(dir, "config.json"))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "adapter_config.json")); err == nil {
		return fmt.Errorf("%s is an adapter, not a model: %w; name its base model here", dir, ErrUnsupported)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*.gguf")); len(found) > 0 {
		return fmt.Errorf("%s holds GGUF files, name one of them, such as %s: %w", dir, filepath.Base(found[0]), ErrUnsupported)
	}
	return fmt.Errorf("%s has no config.json, so it is not a Hugging Face checkpoint: %w", dir, fs.ErrNotExist)
}

// checkMagic checks that a file claims to be GGUF, with a hint if it is something else.
func checkMagic(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("find model: %w", err)
	}
	defer f.Close()
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil || string(magic[:]) != "GGUF" {
		hint := ""
		if filepath.Ext(path) == ".safetensors" {
			hint = "; name the checkpoint's directory instead"
		}
		return fmt.Errorf("%s is not a GGUF file%s: %w", path, hint, ErrFormat)
	}
	return nil
}
