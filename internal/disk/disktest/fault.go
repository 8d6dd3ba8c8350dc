package disktest

import (
	"io/fs"
	"math/rand/v2"
	"testing"

	"personaprobe/internal/disk"
)

// Fault is a disk that fails.
type Fault struct {
	Op *disk.Op // the first that failed; nil: none

	unsynced unsynced
	mend     func()
}

// Break makes the k-th operation in dir, counted from 1, fail with kind, and with forever
// all that follow, as those of a full or broken disk do; 0: none fails.
func Break(dir string, k int, forever bool, kind error) *Fault {
	f, calls := &Fault{}, 0
	f.mend = disk.Inject(dir, func(op disk.Op) error {
		calls++
		if k == 0 || calls < k || calls > k && !forever {
			f.unsynced.see(op)
			if op.Name == "sync" || op.Name == "sync folder" {
				return disk.ErrSkip
			}
			return nil
		}
		if f.Op == nil {
			f.Op = &op
		}
		return &fs.PathError{Op: op.Name, Path: op.Path, Err: kind}
	})
	return f
}

// Mend ends the failures.
func (f *Fault) Mend() { f.mend() }

// PowerFailure takes what was not synced between Break and Mend, or a part of it.
func (f *Fault) PowerFailure(t *testing.T, r *rand.Rand) {
	t.Helper()
	if err := f.unsynced.lose(r); err != nil {
		t.Fatal(err)
	}
}
