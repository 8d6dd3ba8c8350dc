package hidden

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// ErrSpace marks output that does not fit the disk.
var ErrSpace = errors.New("not enough space on the disk")

// freeBytes is the room that the file system of dir has for this user.
func freeBytes(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil //nolint:unconvert // other systems have other types
}

// Sizes of a row in the index files besides its id and labels, and of a response's
// token, measured and rounded up.
const (
	indexRowBytes      = 200
	responseTokenBytes = 16
)

// need is how many bytes the whole job can take while it runs.
func (x *extraction) need() int64 {
	j, s, o := x.job, x.survey, &x.opts
	rows := int64(s.rows(o))
	copies := int64(1)
	if slices.Contains(j.Formats, FormatSafetensors) {
		copies = 2 // they are put together from the arrays
	}
	need := copies * rows * int64(len(j.Layers)) * j.rowBytes()
	need += 2 * rows * (indexRowBytes + int64(s.idBytes/s.prompts))
	if j.Response != nil {
		need += int64(s.prompts) * int64(o.Response.perPrompt()) * (indexRowBytes + int64(o.Response.MaxTokens)*responseTokenBytes)
	}
	return need
}

// checkRoom refuses a job that the disk cannot hold, before the directory is made.
func (x *extraction) checkRoom() error {
	need := x.need() - sizeOf(x.dir)
	free, err := x.opts.free(existing(x.dir))
	if err != nil {
		return err
	}
	if need <= free {
		return nil
	}
	hint := "read fewer layers, store F16 or write one format"
	if x.opts.Position == PositionResponseAll {
		hint += ", or generate fewer tokens: room for responses of full length is needed"
	}
	return fmt.Errorf("%w: %s: the job can take %s more, %s are free; %s", ErrSpace, x.dir, size(need), size(free), hint)
}

// existing is dir, or the nearest folder above it that is there.
func existing(dir string) string {
	for {
		up := filepath.Dir(dir)
		if _, err := os.Stat(dir); err == nil || up == dir {
			return dir
		}
		dir = up
	}
}

// sizeOf is what earlier work on the job takes in dir already.
func sizeOf(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil // what cannot be read does not count
	})
	return total
}

func size(bytes int64) string {
	switch {
	case bytes < 1<<20:
		return fmt.Sprintf("%d bytes", bytes)
	case bytes < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
}
