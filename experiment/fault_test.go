package experiment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"personaprobe/models/safetensors"
)

// faultyDisk fails at one of its operations and at all later ones, as a full or broken
// disk does. Its files are real, but not synced: it keeps what was synced itself, and
// crash drops the rest.
type faultyDisk struct {
	failAt int   // number of the operation, from 1; 0: never
	err    error // what it fails with
	calls  int
	failed string                // the operation that failed first
	logs   map[string]*faultyLog // append-only files by path
}

func (d *faultyDisk) op(name, path string) error {
	d.calls++
	if d.failAt == 0 || d.calls < d.failAt {
		return nil
	}
	if d.failed == "" {
		d.failed = name + " " + filepath.Base(path)
	}
	return &fs.PathError{Op: name, Path: path, Err: d.err}
}

func (d *faultyDisk) mkdir(path string) error {
	if err := d.op("mkdir", path); err != nil {
		return err
	}
	return os.MkdirAll(path, 0o777)
}

func (d *faultyDisk) create(path string) (newFile, error) {
	if err := d.op("create", path); err != nil {
		return nil, err
	}
	return &faultyFile{disk: d, path: path}, nil
}

func (d *faultyDisk) appendTo(path string) (logFile, error) {
	if err := d.op("append", path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	log := &faultyLog{disk: d, file: f, synced: info.Size()}
	if d.logs == nil {
		d.logs = make(map[string]*faultyLog)
	}
	d.logs[path] = log
	return log, nil
}

func (d *faultyDisk) writeTensors(path string, arrays []safetensors.Array, metadata map[string]string) error {
	if err := d.op("tensors", path); err != nil {
		return err
	}
	if err := safetensors.Write(path, arrays, metadata); err != nil {
		return err
	}
	return d.op("sync folder of", path)
}

func (d *faultyDisk) remove(path string) error {
	if err := d.op("remove", path); err != nil {
		return err
	}
	return osDisk{}.remove(path)
}

// crash is what a power failure does to the append-only files: of what was not synced,
// any part may be there.
func (d *faultyDisk) crash(r *rand.Rand) error {
	for path, log := range d.logs {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if open := info.Size() - log.synced; open > 0 {
			if err := os.Truncate(path, log.synced+r.Int64N(open+1)); err != nil {
				return err
			}
		}
	}
	return nil
}

type faultyFile struct {
	disk *faultyDisk
	path string
	data bytes.Buffer
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.disk.op("write", f.path); err != nil {
		f.data.Write(p[:len(p)/2])
		return len(p) / 2, err
	}
	return f.data.Write(p)
}

func (f *faultyFile) Commit() error {
	for _, op := range []string{"sync", "rename"} {
		if err := f.disk.op(op, f.path); err != nil {
			return err
		}
	}
	if err := os.WriteFile(f.path, f.data.Bytes(), 0o666); err != nil {
		return err
	}
	return f.disk.op("sync folder of", f.path) // the file is there all the same
}

func (f *faultyFile) Abort() {}

type faultyLog struct {
	disk   *faultyDisk
	file   *os.File
	synced int64
}

func (f *faultyLog) Write(p []byte) (int, error) {
	if err := f.disk.op("write", f.file.Name()); err != nil {
		n, _ := f.file.Write(p[:len(p)/2]) // a full disk takes what fits
		return n, err
	}
	return f.file.Write(p)
}

func (f *faultyLog) Truncate(size int64) error {
	if err := f.disk.op("truncate", f.file.Name()); err != nil {
		return err
	}
	f.synced = min(f.synced, size)
	return f.file.Truncate(size)
}

func (f *faultyLog) Sync() error {
	if err := f.disk.op("sync", f.file.Name()); err != nil {
		return err
	}
	info, err := f.file.Stat()
	if err == nil {
		f.synced = info.Size()
	}
	return err
}

func (f *faultyLog) Close() error { return f.file.Close() }

// Whichever operation fails: the error says which file, what is called finished is
// whole, and the next run ends with the right bytes.
func TestEveryDiskFailureIsSurvived(t *testing.T) {
	t.Parallel()
	plan := smallPlan()
	plan.Sources, plan.NumQuestions, plan.NumCompletions, plan.Layers = []string{"source_0"}, 1, 2, []int{10}
	in := makeInputs(t, plan)
	want := reference(t, in)
	chance := rand.New(rand.NewPCG(1, 2))
	seen := make(map[string]bool)
	for k := 1; ; k++ {
		dir := filepath.Join(t.TempDir(), "run")
		bad := &faultyDisk{failAt: k, err: syscall.ENOSPC}
		if k%2 == 0 {
			bad.err = syscall.EIO
		}
		_, err := Run(context.Background(), dir, &fakeModel{shuffle: uint64(k)}, in, Options{disk: bad, checkpointEvery: 1})
		if bad.failed == "" {
			if err != nil {
				t.Fatal(err)
			}
			sameArtefacts(t, want, artefacts(t, dir))
			if k < 50 {
				t.Errorf("only %d operations were tried", k)
			}
			break
		}
		op, _, _ := strings.Cut(bad.failed, " ")
		seen[op] = true
		if !errors.Is(err, bad.err) || !strings.Contains(err.Error(), filepath.Base(dir)) {
			t.Fatalf("operation %d (%s): the error is %v", k, bad.failed, err)
		}
		checkFinished(t, fmt.Sprintf("operation %d (%s)", k, bad.failed), dir, want)
		if err := bad.crash(chance); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{disk: &faultyDisk{}}); err != nil {
			t.Fatalf("operation %d (%s), run again: %v", k, bad.failed, err)
		}
		sameArtefacts(t, want, artefacts(t, dir))
		if t.Failed() {
			t.Fatalf("after operation %d (%s)", k, bad.failed)
		}
	}
	for _, op := range []string{"mkdir", "create", "append", "write", "sync", "rename", "tensors", "remove"} {
		if !seen[op] {
			t.Errorf("no failure of %q was tried", op)
		}
	}
}

// checkFinished compares every artefact that is there with the right one, and sees
// that a summary never stands alone.
func checkFinished(t *testing.T, when, dir string, want map[string]string) {
	t.Helper()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return
	}
	have := artefacts(t, dir)
	for name, data := range have {
		base := filepath.Base(name)
		if base == checkpointFile {
			continue
		}
		if want[name] != data {
			t.Fatalf("%s: %s is there and wrong:\n%.300s", when, name, data)
		}
		if base == summaryFile {
			for _, other := range []string{rawFile, evalFile} {
				if _, ok := have[filepath.Join(filepath.Dir(name), other)]; !ok {
					t.Fatalf("%s: %s is there without %s", when, name, other)
				}
			}
		}
	}
}

// Repeated failures, each further on than the last, still end with the right bytes.
func TestManyFailuresInARow(t *testing.T) {
	t.Parallel()
	in := makeInputs(t, smallPlan())
	want := reference(t, in)
	for seed := range uint64(5) {
		chance := rand.New(rand.NewPCG(seed, 3))
		dir := filepath.Join(t.TempDir(), "run")
		for attempt := 0; ; attempt++ {
			if attempt > 200 {
				t.Fatal("no end in 200 attempts")
			}
			bad := &faultyDisk{failAt: 1 + chance.IntN(60), err: syscall.EIO}
			_, err := Run(context.Background(), dir, &fakeModel{shuffle: chance.Uint64()}, in, Options{disk: bad, checkpointEvery: 1})
			if err == nil {
				break
			}
			if !errors.Is(err, syscall.EIO) {
				t.Fatal(err)
			}
			if err := bad.crash(chance); err != nil {
				t.Fatal(err)
			}
		}
		sameArtefacts(t, want, artefacts(t, dir))
	}
}
