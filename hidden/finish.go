package hidden

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"personaprobe/internal/atomicfile"
	"personaprobe/internal/disk"
	"personaprobe/internal/sums"
	"personaprobe/models/safetensors"
)

const (
	statesName  = "states.safetensors"
	parquetName = "rows.parquet"
)

// outputs are the names of the finished files besides job.json.
func (j *Job) outputs() []string {
	names := []string{indexName, parquetName}
	if j.Response != nil {
		names = append(names, responsesName)
	}
	if slices.Contains(j.Formats, FormatSafetensors) {
		names = append(names, statesName)
	}
	if slices.Contains(j.Formats, FormatNPY) {
		for _, l := range j.Layers {
			names = append(names, npyName(l))
		}
	}
	return names
}

// finished reports whether everything is done: all files are there and listed, or, as an
// earlier build left them, without a progress.
func (x *extraction) finished() bool {
	for _, name := range x.job.outputs() {
		if _, err := os.Stat(filepath.Join(x.dir, name)); err != nil {
			return false
		}
	}
	_, err := os.Stat(filepath.Join(x.partial, progressName))
	return errors.Is(err, fs.ErrNotExist) || sums.Has(x.dir)
}

// finish makes the final files. Files that are put together of others come first and
// appear whole; then the others move, and the list of all says that they are right. So
// it can be done again from any point.
func (x *extraction) finish() error {
	x.sums = sums.List{}
	steps := []func() error{x.writeHeaders, x.hashParts}
	if slices.Contains(x.job.Formats, FormatSafetensors) {
		steps = append(steps, x.writeSafetensors)
	}
	steps = append(steps, x.writeIndex, x.moveAll, x.writeSums)
	for i, step := range steps {
		x.opts.Progress(Progress{Phase: PhaseWrite, Done: i, Total: len(steps)})
		if err := step(); err != nil {
			return err
		}
	}
	x.opts.Progress(Progress{Phase: PhaseWrite, Done: len(steps), Total: len(steps)})
	return nil
}

// part is where a file is: among the growing ones, or moved already.
func (x *extraction) part(name string) string {
	path := filepath.Join(x.partial, name)
	if _, err := os.Stat(path); err != nil {
		return filepath.Join(x.dir, name)
	}
	return path
}

// writeHeaders puts the number of rows into the arrays.
func (x *extraction) writeHeaders() error {
	for _, l := range x.job.Layers {
		f, err := disk.OpenFile(x.part(npyName(l)), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(npyHeader(x.job.DType, x.progress.Rows, x.job.HiddenSize), 0)
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (x *extraction) writeSafetensors() error {
	metadata, err := x.job.Metadata()
	if err != nil {
		return err
	}
	rows, width := int64(x.progress.Rows), int64(x.job.HiddenSize)
	var arrays []safetensors.Array
	for _, l := range x.job.Layers {
		f, err := os.Open(x.part(npyName(l)))
		if err != nil {
			return err
		}
		defer f.Close()
		arrays = append(arrays, safetensors.Array{
			Name: layerName(l), Shape: []int64{rows, width}, DType: x.job.DType,
			Data: io.NewSectionReader(f, npyStart, rows*x.job.rowBytes()),
		})
	}
	return x.create(statesName, func(w io.Writer) error { return safetensors.Encode(w, arrays, metadata) })
}

// Metadata is the job as the flat strings that safetensors allow: lists and objects
// as JSON.
func (j *Job) Metadata() (map[string]string, error) {
	fields, err := j.fields()
	if err != nil {
		return nil, err
	}
	out := map[string]string{
		"layer_numbers": "0-based decoder layers; a state is the layer's output: hidden_states[L+1] of transformers, l_out-L of llama.cpp",
	}
	delete(fields, dateKey) // it changes no byte, unless as clock_date
	for key, raw := range fields {
		out[key] = string(raw)
		var s string
		if json.Unmarshal(raw, &s) == nil {
			out[key] = s
		}
	}
	return out, nil
}

func (x *extraction) writeIndex() error {
	return x.create(parquetName, func(w io.Writer) error { return writeParquet(x.part(indexName), w) })
}

// moveAll moves the finished files out.
func (x *extraction) moveAll() error {
	for _, name := range x.job.outputs() {
		from := filepath.Join(x.partial, name)
		if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
			continue // made in place, or moved before a kill
		}
		if err := disk.Rename(from, filepath.Join(x.dir, name)); err != nil {
			return err
		}
	}
	return atomicfile.SyncDir(x.dir)
}

// sweep removes what is left of the growing files and of whole ones that a killed
// process had not finished.
func (x *extraction) sweep() error {
	if err := disk.RemoveAll(x.partial); err != nil {
		return err
	}
	entries, err := os.ReadDir(x.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); atomicfile.IsTemp(name) {
			if err := disk.Remove(filepath.Join(x.dir, name)); err != nil {
				return err
			}
		}
	}
	return atomicfile.SyncDir(x.dir)
}
