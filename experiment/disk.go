package experiment

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
	"personaprobe/internal/sums"
)

// appendTo opens a file at its end, making it if need be.
func appendTo(path string) (*disk.File, error) {
	f, err := disk.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.SyncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// remove removes a file; one that is not there is no error.
func remove(path string) error {
	if err := disk.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeJSON writes v as an artefact, as encode does.
func writeJSON(path string, v any) error {
	return sums.Write(path, func(w io.Writer) error { return encode(w, v) })
}

// encode writes v as JSON, indented by two spaces and with its text as it is.
func encode(w io.Writer, v any) error {
	data, err := marshal(v, "")
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// readJSON reads an artefact that this package wrote into v.
func readJSON(path string, v any) error {
	f, err := sums.Read(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(f.Data, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// sweep removes temporary files that a killed process left in dir.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if atomicfile.IsTemp(e.Name()) {
			if err := remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
