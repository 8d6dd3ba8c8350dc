package hidden

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"personaprobe/internal/atomicfile"
	"personaprobe/internal/disk"
)

// A job works in the folder partial of its output directory, in files that only grow.
// After each block the files are synced and then progress.json says how long they
// are; whatever a killed process wrote behind that is cut off. Finished files are
// moved out of the folder, which goes last.
const (
	partialName  = "partial"
	progressName = "progress.json"
)

// progress is how far a job has come, durably.
type progress struct {
	Phase         Phase `json:"phase"`
	Prompts       int   `json:"prompts"`        // done in this phase
	ResponseBytes int64 `json:"response_bytes"` // of responses.jsonl
	Rows          int   `json:"rows"`           // of the arrays and of rows.jsonl
	IndexBytes    int64 `json:"index_bytes"`    // of rows.jsonl
}

// loadProgress reads the progress of a job; one that has not begun is in no phase.
func loadProgress(partial string) (p progress, err error) {
	path := filepath.Join(partial, progressName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func (p *progress) save(partial string) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(partial, progressName), append(data, '\n'))
}

// openPart opens a growing file at the length that it had when it was last known to
// be whole. A shorter one is damaged.
func openPart(path string, length int64) (*disk.File, error) {
	f, err := disk.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := cut(f, length); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func cut(f *disk.File, length int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < length {
		return fmt.Errorf("%s is damaged: it has %d bytes of %d; remove the output directory and begin again", f.Name(), info.Size(), length)
	}
	if err := f.Truncate(length); err != nil {
		return err
	}
	_, err = f.Seek(length, io.SeekStart)
	return err
}
