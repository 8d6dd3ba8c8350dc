package hidden

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"personaprobe/internal/sums"
	"personaprobe/models/safetensors"
)

// States are the finished output of an extraction.
type States struct {
	Job  Job
	Rows int
	dir  string
}

// OpenStates opens the directory that Extract has filled. A file that is not as it was
// written is an error that matches sums.ErrDamaged.
func OpenStates(dir string) (*States, error) { return openStates(dir, sums.CheckAll) }

// read are the files that Each reads.
func (s *States) read() []string {
	names := []string{indexName}
	if !s.useNPY() {
		return append(names, statesName)
	}
	for _, l := range s.Job.Layers {
		names = append(names, npyName(l))
	}
	return names
}

func (s *States) useNPY() bool { return slices.Contains(s.Job.Formats, FormatNPY) }

// openStates is OpenStates with another check, for files that were written, or compared,
// just now.
func openStates(dir string, check func(dir string, names ...string) error) (*States, error) {
	j, err := readJob(dir)
	if err != nil {
		return nil, fmt.Errorf("hidden states in %s: %w", dir, err)
	}
	s := &States{Job: *j, dir: dir}
	for _, name := range j.outputs() {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("hidden states in %s are not complete: %w; run the extraction again", dir, err)
		}
	}
	if err := check(dir, s.read()...); err != nil {
		return nil, fmt.Errorf("%w; remove %s and extract it again", err, dir)
	}
	arrays, err := s.open()
	if err != nil {
		return nil, err
	}
	s.Rows = arrays[0].rows
	sums.WarnWithout(dir)
	return s, closeAll(arrays)
}

// Index streams what the rows are, in order.
func (s *States) Index() iter.Seq2[Row, error] { return rowsOf(filepath.Join(s.dir, indexName)) }

// stored is one layer's array, read from row to row.
type stored struct {
	rows, width int
	file        io.Closer
	r           *bufio.Reader
	raw         []byte
}

// Each calls do with every row, in order, and its states: states[k] is layer
// Job.Layers[k], (hidden) float32, valid during the call.
func (s *States) Each(do func(row Row, states [][]float32) error) (err error) {
	arrays, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(arrays)) }()
	states := make([][]float32, len(arrays))
	for k := range states {
		states[k] = make([]float32, s.Job.HiddenSize)
	}
	kind, _ := s.Job.DType.GGML()
	n := 0
	for row, err := range s.Index() {
		if err != nil {
			return err
		}
		if n++; n > s.Rows {
			break
		}
		for k, a := range arrays {
			if _, err := io.ReadFull(a.r, a.raw); err != nil {
				return fmt.Errorf("%w: %s: layer %d, row %d: %w", ErrState, s.dir, s.Job.Layers[k], row.Row, err)
			}
			if err := kind.Decode(states[k], a.raw); err != nil {
				return err
			}
		}
		if err := do(row, states); err != nil {
			return err
		}
	}
	if n != s.Rows {
		return fmt.Errorf("%w: %s: %s does not describe the %d rows of the arrays", ErrState, s.dir, indexName, s.Rows)
	}
	return nil
}

// open opens the layers' arrays in either format and checks them against the job.
func (s *States) open() (arrays []*stored, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(arrays))
		}
	}()
	for _, l := range s.Job.Layers {
		open := s.openTensor
		if s.useNPY() {
			open = s.openNPY
		}
		a, err := open(l)
		if err != nil {
			return arrays, err
		}
		arrays = append(arrays, a)
		if a.width != s.Job.HiddenSize || a.rows != arrays[0].rows {
			return arrays, fmt.Errorf("%w: %s: layer %d has shape (%d, %d), want (%d, %d)", ErrState, s.dir, l, a.rows, a.width, arrays[0].rows, s.Job.HiddenSize)
		}
	}
	return arrays, nil
}

func (s *States) openNPY(layer int) (*stored, error) {
	f, err := os.Open(filepath.Join(s.dir, npyName(layer)))
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(f, 1<<18)
	dtype, rows, width, err := readNPYHeader(r)
	if err == nil && dtype != s.Job.DType {
		err = fmt.Errorf("its type is %s, the job's %s", dtype, s.Job.DType)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", ErrState, f.Name(), err), f.Close())
	}
	return &stored{rows, width, f, r, make([]byte, s.Job.rowBytes())}, nil
}

func (s *States) openTensor(layer int) (*stored, error) {
	f, err := safetensors.Open(filepath.Join(s.dir, statesName))
	if err != nil {
		return nil, err
	}
	t := f.Tensor(layerName(layer))
	if t == nil || t.DType != s.Job.DType || len(t.Shape) != 2 {
		return nil, errors.Join(fmt.Errorf("%w: %s: no array %s of type %s", ErrState, f.Path, layerName(layer), s.Job.DType), f.Close())
	}
	return &stored{int(t.Shape[0]), int(t.Shape[1]), f, bufio.NewReaderSize(t.Data(), 1<<18), make([]byte, s.Job.rowBytes())}, nil
}

func closeAll(arrays []*stored) error {
	var errs []error
	for _, a := range arrays {
		errs = append(errs, a.file.Close())
	}
	return errors.Join(errs...)
}
