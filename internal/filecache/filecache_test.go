package filecache

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"personaprobe/internal/atomicfile"
)

// get is Get, of which the tests want the path and the text.
func get(ctx context.Context, cache, name string, build func(string) error) (path, text string, err error) {
	f, err := Get(ctx, cache, "files", name, build)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	raw := make([]byte, f.Size())
	_, err = f.ReadAt(raw, 0)
	return f.Path, string(raw), err
}

const text = "hello, this is what was built"

func TestGet(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "made", "on demand")
	var built atomic.Int32
	build := func(path string) error {
		built.Add(1)
		time.Sleep(20 * time.Millisecond)
		return atomicfile.WriteFile(path, []byte(text))
	}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			path, got, err := get(context.Background(), cache, "x", build)
			if err != nil || path != filepath.Join(cache, "files", "x") || got != text {
				t.Errorf("%s, %q, %v", path, got, err)
			}
		})
	}
	wg.Wait()
	if built.Load() != 1 {
		t.Errorf("built %d times", built.Load())
	}
}

// A damaged entry is never handed out: it is built again, and the log says so.
func TestDamaged(t *testing.T) {
	cache := t.TempDir()
	built := 0
	build := func(path string) error {
		built++
		return atomicfile.WriteFile(path, []byte(text))
	}
	path, _, err := get(context.Background(), cache, "x", build)
	if err != nil {
		t.Fatal(err)
	}
	record, err := os.ReadFile(path + ".json")
	if err != nil {
		t.Fatal(err)
	}
	zeroed := []byte(text)
	clear(zeroed[len(zeroed)/2:])
	flipped := []byte(text)
	flipped[3] ^= 1
	digit := bytes.Clone(record)
	digit[bytes.LastIndexByte(digit, '"')-1] ^= 1
	write := func(path string, data []byte) func() error {
		return func() error { return os.WriteFile(path, data, 0o666) }
	}
	for name, damage := range map[string]func() error{
		"half zeroed":              write(path, zeroed),
		"one bit":                  write(path, flipped),
		"truncated":                func() error { return os.Truncate(path, 2) },
		"longer":                   write(path, []byte(text+"x")),
		"a digit of the record":    write(path+".json", digit),
		"a record of another size": write(path+".json", bytes.Replace(record, []byte(":29"), []byte(":28"), 1)),
		"a record cut off":         write(path+".json", []byte("{")),
		"no record":                func() error { return os.Remove(path + ".json") },
		"no file":                  func() error { return os.Remove(path) },
	} {
		t.Run(name, func(t *testing.T) {
			defer slog.SetDefault(slog.Default())
			var log bytes.Buffer
			slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			before := built
			for range 2 {
				if _, got, err := get(context.Background(), cache, "x", build); err != nil || got != text {
					t.Errorf("%q, %v", got, err)
				}
			}
			if built != before+1 {
				t.Errorf("built %d times", built-before)
			}
			if said := strings.Contains(log.String(), path); said != (name != "no file") {
				t.Errorf("the log: %s", log.String())
			}
		})
	}
}

func TestFailedBuild(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "files", ".x"+atomicfile.TempInfix+"0123456789abcdef")
	other := filepath.Join(dir, "files", ".xy"+atomicfile.TempInfix+"0123456789abcdef")
	if err := os.Mkdir(filepath.Join(dir, "files"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{stale, other} {
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	broken := errors.New("broken")
	if _, _, err := get(context.Background(), dir, "x", func(string) error { return broken }); !errors.Is(err, broken) {
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
		_, _, err := get(context.Background(), dir, "x", func(path string) error {
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
	if _, _, err := get(ctx, dir, "x", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	release <- true
	wg.Wait()
}
