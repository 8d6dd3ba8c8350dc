// Package fingerprint derives cache keys from files.
package fingerprint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"path/filepath"
	"strings"

	"personaprobe/internal/pin"
)

// Print accumulates what a cache entry depends on.
type Print struct{ h hash.Hash }

// New starts a fingerprint with texts, such as the converter's version.
func New(parts ...string) *Print {
	p := &Print{sha256.New()}
	for _, s := range parts {
		p.add("text", s)
	}
	return p
}

// add hashes fields with their lengths, so that no two lists collide.
func (p *Print) add(fields ...string) {
	for _, s := range fields {
		fmt.Fprintf(p.h, "%d:%s;", len(s), s)
	}
}

// Content adds a file's name and bytes, or the fact that it is absent.
func (p *Print) Content(ctx context.Context, f *pin.File) error {
	if f.Absent() {
		p.add("absent", filepath.Base(f.Path))
		return nil
	}
	sum, err := f.SHA256(ctx, "")
	if err != nil {
		return err
	}
	raw, err := hex.DecodeString(sum)
	p.add("content", filepath.Base(f.Path), string(raw))
	return err
}

// Identity adds what tells a large file apart without reading it: see [pin.File.Identity].
func (p *Print) Identity(f *pin.File) {
	if f.Absent() {
		p.add("absent", f.Abs())
		return
	}
	p.add(append([]string{"identity"}, f.Identity()...)...)
}

// FileSHA256 is the SHA-256 of a file: see [pin.File.SHA256].
func FileSHA256(ctx context.Context, path, cacheDir string) (string, error) {
	f, err := pin.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return f.SHA256(ctx, cacheDir)
}

// Key returns the fingerprint as 16 hexadecimal digits.
func (p *Print) Key() string { return hex.EncodeToString(p.h.Sum(nil)[:8]) }

// SafeName returns the last element of a path, reduced to characters that are
// safe in a file name, so that people recognise cache entries.
func SafeName(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	name := strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, filepath.Base(path))
	return strings.TrimLeft(name[:min(len(name), 64)], ".")
}
