// Package disktest makes every operation on the disk fail in turn.
package disktest

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"personaprobe/internal/atomicfile"
)

// kinds are the errors that are injected, one after the other.
var kinds = []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES, syscall.EROFS}

// Work is what EveryFault does again and again.
type Work struct {
	// Do does it in dir. What it left there after a failure must not keep it from ending
	// well in another call.
	Do func(dir string) error
	// Files are the contents that matter, by name. Default: [Files].
	Files func(t testing.TB, dir string) map[string]string
	// Sound finds fault with what a failure has left. Default: [WholeOrAbsent].
	Sound func(t *testing.T, dir string, want map[string]string)
	// Lenient says that a failure to clear away, or to close what was synced, may go
	// unreported.
	Lenient bool
	// Sweeps says that a call after a failure removes temporary files, too.
	Sweeps bool
}

// EveryFault calls w.Do again and again, each time in a new folder with one more of its
// disk operations done before one fails: once alone, and once with all that follow, as
// after the loss of a permission or a disk. It must report the error. Sound must then
// find nothing wrong in the folder, and nothing after a power failure on top; and Do,
// called once more, must succeed and leave the files of an undisturbed call, byte for
// byte, which a power failure at the end must not take.
//
// It returns how many faults of each operation were tried.
func EveryFault(t *testing.T, w Work) map[string]int {
	t.Helper()
	if w.Files == nil {
		w.Files = Files
	}
	if w.Sound == nil {
		w.Sound = WholeOrAbsent
	}
	whole := t.TempDir()
	if err := w.Do(whole); err != nil {
		t.Fatal(err)
	}
	want := w.Files(t, whole)
	seen, total := map[string]int{}, 0
	for _, forever := range []bool{false, true} {
		for k := 1; ; k++ {
			op := w.fault(t, k, forever, want)
			if op == "" {
				break // all operations were tried
			}
			seen[op]++
			total++
		}
	}
	t.Logf("%d faults: %v", total, seen)
	for _, op := range []string{"open", "write", "sync", "rename", "sync folder"} {
		if seen[op] == 0 {
			t.Errorf("no failure of %q was tried", op)
		}
	}
	return seen
}

// fault tries one fault and returns what failed.
func (w *Work) fault(t *testing.T, k int, forever bool, want map[string]string) string {
	t.Helper()
	dir, kind, chance := t.TempDir(), kinds[k%len(kinds)], rand.New(rand.NewPCG(uint64(k), 1))
	bad := Break(dir, k, forever, kind)
	err := w.Do(dir)
	bad.Mend()
	op, what := "", "no failure"
	if bad.Op != nil {
		op, what = bad.Op.Name, fmt.Sprintf("operation %d (%s %s) failed with %v", k, bad.Op.Name, filepath.Base(bad.Op.Path), kind)
		silent := w.Lenient && (op == "remove" || op == "close")
		if err == nil && !silent || err != nil && !errors.Is(err, kind) {
			t.Fatalf("%s, and the error is %v", what, err)
		}
		w.Sound(t, dir, want)
		bad.PowerFailure(t, chance)
		w.Sound(t, dir, want)
		bad = Break(dir, 0, false, nil)
		err = w.Do(dir)
		bad.Mend()
	}
	if err != nil {
		t.Fatalf("after %s: %v", what, err)
	}
	for name := range w.complete(t, what, dir, want) {
		if _, ok := want[name]; !ok && (w.Sweeps || !IsTemporary(name)) {
			t.Fatalf("after %s: %s was left", what, name)
		}
	}
	bad.PowerFailure(t, chance)
	w.complete(t, what+", and the power after the end", dir, want)
	return op
}

// complete sees that the wanted files are there, and returns all.
func (w *Work) complete(t *testing.T, what, dir string, want map[string]string) map[string]string {
	t.Helper()
	have := w.Files(t, dir)
	for name, data := range want {
		if have[name] != data {
			t.Fatalf("after %s: %s differs:\nwant %.300q\nhave %.300q", what, name, data, have[name])
		}
	}
	return have
}

// WholeOrAbsent is the sound of work whose files appear whole or not at all.
func WholeOrAbsent(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	for name, data := range Files(t, dir) {
		if want[name] != data && !IsTemporary(name) {
			t.Fatalf("%s is there and wrong", name)
		}
	}
}

// IsTemporary reports whether a file is one that atomicfile had not finished.
func IsTemporary(name string) bool { return strings.Contains(name, atomicfile.TempInfix) }

// Files are the contents of the files under dir by relative path, locks apart.
func Files(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".lock") {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
