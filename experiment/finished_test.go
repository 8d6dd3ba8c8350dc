package experiment

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"personaprobe/internal/dirlock"
	"personaprobe/internal/sums"
	"personaprobe/internal/sums/sumstest"
)

// finishedRun is a run with every kind of artefact.
func finishedRun(t *testing.T) (dir string, in Inputs) {
	t.Helper()
	plan := smallPlan()
	plan.AdaptedCentroids = true
	in = makeInputs(t, plan)
	dir = filepath.Join(t.TempDir(), "run")
	if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
		t.Fatal(err)
	}
	return dir, in
}

// Every file of a finished run is listed in its folder, with its hash.
func TestEveryArtefactIsListed(t *testing.T) {
	dir, _ := finishedRun(t)
	lists, listed := 0, map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != sums.Name {
			return err
		}
		lists++
		list, err := sums.ReadList(filepath.Dir(path))
		for name := range list {
			file := filepath.Join(filepath.Dir(path), name)
			if _, _, err := sums.Check(file); err != nil {
				t.Error(err)
			}
			listed[file] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if lists != 6 { // the run's, the adapted centroids', four shards'
		t.Errorf("%d lists", lists)
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		own := []string{sums.Name, sums.LockName, dirlock.Name, progressFile}
		if err == nil && !entry.IsDir() && listed[path] == slices.Contains(own, entry.Name()) {
			t.Errorf("%s: listed is %v", path, listed[path])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A file that is not as it was written is named by whoever reads it, and nothing is made
// of it or beside it.
func TestDamagedRunIsRefused(t *testing.T) {
	dir, in := finishedRun(t)
	run := func() error {
		model := &fakeModel{}
		_, err := Run(context.Background(), dir, model, in, Options{})
		if len(model.asked) > 0 {
			t.Error("the model was asked")
		}
		return err
	}
	load := func() error {
		_, err := LoadResults(dir)
		return err
	}
	analyse := func() error {
		_, err := Analyse(dir)
		return err
	}
	const shard, other = "source_0_seed42/", "source_0_seed137/"
	for name, c := range map[string]struct {
		swap  string
		verbs []func() error
	}{
		manifestFile:                            {taxonomyFile, []func() error{run, load, analyse}},
		taxonomyFile:                            {questionsFile, []func() error{run, load, analyse}},
		questionsFile:                           {taxonomyFile, []func() error{run, load, analyse}},
		centroidsFile:                           {adaptedFolder + "/source_0.safetensors", []func() error{run, analyse}},
		adaptedFolder + "/source_1.safetensors": {adaptedFolder + "/source_0.safetensors", []func() error{run, analyse}},
		shard + rawFile:                         {other + rawFile, []func() error{run}},
		shard + evalFile:                        {other + evalFile, []func() error{run, load, analyse}},
		shard + summaryFile:                     {other + summaryFile, []func() error{run, load, analyse}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			sumstest.Damaged(t, path, filepath.Join(dir, c.swap), func(t *testing.T) {
				before := rawFiles(t, dir)
				for _, verb := range c.verbs {
					err := verb()
					if !errors.Is(err, sums.ErrDamaged) || !strings.Contains(err.Error(), path+" is damaged") {
						t.Errorf("got %v", err)
					}
				}
				if after := rawFiles(t, dir); !maps.Equal(before, after) {
					t.Error("a refused run changed the directory")
				}
			})
		})
	}
	if err := errors.Join(run(), load(), analyse()); err != nil {
		t.Error(err)
	}
}

// What the advice says works: without what was damaged, the run makes it again.
func TestWhatWasDamagedIsMadeAgain(t *testing.T) {
	for _, name := range []string{
		centroidsFile, taxonomyFile, adaptedFolder, adaptedFolder + "/source_1.safetensors", compiledFile, cosineFile,
		"source_0_seed42", "source_1_seed137/" + summaryFile,
		"source_1_seed137/" + sums.Name + "+" + "source_1_seed137/" + summaryFile,
	} {
		dir, in := finishedRun(t)
		want := artefacts(t, dir)
		for part := range strings.SplitSeq(name, "+") {
			if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		sameArtefacts(t, want, artefacts(t, dir))
	}
}

// Files that only follow from others are made anew if they are damaged.
func TestDamagedAnalysisIsMadeAnew(t *testing.T) {
	dir, in := finishedRun(t)
	want := artefacts(t, dir)
	for _, name := range []string{compiledFile, cosineFile} {
		sumstest.Damaged(t, filepath.Join(dir, name), "", func(t *testing.T) {
			if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
				t.Error(err)
			}
			sameArtefacts(t, want, artefacts(t, dir))
		})
		if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
			t.Error(err)
		}
	}
}

// The shards of an earlier build have no list, and are read; a list that lost a line is damaged.
func TestListsOfShards(t *testing.T) {
	dir, _ := finishedRun(t)
	folder := filepath.Join(dir, "source_1_seed42")
	list, err := sums.ReadList(folder)
	if err != nil {
		t.Fatal(err)
	}
	for name := range list {
		less := maps.Clone(list)
		delete(less, name)
		if err := sums.WriteList(folder, less); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadResults(dir); !errors.Is(err, sums.ErrDamaged) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	if err := os.Remove(filepath.Join(folder, sums.Name)); err != nil {
		t.Fatal(err)
	}
	if r, err := LoadResults(dir); err != nil || len(r.Shards) != 4 {
		t.Errorf("without a list: %v", err)
	}
	// A process killed between summary and list leaves the checkpoint, too.
	if err := os.WriteFile(filepath.Join(folder, checkpointFile), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if r, err := LoadResults(dir); err != nil || len(r.Missing) != 1 {
		t.Errorf("not finished: %v", err)
	}
}

// Two folders that changed places, lists included.
func TestSwappedShards(t *testing.T) {
	dir, _ := finishedRun(t)
	a, b, c := filepath.Join(dir, "source_0_seed42"), filepath.Join(dir, "source_0_seed137"), filepath.Join(dir, "c")
	if err := errors.Join(os.Rename(a, c), os.Rename(b, a), os.Rename(c, b)); err != nil {
		t.Fatal(err)
	}
	_, err := LoadResults(dir)
	if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "is of source source_0 and seed 137") {
		t.Errorf("got %v", err)
	}
}
