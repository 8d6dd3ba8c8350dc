package analysis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Open is the analysis at path. A full_analysis.json is read as it is; so is that of a
// folder, if it is not older than what else is there, which is an [ErrStale]. A folder
// without one, or with somebody else's, is analysed with the options: made is true then.
func Open(ctx context.Context, path string, opts Options) (f *Full, made bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, fmt.Errorf("read analysis: %w", err)
	}
	if !info.IsDir() {
		f, err = ReadFull(path)
		return f, false, err
	}
	file := filepath.Join(path, fullFile)
	ours, err := isOurs(file)
	switch {
	case err != nil:
		return nil, false, err
	case !ours:
		f, err = Analyze(ctx, path, opts)
		return f, true, err
	}
	if f, err = ReadFull(file); err == nil {
		_, err = CheckFresh(ctx, path, f)
	}
	return f, false, err
}

// isOurs reports whether there is a full_analysis.json that this program wrote: the
// original's has no format.
func isOurs(path string) (bool, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read analysis: %w", err)
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return false, jsonError(path, data, err)
	}
	return head.Format != 0, nil
}
