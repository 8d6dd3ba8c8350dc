package hidden

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"personaprobe/internal/sums"
)

// verify compares the files of a finished job with their list; a job of an earlier build
// has none.
func (x *extraction) verify() error {
	if err := sums.CheckAll(x.dir, append(x.job.outputs(), jobName)...); err != nil {
		return fmt.Errorf("%w; remove %s and run again: it comes out with the same bytes", err, x.dir)
	}
	return nil
}

// hashParts reads the files that have grown, compares them with what was written to them,
// and lists those that will be outputs.
func (x *extraction) hashParts() error {
	outputs := x.job.outputs()
	headers := map[string][]byte{indexName: nil}
	if x.job.Response != nil {
		headers[responsesName] = nil
	}
	for _, l := range x.job.Layers {
		headers[npyName(l)] = npyHeader(x.job.DType, x.progress.Rows, x.job.HiddenSize)
	}
	for name, header := range headers {
		sum, err := x.hashPart(name, header)
		if err != nil {
			return err
		}
		if slices.Contains(outputs, name) {
			x.sums[name] = sum
		}
	}
	return nil
}

func (x *extraction) hashPart(name string, header []byte) (string, error) {
	f, err := os.Open(x.part(name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	whole, body := sha256.New(), sha256.New()
	whole.Write(header)
	if _, err := f.Seek(int64(len(header)), io.SeekStart); err != nil {
		return "", err
	}
	if _, err := io.Copy(io.MultiWriter(whole, body), f); err != nil {
		return "", fmt.Errorf("read %s: %w", f.Name(), err)
	}
	want := sha256.New()
	if state := x.progress.Hashes[name]; state != nil {
		err := want.(encoding.BinaryUnmarshaler).UnmarshalBinary(state) //nolint:forcetypeassert // documented
		if err != nil {
			return "", fmt.Errorf("hash of %s: %w", f.Name(), err)
		}
		if !bytes.Equal(want.Sum(nil), body.Sum(nil)) {
			return "", fmt.Errorf("%w: %s has not the bytes that were written to it; remove %s and run again",
				sums.ErrDamaged, f.Name(), x.dir)
		}
	}
	return hex.EncodeToString(whole.Sum(nil)), nil
}

// create makes a file that appears whole, and lists it.
func (x *extraction) create(name string, content func(io.Writer) error) error {
	w, err := sums.Create(filepath.Join(x.dir, name))
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := content(w); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	x.sums[name] = w.Sum()
	return w.Commit()
}

// writeSums lists the finished files and removes the growing ones.
func (x *extraction) writeSums() error {
	var err error
	if x.sums[jobName], _, err = sums.Check(filepath.Join(x.dir, jobName)); err != nil {
		return err
	}
	if err := sums.WriteList(x.dir, x.sums); err != nil {
		return err
	}
	return x.sweep()
}
