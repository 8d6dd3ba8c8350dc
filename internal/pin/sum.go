package pin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"personaprobe/internal/atomicfile"
)

// keptFrom is the size in bytes from which a sum is worth keeping. Tests lower it.
var keptFrom int64 = 256 << 20

// SHA256 is the SHA-256 of the open file, in hexadecimal. That of a large file, which
// takes half a minute for 15 GB, is kept in cacheDir under the file's identity, so that
// it is computed once; an empty cacheDir keeps nothing. The error wraps ErrChanged if
// the file was written to meanwhile.
func (f *File) SHA256(ctx context.Context, cacheDir string) (string, error) {
	if f.Absent() {
		return "", f.missing()
	}
	if f.sum != "" {
		return f.sum, nil
	}
	kept := ""
	if cacheDir != "" && f.was.size >= keptFrom {
		kept = filepath.Join(cacheDir, "sha256", hexSum(f.Identity()...)[:16]+".json")
		if sum := f.keptSum(kept); sum != "" {
			f.sum = sum
			return sum, nil
		}
	}
	sum, err := f.read(ctx)
	if err != nil {
		return "", err
	}
	f.sum = sum
	if kept != "" {
		f.keep(kept)
	}
	return sum, nil
}

// read hashes the file.
func (f *File) read(ctx context.Context) (string, error) {
	h := sha256.New()
	buf := make([]byte, 4<<20)
	for at := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.file.ReadAt(buf, at)
		h.Write(buf[:n])
		at += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", fmt.Errorf("hash %s: %w", f.Path, err)
		}
	}
	now, err := stateOf(f.file.Stat())
	if err == nil && now != f.was {
		err = f.changed("was written to, moved or linked")
	}
	return hex.EncodeToString(h.Sum(nil)), err
}

// keptRecord is a kept sum. It repeats whose sum it is, and carries a sum of itself: one
// damaged digit would be another model's identity.
type keptRecord struct {
	Identity []string `json:"identity"` // see File.Identity
	SHA256   string   `json:"sha256"`
	Check    string   `json:"check"` // SHA-256 of the lines above
}

func (r keptRecord) check() string { return hexSum(append(slices.Clone(r.Identity), r.SHA256)...) }

// keptSum is the file's sum if it was kept, or empty.
func (f *File) keptSum(path string) string {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	var r keptRecord
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil || r.Check != r.check() || !slices.Equal(r.Identity, f.Identity()) {
		slog.Warn("a kept hash is damaged; the file is read again", "kept", path, "file", f.Path)
		return ""
	}
	return r.SHA256
}

// keep writes the sum down. Without it the next run computes it again.
func (f *File) keep(path string) {
	r := keptRecord{Identity: f.Identity(), SHA256: f.sum}
	r.Check = r.check()
	raw, err := json.Marshal(r)
	if err != nil || os.MkdirAll(filepath.Dir(path), 0o777) != nil {
		return
	}
	_ = atomicfile.WriteFile(path, append(raw, '\n'))
}

// SHA256 is the file's sum, if the set is one file. That of several is the SHA-256 of
// their sums in order, in hexadecimal, each with a newline:
//
//	sha256sum PARTS | cut -c 1-64 | sha256sum
func (s *Set) SHA256(ctx context.Context, cacheDir string) (string, error) {
	sums := make([]string, len(s.files))
	for i, f := range s.files {
		var err error
		if sums[i], err = f.SHA256(ctx, cacheDir); err != nil {
			return "", err
		}
	}
	if len(sums) == 1 {
		return sums[0], nil
	}
	return hexSum(sums...), nil
}
