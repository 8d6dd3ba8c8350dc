package experiment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"personaprobe/internal/atomicfile"
	"personaprobe/internal/dirlock"
)

// store is a run directory that this process works in.
type store struct {
	dir      string
	study    *Study
	manifest Manifest
	id       string // Manifest.ID
	gpus     int    // Inputs.GPUs
	lock     *dirlock.Lock
}

// openStore makes or opens the run directory of the inputs and locks it.
func openStore(dir string, in Inputs, now time.Time) (*store, error) {
	// First, so that nothing is left in a foreign folder, not even a lock.
	if _, err := os.Stat(filepath.Join(dir, manifestFile)); errors.Is(err, fs.ErrNotExist) {
		if err := checkEmpty(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if err := atomicfile.MkdirAll(dir); err != nil {
		return nil, err
	}
	l, err := dirlock.Acquire(dir)
	if err != nil {
		return nil, err
	}
	s := &store{dir: dir, study: in.Study, lock: l}
	if err := s.prepare(in, now); err != nil {
		return nil, errors.Join(err, l.Release())
	}
	return s, nil
}

func (s *store) prepare(in Inputs, now time.Time) error {
	var err error
	if s.manifest, err = settle(s.dir, in.manifest(now), in); err != nil {
		return err
	}
	s.id, s.gpus = s.manifest.ID(), in.GPUs
	if err := s.verify(); err != nil {
		return err
	}
	if err := s.keepInputs(in.Prompts); err != nil {
		return err
	}
	if err := sweep(s.dir); err != nil {
		return fmt.Errorf("clean run directory: %w", err)
	}
	folders := []string{adaptedFolder}
	for _, shard := range s.study.Shards() {
		folders = append(folders, shard.Name())
	}
	for _, name := range folders {
		folder := filepath.Join(s.dir, name)
		if _, err := os.Stat(folder); err != nil {
			continue // made when it begins
		}
		if err := sweep(folder); err != nil {
			return fmt.Errorf("clean run directory: %w", err)
		}
	}
	return nil
}

func (s *store) close() error { return s.lock.Release() }

// header ties a checkpoint to this run and its shard.
func (s *store) header(shard Shard) checkpointHeader {
	return checkpointHeader{Format: checkpointFormat, Manifest: s.id, Shard: shard.Name()}
}
