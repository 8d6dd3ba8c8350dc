package analysis

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"personaprobe/experiment"
	"personaprobe/internal/sums"
)

// ErrStale marks an analysis that is older than its data.
var ErrStale = errors.New("the analysis is older than the run")

// ChangeKind is what became of a file since an analysis read the directory.
type ChangeKind string

// The kinds.
const (
	Changed  ChangeKind = "changed since"
	Gone     ChangeKind = "is gone"
	New      ChangeKind = "is new"
	Finished ChangeKind = "was finished since" // a whole shard
)

// Change is a file that an analysis of the directory would read otherwise now.
type Change struct {
	File string // inside the directory; for Finished the shard's folder
	Kind ChangeKind
}

func (c Change) String() string { return c.File + " " + string(c.Kind) }

// Changes compares a directory with an analysis of it: which of the files behind the
// analysis changed or are gone, and what there is now that it did not have. Files that
// options named lie elsewhere and are not compared. A directory with none of the files
// behind the analysis, as analyze --out makes, has no Changes but those Gone.
func Changes(ctx context.Context, dir string, f *Full) ([]Change, error) {
	known := make(map[string]string)
	for _, in := range f.Inputs {
		switch {
		case in.Option != "":
		case !filepath.IsLocal(in.File):
			return nil, fmt.Errorf("%w: the analysis names the input %q, which is not in the directory", ErrInput, in.File)
		default:
			known[in.File] = in.SHA256
		}
	}
	var out []Change
	names := readNow(dir, known)
	for _, in := range f.Inputs {
		if in.Option == "" && !slices.Contains(names, in.File) {
			names = append(names, in.File)
		}
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		was, read := known[name]
		sum, _, err := sums.Check(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			out = append(out, Change{name, Gone})
		case err != nil:
			return nil, fmt.Errorf("compare with the analysis: %w", err)
		case !read:
			out = appendNew(out, name, known)
		case sum != was:
			out = append(out, Change{name, Changed})
		}
	}
	return out, nil
}

// appendNew adds a file that the analysis did not read, or its shard if that has none
// that it did.
func appendNew(out []Change, name string, known map[string]string) []Change {
	c := Change{name, New}
	if folder, _, inside := strings.Cut(name, "/"); inside {
		whole := true
		for file := range known {
			whole = whole && !strings.HasPrefix(file, folder+"/")
		}
		if whole {
			c = Change{folder, Finished}
		}
	}
	if slices.Contains(out, c) {
		return out
	}
	return append(out, c)
}

// readNow are the files that an analysis of the directory would read. known are those
// that one read.
func readNow(dir string, known map[string]string) []string {
	var names []string
	add := func(files ...string) {
		for _, name := range files {
			if exists(filepath.Join(dir, name)) {
				names = append(names, name)
			}
		}
	}
	folders, isRun := finishedShards(dir)
	add(taxonomyFile)
	if isRun {
		add(manifestFile, questionsFile, centroidFile)
	}
	// A run's cosines follow from its centroids; cosine_analysis.json stands in for them.
	_, hadCentroids := known[centroidFile]
	_, hadCosines := known[cosineFile]
	if hadCosines || !hadCentroids && !slices.Contains(names, centroidFile) {
		add(cosineFile)
	}
	for _, folder := range folders {
		add(folder+"/"+evalFile, folder+"/"+rawFile, folder+"/"+summaryFile)
	}
	return names
}

// finishedShards are the folders that an analysis would read: those of the run's plan
// that are finished, or those of a folder of artefacts that have counts.
func finishedShards(dir string) (folders []string, isRun bool) {
	if r, err := experiment.LoadResults(dir); err == nil {
		for _, s := range r.Shards {
			folders = append(folders, s.Shard.Name())
		}
		return folders, true
	}
	shards, err := newDataset(dir).findShards()
	if err != nil {
		return nil, false
	}
	for _, s := range shards {
		if exists(filepath.Join(dir, s.folder, evalFile)) {
			folders = append(folders, s.folder)
		}
	}
	return folders, exists(filepath.Join(dir, manifestFile))
}

// CheckFresh is nil if the directory has nothing that the analysis did not read. Else
// the error matches [ErrStale], names what is newer, and says what to do. What is gone
// makes an analysis no older: that is returned.
func CheckFresh(ctx context.Context, dir string, f *Full) (gone []string, err error) {
	changes, err := Changes(ctx, dir, f)
	if err != nil {
		return nil, err
	}
	var newer []string
	for _, c := range changes {
		if c.Kind == Gone {
			gone = append(gone, c.File)
		} else {
			newer = append(newer, c.String())
		}
	}
	if len(newer) > 0 {
		return gone, fmt.Errorf("%w: %s; run personaprobe analyze %s again", ErrStale, list(newer), dir)
	}
	return gone, nil
}
