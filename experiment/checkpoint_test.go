package experiment

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var testHeader = checkpointHeader{Format: checkpointFormat, Manifest: "abc", Shard: "villain_seed42"}

// writeTestCheckpoint writes blocks of two groups and gives all groups and the ends of the
// blocks, the header's first.
func writeTestCheckpoint(t *testing.T, path string, blocks int) (groups []group, ends []int64) {
	t.Helper()
	c, torn, err := openCheckpoint(path, testHeader, time.Hour, nil)
	if err != nil || torn != 0 {
		t.Fatal(torn, err)
	}
	end := func() {
		if err := c.flush(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, info.Size())
	}
	end()
	for b := range blocks {
		for q := range 2 {
			g := group{Persona: b, Question: q, Elapsed: float64(b), Completions: []sample{{fmt.Sprintf("<text> %d\n%d \u2028", b, q), 7, "stop"}}}
			groups = append(groups, g)
			if err := c.add(g); err != nil {
				t.Fatal(err)
			}
		}
		end()
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	return groups, ends
}

func readTestCheckpoint(path string) (groups []group, size, torn int64, err error) {
	size, torn, err = readCheckpoint(path, testHeader, func(g group) error {
		groups = append(groups, g)
		return nil
	})
	return groups, size, torn, err
}

// However a file is cut, whole blocks are kept, the rest is cut off, and the file takes
// groups again.
func TestTornTailIsCutAtEveryLength(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), checkpointFile)
	groups, ends := writeTestCheckpoint(t, path, 3)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for length := range int64(len(whole) + 1) {
		if err := os.WriteFile(path, whole[:length], 0o666); err != nil {
			t.Fatal(err)
		}
		blocks, sound := 0, int64(0)
		for i, end := range ends {
			if end <= length {
				blocks, sound = i, end
			}
		}
		var kept []group
		c, torn, err := openCheckpoint(path, testHeader, time.Hour, func(g group) error {
			kept = append(kept, g)
			return nil
		})
		if err != nil {
			t.Fatalf("cut at %d: %v", length, err)
		}
		if torn != length-sound {
			t.Fatalf("cut at %d: %d bytes are torn, want %d", length, torn, length-sound)
		}
		if diff := cmp.Diff(groups[:2*blocks], kept); len(kept) != 2*blocks || blocks > 0 && diff != "" {
			t.Fatalf("cut at %d: %s", length, diff)
		}
		for _, g := range groups[2*blocks:] {
			if err := c.add(g); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.close(); err != nil {
			t.Fatal(err)
		}
		all, _, torn, err := readTestCheckpoint(path)
		if diff := cmp.Diff(groups, all); err != nil || torn != 0 || diff != "" {
			t.Fatalf("cut at %d and resumed: %d torn, %v, %s", length, torn, err, diff)
		}
	}
}

// A changed byte never yields a changed group: the block and what follows is cut.
func TestDamagedBytesAreNeverRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), checkpointFile)
	groups, ends := writeTestCheckpoint(t, path, 3)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x10
		if err := os.WriteFile(path, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		got, size, torn, err := readTestCheckpoint(path)
		if err != nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		if len(got) > len(groups) || len(got) > 0 && !cmp.Equal(groups[:len(got)], got) {
			t.Fatalf("byte %d: read %v", at, got)
		}
		if torn == 0 && len(got) == len(groups) {
			continue // a bit that the format does not use
		}
		if torn == 0 || int64(at) < size || size > ends[len(ends)-1] {
			t.Fatalf("byte %d: sound up to %d, %d torn", at, size, torn)
		}
	}
	// After a crash of the machine a file may end in zeros that were never written.
	if err := os.WriteFile(path, append(bytes.Clone(whole), make([]byte, 5000)...), 0o666); err != nil {
		t.Fatal(err)
	}
	if got, _, torn, err := readTestCheckpoint(path); err != nil || torn != 5000 || len(got) != len(groups) {
		t.Errorf("%d groups, %d torn, %v", len(got), torn, err)
	}
}

func TestCheckpointOfAnotherShardIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), checkpointFile)
	writeTestCheckpoint(t, path, 1)
	for _, h := range []checkpointHeader{
		{checkpointFormat, "abc", "villain_seed137"}, {checkpointFormat, "abd", "villain_seed42"}, {"other", "abc", "villain_seed42"},
	} {
		_, _, err := openCheckpoint(path, h, time.Hour, nil)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), `shard "villain_seed42"`) {
			t.Errorf("%v: got %v", h, err)
		}
	}
	if got, _, torn, err := readTestCheckpoint(path); err != nil || torn != 0 || len(got) != 2 {
		t.Errorf("the refused file was changed: %d groups, %d torn, %v", len(got), torn, err)
	}
}

func TestCheckpointWritesBlocksInTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), checkpointFile)
	c, _, err := openCheckpoint(path, testHeader, 20*time.Millisecond, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.add(group{Persona: 1}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(30 * time.Millisecond)
	if err := c.add(group{Persona: 2}); err != nil {
		t.Fatal(err)
	}
	if got, _, _, err := readTestCheckpoint(path); err != nil || len(got) != 2 {
		t.Errorf("after its time %d groups are on disk (%v)", len(got), err)
	}
	big := group{Completions: []sample{{Text: strings.Repeat("x", checkpointBytes)}}}
	if err := c.add(big); err != nil {
		t.Fatal(err)
	}
	if got, _, _, err := readTestCheckpoint(path); err != nil || len(got) != 3 {
		t.Errorf("after a large group %d groups are on disk (%v)", len(got), err)
	}
}

// Another reader of zstd shows the file.
func TestCheckpointIsPlainZstd(t *testing.T) {
	zstd, err := exec.LookPath("zstd")
	if err != nil {
		t.Skip("needs the zstd program")
	}
	path := filepath.Join(t.TempDir(), checkpointFile)
	writeTestCheckpoint(t, path, 3)
	out, err := exec.Command(zstd, "-dc", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(out, []byte{'\n'}); lines != 7 {
		t.Errorf("%d lines, want the header and 6 groups:\n%s", lines, out)
	}
}

func FuzzReadCheckpoint(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, checkpointFile)
	c, _, err := openCheckpoint(path, testHeader, time.Hour, nil)
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(c.add(group{Persona: 3}), c.close()); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		_, size, torn, err := readTestCheckpoint(path)
		if err == nil && size+torn != int64(len(data)) {
			t.Fatalf("%d sound and %d torn of %d", size, torn, len(data))
		}
	})
}
