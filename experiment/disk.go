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
	"personaprobe/models/safetensors"
)

// disk is every way in which a run changes its directory. Tests put a failing one in
// its place.
type disk interface {
	// mkdir makes a folder and its parents, durably.
	mkdir(path string) error
	// create begins a file that appears under path, whole and durable, on Commit.
	create(path string) (newFile, error)
	// appendTo opens a file at its end, making it if need be.
	appendTo(path string) (logFile, error)
	// writeTensors writes a whole safetensors file, as create and Commit do.
	writeTensors(path string, arrays []safetensors.Array, metadata map[string]string) error
	// remove removes a file; one that is not there is no error.
	remove(path string) error
}

type newFile interface {
	io.Writer
	Commit() error
	Abort() // does nothing after Commit
}

type logFile interface {
	io.Writer
	Truncate(size int64) error
	Sync() error
	Close() error
}

// osDisk is the file system.
type osDisk struct{}

func (osDisk) mkdir(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if err := os.MkdirAll(path, 0o777); err != nil { // the umask decides, as for any output
		return fmt.Errorf("make folder: %w", err)
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}

func (osDisk) create(path string) (newFile, error) { return atomicfile.Create(path) }

func (osDisk) appendTo(path string) (logFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.SyncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (osDisk) writeTensors(path string, arrays []safetensors.Array, metadata map[string]string) error {
	return safetensors.Write(path, arrays, metadata)
}

func (osDisk) remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeFile writes data to path as a whole.
func writeFile(d disk, path string, data []byte) error {
	f, err := d.create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.Commit()
}

// writeJSON writes v as JSON, indented by two spaces and with its text as it is.
func writeJSON(d disk, path string, v any) error {
	data, err := marshal(v, "")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return writeFile(d, path, append(data, '\n'))
}

// readJSON reads a file that this package wrote into v.
func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// sweep removes temporary files that a killed process left in dir.
func sweep(d disk, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if atomicfile.IsTemp(e.Name()) {
			if err := d.remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
