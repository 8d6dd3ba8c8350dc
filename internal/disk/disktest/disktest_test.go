package disktest

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"personaprobe/internal/disk"
)

// outcomes are the states that power failures leave of work, each file as "name=data".
func outcomes(t *testing.T, work func(dir string) error) []string {
	t.Helper()
	all := map[string]bool{}
	for seed := range uint64(200) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "old"), []byte("1"), 0o666); err != nil {
			t.Fatal(err)
		}
		watched := Break(dir, 0, false, nil)
		err := work(dir)
		watched.Mend()
		if err != nil {
			t.Fatal(err)
		}
		watched.PowerFailure(t, rand.New(rand.NewPCG(seed, 0)))
		state, files := "", Files(t, dir)
		for _, name := range slices.Sorted(maps.Keys(files)) {
			state += name + "=" + files[name] + " "
		}
		all[state] = true
	}
	return slices.Sorted(maps.Keys(all))
}

func appendTo(dir, name, data string, sync bool) error {
	f, err := disk.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write([]byte(data)); err != nil || !sync {
		return err
	}
	return f.Sync()
}

// A power failure takes what was not synced, any part of it, and nothing else.
func TestPowerFailure(t *testing.T) {
	for _, c := range []struct {
		what string
		work func(dir string) error
		want []string
	}{
		{"appended", func(dir string) error { return appendTo(dir, "old", "23", false) }, []string{"old=1 ", "old=12 ", "old=123 "}},
		{"appended and synced", func(dir string) error { return appendTo(dir, "old", "23", true) }, []string{"old=123 "}},
		{"new, its name not synced", func(dir string) error { return appendTo(dir, "new", "2", true) }, []string{"new=2 old=1 ", "old=1 "}},
		{"new, the folder synced and the file not", func(dir string) error {
			if err := appendTo(dir, "new", "2", false); err != nil {
				return err
			}
			return disk.SyncDir(dir)
		}, []string{"new= old=1 ", "new=2 old=1 "}},
		{"put in another's place", func(dir string) error {
			if err := appendTo(dir, "new", "2", true); err != nil {
				return err
			}
			return disk.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "old"))
		}, []string{"new=2 old=1 ", "old=1 ", "old=2 "}},
		{"put in another's place before it was synced", func(dir string) error {
			if err := appendTo(dir, "new", "2", false); err != nil {
				return err
			}
			if err := disk.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "old")); err != nil {
				return err
			}
			return disk.SyncDir(dir)
		}, []string{"old= ", "old=2 "}},
		{"removed", func(dir string) error { return disk.Remove(filepath.Join(dir, "old")) }, []string{"", "old=1 "}},
		{"folders", func(dir string) error {
			if err := disk.MkdirAll(filepath.Join(dir, "a", "b"), 0o777); err != nil {
				return err
			}
			if err := appendTo(filepath.Join(dir, "a", "b"), "c", "2", true); err != nil {
				return err
			}
			return disk.SyncDir(filepath.Join(dir, "a", "b")) // and not those above
		}, []string{"a/b/c=2 old=1 ", "old=1 "}},
	} {
		if got := outcomes(t, c.work); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}
