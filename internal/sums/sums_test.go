package sums

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"personaprobe/internal/disk/disktest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A list is one that sha256sum checks, and what sha256sum writes is one of ours.
func TestSha256sumAgrees(t *testing.T) {
	dir := t.TempDir()
	must(t, WriteFile(filepath.Join(dir, "b.json"), []byte("two")))
	must(t, WriteFile(filepath.Join(dir, "a name.npy"), bytes.Repeat([]byte{0, 255}, 1<<17)))
	must(t, WriteFile(filepath.Join(dir, "empty"), nil))
	must(t, WriteFile(filepath.Join(dir, "b.json"), []byte("three")))
	tool, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("needs sha256sum")
	}
	check := exec.Command(tool, "--check", "--strict", Name)
	check.Dir = dir
	if out, err := check.CombinedOutput(); err != nil || strings.Count(string(out), ": OK\n") != 3 {
		t.Errorf("%v\n%s", err, out)
	}
	for _, mode := range []string{"--text", "--binary"} {
		write := exec.Command(tool, mode, "b.json", "empty", "a name.npy")
		write.Dir = dir
		out, err := write.Output()
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, Name), out, 0o666))
		for _, name := range []string{"b.json", "empty", "a name.npy"} {
			if _, listed, err := Check(filepath.Join(dir, name)); err != nil || !listed {
				t.Errorf("%s %s: listed %v, %v", mode, name, listed, err)
			}
		}
	}
}

// Every bit of a file counts, and so does its length.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "states.npy")
	data := []byte("some states of a model, and then some more of them")
	must(t, WriteFile(path, data))
	damaged := map[string][]byte{
		"empty": {}, "truncated": data[:len(data)-1], "extended": append(bytes.Clone(data), 0), "other": []byte("x"),
	}
	for bit := range 8 * len(data) {
		flipped := bytes.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		damaged[fmt.Sprintf("bit %d", bit)] = flipped
	}
	for what, bad := range damaged {
		must(t, os.WriteFile(path, bad, 0o666))
		_, errRead := Read(path)
		_, _, errCheck := Check(path)
		for _, err := range []error{errRead, errCheck} {
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) ||
				!strings.Contains(err.Error(), hash(bad)) || !strings.Contains(err.Error(), hash(data)) {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	must(t, os.WriteFile(path, data, 0o666))
	if f, err := Read(path); err != nil || !f.Listed || !bytes.Equal(f.Data, data) || f.SHA256 != hash(data) {
		t.Errorf("%+v, %v", f, err)
	}
	must(t, os.Remove(path))
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrDamaged) {
		t.Errorf("a file that is gone: %v", err)
	}
}

// A file without a list, or not on it, is read as it is; a list that is none is not passed over.
func TestLists(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	must(t, os.WriteFile(path, []byte("x"), 0o666))
	if f, err := Read(path); err != nil || f.Listed {
		t.Errorf("without a list: %+v, %v", f, err)
	}
	if Has(dir) {
		t.Error("a list")
	}
	must(t, Require(dir, "a"))
	must(t, WriteFile(filepath.Join(dir, "b"), []byte("y")))
	if f, err := Read(path); err != nil || f.Listed {
		t.Errorf("not on the list: %+v, %v", f, err)
	}
	if err := Require(dir, "b", "a"); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "list a") {
		t.Errorf("required and not on the list: %v", err)
	}
	line := hash([]byte("x")) + "  a\n"
	for what, text := range map[string]string{
		"words": "no list\n", "short": line[1:], "not hexadecimal": "x" + line[1:], "no name": line[:66] + "\n",
		"twice": line + line, "an empty line": line + "\n" + strings.Replace(line, "a\n", "c\n", 1),
		"nulls": strings.Repeat("\x00", 80),
	} {
		must(t, os.WriteFile(filepath.Join(dir, Name), []byte(text), 0o666))
		_, err := Read(path)
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), Name+":") {
			t.Errorf("%s: %v", what, err)
		}
		if err := WriteFile(path, []byte("new")); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s, written to: %v", what, err)
		}
	}
	if err := WriteList(dir, List{"two\nlines": "x"}); err == nil {
		t.Error("a name of two lines was listed")
	}
}

// batch replaces two files of three and adds one.
func batch(dir, text string) error {
	b := Own(dir)
	defer b.Abort()
	for _, name := range []string{"new", "second", "first"} {
		if err := b.Add(name, []byte(name+text)); err != nil {
			return err
		}
	}
	return b.Commit()
}

func start(dir string) error {
	for _, name := range []string{"first", "second", "third"} {
		if err := WriteFile(filepath.Join(dir, name), []byte(name)); err != nil {
			return err
		}
	}
	return nil
}

// sound sees that no file looks damaged that is whole.
func sound(t *testing.T, dir string) {
	t.Helper()
	list, err := ReadList(dir)
	must(t, err)
	for name := range list {
		if _, _, err := Check(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// Whichever operation fails, alone or with all that follow, as after a kill: a file is old
// or new, and listed as what it is, or not listed.
func TestEveryFault(t *testing.T) {
	disktest.EveryFault(t, disktest.Work{
		Do: func(dir string) error {
			if err := start(dir); err != nil {
				return err
			}
			return batch(dir, " again")
		},
		Sound: func(t *testing.T, dir string, _ map[string]string) { sound(t, dir) },
	})
}

// Processes, or parts of one, that write at once lose no line, and a reader meanwhile
// finds nothing damaged.
func TestManyWriters(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "shared")
	must(t, WriteFile(path, []byte("0")))
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := Read(path); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for w := range 4 {
		writers.Go(func() {
			for i := range 20 {
				for _, name := range []string{"shared", fmt.Sprintf("own_%d_%d", w, i)} {
					if err := WriteFile(filepath.Join(dir, name), []byte(fmt.Sprint(w, i))); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	sound(t, dir)
	if list, err := ReadList(dir); err != nil || len(list) != 81 {
		t.Errorf("%d lines, %v", len(list), err)
	}
}
