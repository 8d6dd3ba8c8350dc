package disktest

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"personaprobe/internal/disk"
)

// unsynced knows, from the operations that are about to be done, what a power failure
// may take: what was appended to a file and not synced, and the files and folders that
// came, went or were renamed since their folder was. What was overwritten in place is
// taken for written, and what is there at the beginning for synced.
type unsynced struct {
	synced  map[string]int64 // bytes of a file
	entries []entry          // the oldest first
}

// entry is a change of a folder that was not synced, and how to take it back.
type entry struct {
	folder string
	undo   func() error
}

func (u *unsynced) see(op disk.Op) {
	if u.synced == nil {
		u.synced = map[string]int64{}
	}
	size := int64(0)
	info, err := os.Stat(op.Path)
	if err == nil {
		size = info.Size()
	}
	switch op.Name {
	case "open":
		if _, known := u.synced[op.Path]; !known {
			u.synced[op.Path] = size
		}
		if err != nil {
			u.change(op.Path, func() error { return os.Remove(op.Path) })
		}
	case "truncate":
		u.synced[op.Path] = min(u.synced[op.Path], op.Size)
	case "sync":
		u.synced[op.Path] = size
	case "rename":
		restore := snapshot(op.Path)
		u.change(op.Path, func() error {
			if err := os.Rename(op.Path, op.From); err != nil {
				return err
			}
			return restore()
		})
		u.move(op.From, op.Path)
	case "remove":
		u.change(op.Path, snapshot(op.Path))
		u.move(op.Path, "")
	case "mkdir":
		u.mkdir(op.Path)
	case "sync folder":
		left := u.entries[:0]
		for _, e := range u.entries {
			if e.folder != op.Path {
				left = append(left, e)
			}
		}
		u.entries = left
	}
}

func (u *unsynced) change(path string, undo func() error) {
	u.entries = append(u.entries, entry{filepath.Dir(path), undo})
}

// mkdir notes a folder and those above it that are not there.
func (u *unsynced) mkdir(path string) {
	if _, err := os.Stat(path); err == nil {
		return
	}
	u.mkdir(filepath.Dir(path))
	u.change(path, func() error { return os.RemoveAll(path) })
}

// move follows a file, or the files of a folder, to another name, or to none.
func (u *unsynced) move(from, to string) {
	for path, n := range u.synced {
		rest, inside := strings.CutPrefix(path, from)
		if !inside || rest != "" && rest[0] != filepath.Separator {
			continue
		}
		delete(u.synced, path)
		if to != "" {
			u.synced[to+rest] = n
		}
	}
}

// snapshot keeps what is under path, and gives the way to put it back.
func snapshot(path string) (restore func() error) {
	folders, files := []string{}, map[string][]byte{}
	_ = filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err != nil { // it is not there
			return filepath.SkipAll
		}
		if d.IsDir() {
			folders = append(folders, path)
			return nil
		}
		data, err := os.ReadFile(path)
		files[path] = data
		return err
	})
	return func() error {
		for _, path := range folders {
			if err := os.MkdirAll(path, 0o777); err != nil {
				return err
			}
		}
		for path, data := range files {
			if err := os.WriteFile(path, data, 0o666); err != nil {
				return err
			}
		}
		return nil
	}
}

// lose does to the disk what a power failure does: of what was appended and not synced
// any part is left, and of the changes of folders the first ones, any number of them.
func (u *unsynced) lose(r *rand.Rand) error {
	for path, n := range u.synced {
		info, err := os.Stat(path)
		if err != nil || info.Size() <= n {
			continue
		}
		if err := os.Truncate(path, n+r.Int64N(info.Size()-n+1)); err != nil {
			return err
		}
	}
	for keep := r.IntN(len(u.entries) + 1); len(u.entries) > keep; {
		last := len(u.entries) - 1
		// An operation that failed by itself has left nothing to take back.
		if err := u.entries[last].undo(); err != nil && !os.IsNotExist(err) {
			return err
		}
		u.entries = u.entries[:last]
	}
	*u = unsynced{}
	return nil
}
