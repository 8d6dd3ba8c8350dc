// Package filecache keeps files that are costly to make, each under a name that
// says what it was made from.
//
// An entry is the file and a small JSON record beside it with the file's size
// and SHA-256, written last. Entries are whole or absent; one process at a time
// builds an entry while others wait for it.
package filecache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"personaprobe/internal/atomicfile"
)

// Record is what is known of an entry.
type Record struct {
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

// Get returns the path and record of the entry dir/name. If it is absent or its
// size is not the recorded one, build is called to write it; build must create
// the path it is given atomically. Get makes dir if need be.
func Get(ctx context.Context, dir, name string, build func(path string) error) (string, Record, error) {
	path := filepath.Join(dir, name)
	if r, ok := lookup(path); ok {
		return path, r, nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", Record{}, fmt.Errorf("make cache directory: %w; set PERSONAPROBE_CACHE to a directory that can be written", err)
	}
	unlock, err := lock(ctx, path+lockSuffix)
	if err != nil {
		return "", Record{}, err
	}
	defer unlock()
	if r, ok := lookup(path); ok { // another process built it meanwhile
		return path, r, nil
	}
	removeStale(dir, name)
	if err := build(path); err != nil {
		return "", Record{}, err
	}
	r, err := writeRecord(path)
	if err != nil {
		return "", Record{}, err
	}
	return path, r, nil
}

// Lookup returns the record beside a file that Get made, if the file still has
// the recorded size.
func Lookup(path string) (Record, bool) { return lookup(path) }

func lookup(path string) (Record, bool) {
	raw, err := os.ReadFile(path + recordSuffix)
	if err != nil {
		return Record{}, false
	}
	var r Record
	if json.Unmarshal(raw, &r) != nil {
		return Record{}, false
	}
	info, err := os.Stat(path)
	return r, err == nil && info.Mode().IsRegular() && info.Size() == r.Size
}

func writeRecord(path string) (Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return Record{}, fmt.Errorf("record cache entry: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return Record{}, fmt.Errorf("record cache entry: %w", err)
	}
	r := Record{Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}
	raw, err := json.Marshal(r)
	if err != nil {
		return Record{}, fmt.Errorf("record cache entry: %w", err)
	}
	return r, atomicfile.WriteFile(path+recordSuffix, append(raw, '\n'))
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
