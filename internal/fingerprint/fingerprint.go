// Package fingerprint derives cache keys from files.
package fingerprint

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
func (p *Print) Content(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		p.add("absent", filepath.Base(path))
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	p.add("content", filepath.Base(path), string(sum.Sum(nil)))
	return nil
}

// Identity adds what tells a large file apart without reading it: its absolute
// path, size, modification time and, where the system has them, device, inode
// and the time of its last change, which no tool can set back.
func (p *Print) Identity(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path) // follows links: the Hub's cache is made of them
	if errors.Is(err, fs.ErrNotExist) {
		p.add("absent", abs)
		return nil
	}
	if err != nil {
		return err
	}
	p.add("identity", abs, fmt.Sprint(info.Size(), info.ModTime().UnixNano()), inode(info))
	return nil
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
