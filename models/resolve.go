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
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("find model: %w", err)
	}
	if !info.IsDir() {
		if err := checkMagic(path); err != nil {
			return "", err
		}
		return path, CheckGGUF(path)
	}
	if err := isCheckpoint(path); err != nil {
		return "", err
	}
	weights, err := safetensors.Files(path)
	if err != nil {
		return "", err
	}
	p := fingerprint.New("model", ConverterVersion)
	for _, name := range configFiles {
		if err := p.Content(filepath.Join(path, name)); err != nil {
			return "", fmt.Errorf("find model: %w", err)
		}
	}
	for _, file := range weights {
		if err := p.Identity(file); err != nil {
			return "", fmt.Errorf("find model: %w", err)
		}
	}
	name := fmt.Sprintf("%s-%s.gguf", fingerprint.SafeName(path), p.Key())
	out, _, err := filecache.Get(ctx, filepath.Join(cacheDir, "models"), name, func(out string) error {
		return Convert(ctx, path, out, ConvertOptions{Progress: progress})
	})
	return out, err
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
