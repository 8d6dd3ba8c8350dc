// Package filecache keeps files that are costly to make, each under a name that
// says what it was made from.
//
// An entry is the file and a small JSON record beside it with the file's size
// and SHA-256, written last, which the file is compared with whenever it is asked for.
// One process at a time builds an entry while others wait for it.
package filecache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"personaprobe/internal/atomicfile"
	"personaprobe/internal/pin"
)

// record is what is known of an entry.
type record struct {
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // of the file, hexadecimal
}

const (
	recordSuffix = ".json"
	lockSuffix   = ".lock"
	lockPoll     = 20 * time.Millisecond
)

// Dir is where caches are kept: $PERSONAPROBE_CACHE, else personaprobe in the user's
// cache directory ($XDG_CACHE_HOME or ~/.cache).
func Dir() (string, error) {
	if dir := os.Getenv("PERSONAPROBE_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w; set PERSONAPROBE_CACHE", err)
	}
	return filepath.Join(dir, "personaprobe"), nil
}

// Get returns the entry name of the folder of that cache directory, open, so that the
// caller uses what was checked. If it is absent or damaged, build is called to write
// it; build must create the path it is given atomically. Get makes the folder if need be.
func Get(ctx context.Context, cacheDir, folder, name string, build func(path string) error) (*pin.File, error) {
	dir := filepath.Join(cacheDir, folder)
	path := filepath.Join(dir, name)
	if f, err := lookup(ctx, path, cacheDir); f != nil || err != nil && !errors.Is(err, errDamaged) {
		return f, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("make cache directory: %w; set PERSONAPROBE_CACHE to a directory that can be written", err)
	}
	unlock, err := lock(ctx, path+lockSuffix)
	if err != nil {
		return nil, err
	}
	defer unlock()
	f, err := lookup(ctx, path, cacheDir) // another process may have built it meanwhile
	switch {
	case f != nil:
		return f, nil
	case errors.Is(err, errDamaged):
		slog.Warn("a file of the cache is made again", "file", path, "why", err)
	case err != nil:
		return nil, err
	}
	removeStale(dir, name)
	if err := build(path); err != nil {
		return nil, err
	}
	if f, err = writeRecord(ctx, path, cacheDir); err != nil {
		return nil, fmt.Errorf("record cache entry: %w", err)
	}
	return f, nil
}

// errDamaged marks an entry that is there and not as it was written.
var errDamaged = errors.New("damaged")

// lookup opens an entry and compares it with its record. Without an entry it returns
// nothing.
func lookup(ctx context.Context, path, cacheDir string) (_ *pin.File, err error) {
	f, err := pin.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil //nolint:nilnil // no entry, no error
	case errors.Is(err, pin.ErrChanged):
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	case err != nil:
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	raw, err := os.ReadFile(path + recordSuffix)
	if err != nil {
		return nil, fmt.Errorf("%w: it has no record: %w", errDamaged, err)
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("%w: its record: %w", errDamaged, err)
	}
	if f.Size() != r.Size {
		return nil, fmt.Errorf("%w: it has %d bytes, not %d", errDamaged, f.Size(), r.Size)
	}
	sum, err := f.SHA256(ctx, cacheDir)
	if errors.Is(err, pin.ErrChanged) {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	if sum != r.SHA256 {
		return nil, fmt.Errorf("%w: its SHA-256 is %s, not %s", errDamaged, sum, r.SHA256)
	}
	return f, nil
}

func writeRecord(ctx context.Context, path, cacheDir string) (*pin.File, error) {
	f, err := pin.Open(path)
	if err != nil {
		return nil, err
	}
	r := record{Size: f.Size()}
	var raw []byte
	if r.SHA256, err = f.SHA256(ctx, cacheDir); err == nil {
		raw, err = json.Marshal(r)
	}
	if err == nil {
		err = atomicfile.WriteFile(path+recordSuffix, append(raw, '\n'))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// removeStale removes temporary files that a killed process left of an entry.
// The entry's lock is held, so nobody is writing them.
func removeStale(dir, name string) {
	stale, _ := filepath.Glob(filepath.Join(dir, "."+name+atomicfile.TempInfix+"*"))
	for _, path := range stale {
		_ = os.Remove(path)
	}
}

// lock takes an advisory lock, which the kernel drops if the process dies. The
// lock file stays: removing it would let two processes lock different files.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("lock cache entry: %w; set PERSONAPROBE_CACHE to a directory that can be written", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}
