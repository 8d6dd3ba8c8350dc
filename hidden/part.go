package hidden

import (
	"crypto/sha256"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
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

	// Hashes are states of SHA-256 by growing file, over what was written to it, the
	// header of an array apart. Earlier builds kept none.
	Hashes map[string][]byte `json:"hashes"`
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

// growing is a growing file with the hash of what is written to it.
type growing struct {
	*disk.File
	name string
	hash hash.Hash
}

// grow opens a growing file at its length when it was last known to be whole, which
// includes a header that is not hashed.
func (x *extraction) grow(name string, header, length int64) (*growing, error) {
	f, err := openPart(filepath.Join(x.partial, name), length)
	if err != nil {
		return nil, err
	}
	g := &growing{f, name, sha256.New()}
	if length <= header {
		return g, nil
	}
	if state := x.progress.Hashes[name]; state != nil {
		err = g.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(state) //nolint:forcetypeassert // documented
	} else {
		_, err = io.Copy(g.hash, io.NewSectionReader(f, header, length-header))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hash of %s: %w", f.Name(), err), f.Close())
	}
	return g, nil
}

func (g *growing) Write(p []byte) (int, error) {
	n, err := g.File.Write(p)
	g.hash.Write(p[:n])
	return n, err
}

// keep puts the hash of the file as it is now into the progress.
func (p *progress) keep(g *growing) error {
	state, err := g.hash.(encoding.BinaryMarshaler).MarshalBinary() //nolint:forcetypeassert // documented
	if p.Hashes == nil {
		p.Hashes = map[string][]byte{}
	}
	p.Hashes[g.name] = state
	return err
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
