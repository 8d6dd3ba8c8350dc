package experiment

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"personaprobe/internal/dirlock"
	"personaprobe/internal/sums"
)

const (
	compiledFile = "compiled_analysis.json"
	cosineFile   = "cosine_analysis.json"
)

// Analyse writes the two analysis files of a run directory anew from what is finished
// of it, without a model, and returns its summary. Run does the same at its end.
func Analyse(dir string) (summary *Summary, err error) {
	l, err := dirlock.Acquire(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Release()) }()
	return analyse(dir)
}

func analyse(dir string) (*Summary, error) {
	r, err := LoadResults(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRunDir, err)
	}
	if len(r.Shards) == 0 {
		return nil, fmt.Errorf("%s has no finished shard to analyse; run it first", dir)
	}
	if err := rewrite(filepath.Join(dir, compiledFile), Compile(r)); err != nil {
		return nil, err
	}
	cosines, err := analyseCosines(r)
	if err != nil {
		return nil, err
	}
	return Summarise(r, cosines), nil
}

// analyseCosines writes cosine_analysis.json, unless the plan has no layers.
func analyseCosines(r *Results) (*CosineAnalysis, error) {
	if len(r.Study.Plan.Layers) == 0 {
		return nil, nil //nolint:nilnil // no layers, no cosines
	}
	rep, err := ReadRepresentation(r)
	if err != nil {
		return nil, err
	}
	out, err := AnalyseCosines(r, rep, time.Now())
	if err != nil {
		return nil, err
	}
	path := filepath.Join(r.Dir, cosineFile)
	var old CosineAnalysis
	if readJSON(path, &old) == nil {
		// The time is of the analysis, not of the last look at it: one that comes out
		// the same is left as it is.
		again := *out
		again.Metadata.Timestamp = old.Metadata.Timestamp
		if same, err := isSame(path, again); err != nil || same {
			return &again, err
		}
	}
	return out, writeJSON(path, out)
}

// rewrite writes v unless the file holds it already.
func rewrite(path string, v any) error {
	if same, err := isSame(path, v); err != nil || same {
		return err
	}
	return writeJSON(path, v)
}

// isSame reports whether the file holds v's JSON, and is listed.
func isSame(path string, v any) (bool, error) {
	want, err := marshal(v, "")
	if err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	have, err := sums.Read(path)
	return err == nil && have.Listed && bytes.Equal(bytes.TrimSpace(have.Data), want), nil
}
