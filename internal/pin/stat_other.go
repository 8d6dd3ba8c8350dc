//go:build !linux

package pin

import "io/fs"

func inode(fs.FileInfo) (dev, ino, ctime int64) { return 0, 0, 0 }

func (s state) inode() string { return "" }
