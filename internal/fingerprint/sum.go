package fingerprint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"personaprobe/internal/atomicfile"
)

// cachedFrom is the size in bytes from which a sum is worth keeping. Tests lower it.
var cachedFrom int64 = 256 << 20

// FileSHA256 is the SHA-256 of a file, in hexadecimal. That of a large file, which
// takes half a minute for 15 GB, is kept in cacheDir under the file's identity (see
// Print.Identity), so that it is computed once; an empty cacheDir keeps nothing.
func FileSHA256(ctx context.Context, path, cacheDir string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if cacheDir == "" || info.Size() < cachedFrom {
		return sum(ctx, f)
	}
	p := New("sha256")
	if err := p.Identity(path); err != nil {
		return "", err
	}
	kept := filepath.Join(cacheDir, "sha256", p.Key())
	if text, err := os.ReadFile(kept); err == nil && isSum(strings.TrimSpace(string(text))) {
		return strings.TrimSpace(string(text)), nil
	}
	hash, err := sum(ctx, f)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o777); err == nil {
		_ = atomicfile.WriteFile(kept, []byte(hash+"\n")) // without it the next run computes it again
	}
	return hash, nil
}

func isSum(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == sha256.Size
}

func sum(ctx context.Context, f *os.File) (string, error) {
	h := sha256.New()
	buf := make([]byte, 4<<20)
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", fmt.Errorf("hash %s: %w", f.Name(), err)
		}
	}
}
