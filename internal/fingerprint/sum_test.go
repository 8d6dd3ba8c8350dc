package fingerprint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// A large file's sum is kept, and forgotten when the file changes.
func TestFileSHA256(t *testing.T) {
	defer func(n int64) { cachedFrom = n }(cachedFrom)
	cachedFrom = 3 << 20
	dir, cache := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "big")
	write := func(first byte) string {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write([]byte{first}); err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(cachedFrom + 5); err != nil { // a hole: no disk
			t.Fatal(err)
		}
		h := sha256.New()
		h.Write([]byte{first})
		zeros := make([]byte, 1<<20)
		for left := cachedFrom + 4; left > 0; left -= int64(len(zeros)) {
			h.Write(zeros[:min(left, int64(len(zeros)))])
		}
		return hex.EncodeToString(h.Sum(nil))
	}
	for _, first := range []byte{1, 2} {
		want := write(first)
		for range 2 {
			got, err := FileSHA256(context.Background(), path, cache)
			if err != nil || got != want {
				t.Fatalf("got %s, %v; want %s", got, err, want)
			}
		}
	}
	kept, err := filepath.Glob(filepath.Join(cache, "sha256", "*"))
	if err != nil || len(kept) != 2 {
		t.Fatalf("kept %v, %v", kept, err)
	}
	// A damaged record is computed again.
	if err := os.WriteFile(kept[0], []byte("zz"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept[1], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := FileSHA256(context.Background(), path, cache); err != nil || len(got) != 64 {
		t.Fatalf("got %q, %v", got, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := FileSHA256(ctx, path, ""); err == nil {
		t.Error("a cancelled sum succeeded")
	}
	if _, err := FileSHA256(context.Background(), filepath.Join(dir, "none"), cache); err == nil {
		t.Error("a missing file has a sum")
	}
}
