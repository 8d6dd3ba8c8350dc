package tiny

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"personaprobe/internal/pin/pintest"
	"personaprobe/models/gguf"
	"personaprobe/models/safetensors"
)

func TestArchiveSum(t *testing.T) {
	sum := sha256.Sum256(archive)
	if got := hex.EncodeToString(sum[:]); got != strings.TrimSpace(archiveSum) {
		t.Errorf("tiny.tar.zst.sha256 holds %s, the archive has %s", archiveSum, got)
	}
}

func TestInstall(t *testing.T) {
	cache := t.TempDir()
	// Several at once: all must get the same whole files.
	var wg sync.WaitGroup
	results := make([]Files, 3)
	for i := range results {
		wg.Go(func() {
			var err error
			if results[i], err = Install(context.Background(), cache); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	start := time.Now()
	again, err := Install(context.Background(), cache)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("a second Install took %v", took)
	}
	for _, r := range results {
		if r.Model != again.Model || len(r.Adapters) != 5 || r.Adapters["villain"] != again.Adapters["villain"] {
			t.Errorf("Install returned %v, then %v", r, again)
		}
	}
	checkModel(t, again.Model)
	data, err := os.ReadFile(again.Model)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != ModelSHA256 {
		t.Errorf("ModelSHA256 is %s, the installed model's %x", ModelSHA256, sum)
	}
}

// checkModel compares every matrix with the unpacked checkpoint, bit by bit, and
// every vector by value.
func checkModel(t *testing.T, path string) {
	dir := t.TempDir()
	if err := Unpack(dir); err != nil {
		t.Fatal(err)
	}
	hf, err := safetensors.OpenDir(filepath.Join(dir, "hf"))
	if err != nil {
		t.Fatal(err)
	}
	defer hf.Close()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Tensors) != len(hf.Tensors) {
		t.Fatalf("%d tensors, checkpoint has %d", len(f.Tensors), len(hf.Tensors))
	}
	for name, want := range map[string]string{
		"token_embd.weight": "model.embed_tokens.weight", "blk.27.ffn_down.weight": "model.layers.27.mlp.down_proj.weight",
	} {
		a, err := f.Tensor(name).Raw()
		if err != nil {
			t.Fatal(err)
		}
		b, err := hf.Tensor(want).Raw()
		if err != nil {
			t.Fatal(err)
		}
		if f.Tensor(name).Type != gguf.F16 || !bytes.Equal(a, b) {
			t.Errorf("tensor %s differs from %s", name, want)
		}
	}
}

// A damaged file is made again, with the same bytes.
func TestInstallRepairs(t *testing.T) {
	cache := t.TempDir()
	files, err := Install(context.Background(), cache)
	if err != nil {
		t.Fatal(err)
	}
	zero := func(path string) error { // the second half, in place
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return errors.Join(os.Truncate(path, info.Size()/2), os.Truncate(path, info.Size()))
	}
	for _, c := range []struct {
		path   string
		damage func(path string) error
	}{
		{files.Model, zero},
		{files.Adapters["comedian"], zero},
		{files.Adapters["villain"], func(path string) error { return os.Truncate(path, 100) }},
		{files.Adapters["assistant"], func(path string) error { pintest.Flip(t, path, -1); return nil }},
	} {
		want, err := os.ReadFile(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.damage(c.path); err != nil {
			t.Fatal(err)
		}
		if _, err := Install(context.Background(), cache); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(c.path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s was not made again: %v", c.path, err)
		}
	}
}

func TestInstallCancelled(t *testing.T) {
	cache := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Install(ctx, cache); err == nil {
		t.Fatal("Install succeeded although it was cancelled")
	}
	left, _ := filepath.Glob(filepath.Join(cache, "tiny", "*.gguf"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
