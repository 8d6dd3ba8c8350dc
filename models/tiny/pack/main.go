// Command pack rebuilds the archive that package tiny embeds, from a directory
// that holds hf/ and adapters/. The same directory gives the same bytes.
//
//	go run ./models/tiny/pack DIR models/tiny
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"

	"personaprobe/internal/atomicfile"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack SOURCE-DIRECTORY OUTPUT-DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(src, out string) error {
	packed, err := pack(src)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(packed)
	if err := atomicfile.WriteFile(filepath.Join(out, "tiny.tar.zst"), packed); err != nil {
		return err
	}
	if err := atomicfile.WriteFile(filepath.Join(out, "tiny.tar.zst.sha256"), []byte(hex.EncodeToString(sum[:])+"\n")); err != nil {
		return err
	}
	for _, name := range []string{"taxonomy.json", "questions.json"} {
		raw, err := os.ReadFile(filepath.Join(src, name))
		if err != nil {
			return err
		}
		if err := atomicfile.WriteFile(filepath.Join(out, name), raw); err != nil {
			return err
		}
	}
	return nil
}

// pack returns the compressed archive. Owners, modes and times are left out and
// one thread compresses, so that only the contents decide the bytes.
func pack(src string) ([]byte, error) {
	names, err := list(src)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(z)
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(src, name))
		if err != nil {
			return nil, err
		}
		header := &tar.Header{Name: filepath.ToSlash(name), Mode: 0o644, Size: int64(len(raw)), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(raw); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func list(src string) ([]string, error) {
	var names []string
	for _, top := range []string{"hf", "adapters"} {
		err := filepath.WalkDir(filepath.Join(src, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(src, path)
			names = append(names, name)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	return names, nil
}
