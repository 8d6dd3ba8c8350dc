package experiment

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"personaprobe/internal/sums"
)

// What is finished, and still as it was written. A file that SHA256SUMS lists is compared
// with it wherever it is read. A run makes again what is not listed, which is what a
// process leaves that was killed between a file and its place in the list; but it says
// so, and stops, where a file is another one than was written.

// keepInputs makes the run's copies of its inputs and lists them, where that was not done.
func (s *store) keepInputs(prompts *Prompts) error {
	return errors.Join(
		keepManifest(s.dir),
		keepDocument(filepath.Join(s.dir, taxonomyFile), s.study.Taxonomy.Document),
		keepDocument(filepath.Join(s.dir, questionsFile), s.study.document),
		prompts.keep(filepath.Join(s.dir, promptsFile)),
	)
}

// keepManifest lists the manifest, should the process that wrote it not have come to it.
func keepManifest(dir string) error {
	path := filepath.Join(dir, manifestFile)
	f, err := sums.Read(path)
	if err != nil || f.Listed {
		return err
	}
	return sums.WriteFile(path, f.Data)
}

// keepDocument writes the run's copy of an input file, unless it is there.
func keepDocument(path string, doc Document) error {
	f, err := sums.Read(path)
	switch {
	case errors.Is(err, sums.ErrDamaged):
		return fmt.Errorf("%w; remove it and run again", err)
	case err == nil && f.Listed && bytes.Equal(f.Data, doc.Data):
		return nil
	}
	return sums.WriteFile(path, doc.Data)
}

// hasCentroids reports whether a file of the personas' centroids is there, whole and of
// this run. Any other than a damaged one is made again: it follows from the inputs.
func (r *runner) hasCentroids(path string, personas []Persona) (bool, error) {
	_, listed, err := sums.Check(path)
	if errors.Is(err, sums.ErrDamaged) {
		return false, fmt.Errorf("%w; remove it and run again", err)
	}
	if err != nil || !listed {
		return false, nil //nolint:nilerr // it is made again
	}
	_, err = readRepresentation(path, r.study, personas, r.store.id)
	return err == nil, nil
}

// finished reports whether all of the shard's artefacts were written. The list comes
// after the summary, and the checkpoint goes after the list; earlier builds had no list.
func (s *store) finished(shard Shard) (bool, error) {
	_, err := os.Stat(s.path(shard, summaryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(s.path(shard, checkpointFile)); err != nil {
		return true, nil //nolint:nilerr // it is gone
	}
	list, err := sums.ReadList(s.path(shard, ""))
	return list[summaryFile] != "", err
}

// verify reads every finished shard, completions included, before anything is made that
// would stand beside a damaged one.
func (s *store) verify() error {
	for _, shard := range s.study.Shards() {
		finished, err := s.finished(shard)
		if err != nil {
			return err
		}
		if !finished {
			continue
		}
		_, _, err = sums.Check(s.path(shard, rawFile))
		if err == nil || errors.Is(err, fs.ErrNotExist) { // which the other names better
			_, err = s.readResult(shard)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRunDir, removeShard(err))
		}
	}
	return nil
}

// removeShard says what to do about a finished shard that cannot be used.
func removeShard(err error) error {
	return fmt.Errorf("%w; remove the folder and run again: it comes out with the same bytes", err)
}
