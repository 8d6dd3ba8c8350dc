// Package disktest makes every operation on the disk fail in turn.
package disktest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"personaprobe/internal/atomicfile"
	"personaprobe/internal/disk"
)

// kinds are the errors that are injected, one after the other.
var kinds = []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES, syscall.EROFS}

// EveryFault calls work again and again, each time in a new folder with one more of its
// disk operations done before one fails: once alone, and once with all that follow, as
// after the loss of a permission or a disk. It must report the error, unless it only
// failed to clear away; sound must then find nothing wrong in the folder; and work, called
// once more, must succeed and leave the files of an undisturbed call, byte for byte. It
// returns how many faults were tried.
func EveryFault(t *testing.T, work func(dir string) error, sound func(t *testing.T, dir string, want map[string]string)) int {
	t.Helper()
	whole := t.TempDir()
	if err := work(whole); err != nil {
		t.Fatal(err)
	}
	want := Files(t, whole)
	seen := map[string]int{}
	total := 0
	for _, forever := range []bool{false, true} {
		for k := 1; ; k++ {
			dir := t.TempDir()
			kind := kinds[k%len(kinds)]
			calls, failed := 0, ""
			undo := disk.Inject(dir, func(op, path string) error {
				calls++
				if calls < k || calls > k && !forever {
					return nil
				}
				if failed == "" {
					failed = op
				}
				return &fs.PathError{Op: op, Path: path, Err: kind}
			})
			err := work(dir)
			undo()
			if failed == "" {
				break // all operations were tried
			}
			total++
			seen[failed]++
			if err == nil && failed != "remove" && failed != "close" || err != nil && !errors.Is(err, kind) {
				t.Fatalf("operation %d (%s) failed with %v, and the error is %v", k, failed, kind, err)
			}
			sound(t, dir, want)
			if err := work(dir); err != nil {
				t.Fatalf("after operation %d (%s) failed: %v", k, failed, err)
			}
			have := Files(t, dir)
			for name, data := range want {
				if have[name] != data {
					t.Fatalf("after operation %d (%s) failed: %s differs", k, failed, name)
				}
			}
			for name := range have {
				if _, ok := want[name]; !ok && !IsTemporary(name) {
					t.Fatalf("after operation %d (%s) failed: %s was left", k, failed, name)
				}
			}
		}
	}
	t.Logf("%d faults: %v", total, seen)
	for _, op := range []string{"open", "write", "sync", "rename", "sync folder"} {
		if seen[op] == 0 {
			t.Errorf("no failure of %q was tried", op)
		}
	}
	return total
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
func Files(t *testing.T, dir string) map[string]string {
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
