package pin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// sumOf opens a file for its sum.
func sumOf(t *testing.T, path, cache string) string {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum, err := f.SHA256(context.Background(), cache)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// A large file's sum is kept, and forgotten when the file changes.
func TestKeptSum(t *testing.T) {
	defer func(n int64) { keptFrom = n }(keptFrom)
	keptFrom = 3
	cache, path := t.TempDir(), filepath.Join(t.TempDir(), "big")
	for i, text := range []string{"first", "other"} {
		if i == 0 {
			write(t, path, text)
		} else {
			overwrite(t, path, text)
		}
		sum := sha256.Sum256([]byte(text))
		for range 2 {
			if got := sumOf(t, path, cache); got != hex.EncodeToString(sum[:]) {
				t.Fatalf("%s: %s", text, got)
			}
		}
	}
	kept, err := filepath.Glob(filepath.Join(cache, "sha256", "*"))
	if err != nil || len(kept) != 2 {
		t.Fatalf("kept %v, %v", kept, err)
	}
	write(t, path, "no")
	sumOf(t, path, cache)
	if kept, _ := filepath.Glob(filepath.Join(cache, "sha256", "*")); len(kept) != 2 {
		t.Error("a small file's sum was kept")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.SHA256(ctx, ""); err == nil {
		t.Error("a cancelled sum succeeded")
	}
}

// No damage of a kept sum makes it another one, nor does another file's in its place.
func TestDamagedKeptSum(t *testing.T) {
	defer func(n int64) { keptFrom = n }(keptFrom)
	keptFrom = 3
	cache, dir := t.TempDir(), t.TempDir()
	path, other := filepath.Join(dir, "big"), filepath.Join(dir, "other")
	write(t, path, "hello")
	want := sumOf(t, path, cache)
	kept, err := filepath.Glob(filepath.Join(cache, "sha256", "*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %v, %v", kept, err)
	}
	whole, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	digit := bytes.Index(whole, []byte(want))
	if digit < 0 {
		t.Fatalf("no sum in %s", whole)
	}
	damaged := map[string][]byte{"empty": nil, "cut": whole[:len(whole)/2], "a bare sum": []byte(want + "\n")}
	flipped := bytes.Clone(whole)
	flipped[digit] ^= 1 // another hexadecimal digit
	damaged["a digit of the sum"] = flipped
	write(t, other, "jello")
	sumOf(t, other, cache)
	all, _ := filepath.Glob(filepath.Join(cache, "sha256", "*"))
	for _, p := range all {
		if p != kept[0] {
			if damaged["another file's"], err = os.ReadFile(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(damaged) != 5 {
		t.Fatalf("%d kinds of damage", len(damaged))
	}
	for name, raw := range damaged {
		write(t, kept[0], string(raw))
		if got := sumOf(t, path, cache); got != want {
			t.Errorf("%s: %s", name, got)
		}
		if again, _ := os.ReadFile(kept[0]); !bytes.Equal(again, whole) {
			t.Errorf("%s: kept again as %s", name, again)
		}
	}
}
