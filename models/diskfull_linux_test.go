package models_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"personaprobe/models"
)

// A real file system that runs full: the error says which file and why, and
// nothing stays.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=96k"); err != nil {
		t.Skipf("this test needs the right to mount a tmpfs: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	out := filepath.Join(dir, "x.gguf")
	for name, run := range map[string]func() error{
		"convert": func() error {
			return models.Convert(context.Background(), writeCheckpoint(t, small()), out, models.ConvertOptions{})
		},
		"synth": func() error {
			return models.Synth(context.Background(), small().Shape, out, models.SynthOptions{Type: models.TypeF32})
		},
		"resolve": func() error {
			_, err := models.Resolve(context.Background(), writeCheckpoint(t, small()), dir, nil)
			return err
		},
	} {
		err := run()
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), ".gguf") {
			t.Errorf("%s: %v", name, err)
		}
		var left []string
		_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !strings.HasSuffix(path, ".lock") {
				left = append(left, path)
			}
			return nil
		})
		if len(left) > 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
}
