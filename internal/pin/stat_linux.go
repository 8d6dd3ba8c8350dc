package pin

import (
	"fmt"
	"io/fs"
	"syscall"
)

func inode(info fs.FileInfo) (dev, ino, ctime int64) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, 0
	}
	return int64(s.Dev), int64(s.Ino), s.Ctim.Nano() //nolint:gosec // only compared
}

// inode is in the form that cache keys have had from the first version on.
func (s state) inode() string {
	return fmt.Sprint(uint64(s.dev), uint64(s.ino), s.ctime/1e9, s.ctime%1e9) //nolint:gosec // as it was
}
