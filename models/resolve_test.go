package models_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"personaprobe/models"
)

func TestResolve(t *testing.T) {
	dir, cache := writeCheckpoint(t, small()), t.TempDir()
	calls := 0
	progress := func(int64, int64) { calls++ }
	first, err := models.Resolve(context.Background(), dir, cache, progress)
	if err != nil || calls == 0 {
		t.Fatalf("%v, %d progress calls", err, calls)
	}
	calls = 0
	again, err := models.Resolve(context.Background(), dir+"/", cache, progress)
	if err != nil || again != first || calls != 0 {
		t.Errorf("a second time: %s, %v, %d progress calls", again, err, calls)
	}
	if r, err := models.Verify(context.Background(), first, nil); err != nil || !r.OK() {
		t.Errorf("Verify: %v, %+v", err, r)
	}
	if path, err := models.Resolve(context.Background(), first, cache, nil); err != nil || path != first {
		t.Errorf("a GGUF file: %s, %v", path, err)
	}
	// Any change of the files gives another entry.
	for _, name := range []string{"tokenizer_config.json", "model.safetensors"} {
		path := filepath.Join(dir, name)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if raw[len(raw)-1] = ' '; name == "model.safetensors" {
			raw[len(raw)-1] ^= 1
		} else {
			raw[len(raw)-1] = '}'
			raw = append(raw, '\n')
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(path, raw, 0o666), os.Chtimes(path, time.Time{}, info.ModTime())); err != nil {
			t.Fatal(err)
		}
		changed, err := models.Resolve(context.Background(), dir, cache, nil)
		if err != nil || changed == first {
			t.Errorf("after a change of %s: %s, %v", name, changed, err)
		}
		first = changed
	}
}

func TestResolveAtOnce(t *testing.T) {
	dir, cache := writeCheckpoint(t, small()), t.TempDir()
	var wg sync.WaitGroup
	var mu sync.Mutex
	paths, converted := map[string]bool{}, 0
	for range 4 {
		wg.Go(func() {
			var once sync.Once
			path, err := models.Resolve(context.Background(), dir, cache, func(int64, int64) {
				once.Do(func() { mu.Lock(); converted++; mu.Unlock() })
			})
			mu.Lock()
			defer mu.Unlock()
			if paths[path] = true; err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(paths) != 1 || converted != 1 {
		t.Errorf("%d conversions gave %v", converted, paths)
	}
}

func TestResolveErrors(t *testing.T) {
	cache, empty := t.TempDir(), t.TempDir()
	adapter, holder := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(adapter, "adapter_config.json"): "{}", filepath.Join(holder, "m.gguf"): "GGUF",
		filepath.Join(empty, "x.safetensors"): "12345678{}", filepath.Join(empty, "x.txt"): "hi",
	} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		path string
		kind error
		want string
	}{
		{filepath.Join(empty, "nothing"), os.ErrNotExist, "nothing"},
		{empty, os.ErrNotExist, "config.json"},
		{adapter, models.ErrUnsupported, "adapter"},
		{holder, models.ErrUnsupported, "m.gguf"},
		{filepath.Join(empty, "x.safetensors"), models.ErrFormat, "directory"},
		{filepath.Join(empty, "x.txt"), models.ErrFormat, "not a GGUF file"},
	} {
		_, err := models.Resolve(context.Background(), c.path, cache, nil)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.path, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := models.Resolve(ctx, writeCheckpoint(t, small()), cache, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "models", "*.gguf*tmp*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCacheDir(t *testing.T) {
	t.Setenv("PERSONAPROBE_CACHE", "/somewhere")
	if dir, err := models.CacheDir(); err != nil || dir != "/somewhere" {
		t.Errorf("%s, %v", dir, err)
	}
	t.Setenv("PERSONAPROBE_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "/x")
	if dir, err := models.CacheDir(); err != nil || dir != "/x/personaprobe" {
		t.Errorf("%s, %v", dir, err)
	}
}
