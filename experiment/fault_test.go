package experiment

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"personaprobe/internal/atomicfile"
	"personaprobe/internal/disk/disktest"
	"personaprobe/internal/sums"
)

// Whichever operation fails: the error says so, what is called finished is whole, and the
// next run ends with the right bytes, also after a power failure.
func TestEveryDiskFailureIsSurvived(t *testing.T) {
	t.Parallel()
	plan := smallPlan()
	plan.Sources, plan.NumQuestions, plan.NumCompletions, plan.Layers = []string{"source_0"}, 1, 2, []int{10}
	in := makeInputs(t, plan)
	runs := uint64(0)
	seen := disktest.EveryFault(t, disktest.Work{
		Do: func(dir string) error {
			runs++
			_, err := Run(context.Background(), filepath.Join(dir, "run"), &fakeModel{shuffle: runs}, in, Options{checkpointEvery: 1})
			return err
		},
		Files: func(t testing.TB, dir string) map[string]string { return artefacts(t, filepath.Join(dir, "run")) },
		Sound: func(t *testing.T, dir string, want map[string]string) {
			checkFinished(t, filepath.Join(dir, "run"), want)
		},
		Sweeps: true,
	})
	for _, op := range []string{"mkdir", "close", "remove"} {
		if seen[op] == 0 {
			t.Errorf("no failure of %q was tried", op)
		}
	}
}

// checkFinished compares every artefact that is there with the right one, and sees
// that a summary never stands alone.
func checkFinished(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return
	}
	have := artefacts(t, dir)
	for name, data := range have {
		base := filepath.Base(name)
		if base == checkpointFile || atomicfile.IsTemp(base) {
			continue
		}
		if base == sums.Name { // it may lack a line, but have none that is wrong
			for line := range strings.Lines(data) {
				if !strings.Contains(want[name], line) {
					t.Fatalf("%s has a wrong line: %s", name, line)
				}
			}
			continue
		}
		if want[name] != data {
			t.Fatalf("%s is there and wrong:\n%.300s", name, data)
		}
		if base == summaryFile {
			for _, other := range []string{rawFile, evalFile} {
				if _, ok := have[filepath.Join(filepath.Dir(name), other)]; !ok {
					t.Fatalf("%s is there without %s", name, other)
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
			bad := disktest.Break(filepath.Dir(dir), 1+chance.IntN(60), true, syscall.EIO)
			_, err := Run(context.Background(), dir, &fakeModel{shuffle: chance.Uint64()}, in, Options{checkpointEvery: 1})
			bad.Mend()
			if err == nil {
				break
			}
			if !errors.Is(err, syscall.EIO) {
				t.Fatal(err)
			}
			bad.PowerFailure(t, chance)
		}
		sameArtefacts(t, want, artefacts(t, dir))
	}
}
