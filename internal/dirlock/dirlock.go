// Package dirlock gives one process the exclusive right to a directory.
package dirlock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrLocked marks a directory in which another process works.
var ErrLocked = errors.New("directory is in use")

// Name is the lock's file in the directory.
const Name = ".lock"

// LockedError says who works in a directory; it matches ErrLocked. The fields are
// zero where the holder has not said yet.
type LockedError struct {
	Dir    string
	Holder Holder
}

// Holder is a process that holds a lock.
type Holder struct {
	PID   int    `json:"pid"`
	Host  string `json:"host"`
	Since string `json:"since"` // RFC 3339, UTC
}

func (e *LockedError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("%s is in use by another process", e.Dir)
	}
	return fmt.Sprintf("%s is in use by process %d on %s since %s; wait for it or use another directory",
		e.Dir, e.Holder.PID, e.Holder.Host, e.Holder.Since)
}

// Is makes every LockedError match ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// Lock is the exclusive right to a directory. The kernel holds it (flock), so it
// ends with the process however that ends, and a file that is left over locks nobody
// out. The file stays when the lock is released: to remove it could take it from
// under a process that has just opened it.
type Lock struct{ file *os.File }

// Acquire takes the lock, or fails at once with a *LockedError if another process, or
// another part of this one, holds it.
func Acquire(dir string) (*Lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, Name), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("lock directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &LockedError{Dir: dir, Holder: readHolder(f)}
		}
		return nil, fmt.Errorf("lock directory %s: %w (the file system must know flock)", dir, err)
	}
	l := &Lock{f}
	if err := l.sign(); err != nil {
		return nil, errors.Join(fmt.Errorf("lock directory: %w", err), l.Release())
	}
	return l, nil
}

// sign writes who holds the lock, for the message that others get.
func (l *Lock) sign() error {
	host, _ := os.Hostname() // a name for people; without one the process id must do
	data, err := json.Marshal(Holder{PID: os.Getpid(), Host: host, Since: time.Now().UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err = l.file.WriteAt(append(data, '\n'), 0)
	return err
}

func readHolder(r io.Reader) Holder {
	var h Holder
	_ = json.NewDecoder(r).Decode(&h) // the holder may be writing it just now
	return h
}

// Release gives the directory back. Unlocking comes first: a child process that is
// just being started has a copy of the file until it runs its program.
func (l *Lock) Release() error {
	return errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}
