package plugins

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Pack compresses the shared libraries in src into dst, with their index, for a build
// with the tag "plugins" to embed. dst is made anew.
func Pack(src, dst string) error {
	paths, err := filepath.Glob(filepath.Join(src, "*.so*"))
	if err != nil || len(paths) == 0 {
		return fmt.Errorf("no shared libraries in %s; run make cuda", src)
	}
	if err := os.RemoveAll(dst); err != nil {
		return err
	}
	if err := os.MkdirAll(dst, 0o777); err != nil {
		return err
	}
	slices.Sort(paths)
	var index []entry
	for _, path := range paths {
		e := entry{Name: filepath.Base(path)}
		if e.SHA256, e.Size, err = hash(path); err != nil {
			return err
		}
		if err := compress(path, filepath.Join(dst, e.Name+suffix)); err != nil {
			return err
		}
		index = append(index, e)
	}
	raw, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dst, indexName), raw, 0o666)
}

func compress(src, dst string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	z, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return errors.Join(err, out.Close())
	}
	_, err = io.Copy(z, in)
	return errors.Join(err, z.Close(), out.Close())
}
