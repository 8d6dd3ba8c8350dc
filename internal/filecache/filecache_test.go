package filecache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"personaprobe/internal/atomicfile"
)

func TestGet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on demand")
	var built atomic.Int32
	build := func(path string) error {
		built.Add(1)
		time.Sleep(20 * time.Millisecond)
		return atomicfile.WriteFile(path, []byte("hello"))
	}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			path, r, err := Get(context.Background(), dir, "x", build)
			// echo -n hello | sha256sum
			if err != nil || r.Size != 5 || r.SHA256 != "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" {
				t.Errorf("%s, %+v, %v", path, r, err)
			}
		})
	}
	wg.Wait()
	if built.Load() != 1 {
		t.Errorf("built %d times", built.Load())
	}
	path := filepath.Join(dir, "x")
	if r, ok := Lookup(path); !ok || r.Size != 5 {
		t.Errorf("Lookup: %+v, %v", r, ok)
	}
	for _, damage := range []func() error{
		func() error { return os.Truncate(path, 2) },
		func() error { return os.Remove(path) },
		func() error { return os.WriteFile(path+".json", []byte("{"), 0o666) },
		func() error { return os.Remove(path + ".json") },
	} {
		before := built.Load()
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if _, ok := Lookup(path); ok {
			t.Error("a damaged entry was found")
		}
		if _, _, err := Get(context.Background(), dir, "x", build); err != nil || built.Load() != before+1 {
			t.Errorf("a damaged entry was not built again: %v", err)
		}
	}
}

func TestFailedBuild(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, ".x"+atomicfile.TempInfix+"0123456789abcdef")
	other := filepath.Join(dir, ".xy"+atomicfile.TempInfix+"0123456789abcdef")
	for _, path := range []string{stale, other} {
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	broken := errors.New("broken")
	if _, _, err := Get(context.Background(), dir, "x", func(string) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Error("what a killed process left of the entry is still there")
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("another entry's temporary file was removed")
	}
}

func TestCancelledWait(t *testing.T) {
	dir := t.TempDir()
	held, release := make(chan bool), make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _, err := Get(context.Background(), dir, "x", func(path string) error {
			held <- true
			<-release
			return atomicfile.WriteFile(path, nil)
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-held
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := Get(ctx, dir, "x", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	release <- true
	wg.Wait()
}
