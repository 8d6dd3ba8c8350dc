// Package track writes the shards of a study as runs of Weights & Biases, as the
// original study kept them: project persona_taxonomy, one run
// taxonomy_<source>_seed<seed> per shard, with its settings, figures, a table of
// personas and the shard's files. Nothing is sent anywhere: [Offline] writes the
// folders that wandb itself writes without a network, and `wandb sync` uploads them.
//
// An id is a hash of the run's manifest and the shard, so tracking a run twice gives
// the same runs.
package track

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"personaprobe/experiment"
	"personaprobe/internal/atomicfile"
	"personaprobe/internal/sums"
)

// DefaultProject is the original study's.
const DefaultProject = "persona_taxonomy"

// Options are the choices of Offline. The zero value is good.
type Options struct {
	Project string // "": DefaultProject
	Out     string // folder in which wandb/ is made; "": the run directory
	Build   string // version of the program
}

// Run is one run that was written.
type Run struct {
	Name string // taxonomy_<source>_seed<seed>
	ID   string
	Dir  string // folder to give to wandb sync
}

// The types of a file in a run, as in wandb_internal.proto.
const (
	kindOther = iota
	kindWandb
	kindMedia
)

type runFile struct {
	name string // slash-separated, in the run's files folder
	kind int
	data []byte
}

// Offline writes a run for every finished shard of the run directory dir. The folder of
// a run that was written before is replaced whole.
func Offline(dir string, opts Options) ([]Run, error) {
	r, err := experiment.LoadResults(dir)
	if err != nil {
		return nil, err
	}
	if len(r.Shards) == 0 {
		return nil, fmt.Errorf("%w: %s has no finished shard to track; run it first", experiment.ErrInput, dir)
	}
	if opts.Project == "" {
		opts.Project = DefaultProject
	}
	if opts.Out == "" {
		opts.Out = dir
	}
	return writeAll(r, opts)
}

func writeAll(r *experiment.Results, opts Options) ([]Run, error) {
	start, err := time.Parse(time.RFC3339, r.Manifest.Created)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: manifest.json: created: %w", experiment.ErrInput, r.Dir, err)
	}
	var runs []Run
	for _, s := range r.Shards {
		run, err := writeShard(r, s, start, opts)
		if err != nil {
			return runs, fmt.Errorf("track %s: %w", s.Shard.Name(), err)
		}
		runs = append(runs, run)
	}
	return runs, nil
}

func writeShard(r *experiment.Results, s experiment.ShardResult, start time.Time, opts Options) (Run, error) {
	sum := sha256.Sum256([]byte(r.Manifest.ID() + "/" + s.Shard.Name()))
	run := Run{Name: "taxonomy_" + s.Shard.Name(), ID: hex.EncodeToString(sum[:4])}
	run.Dir = filepath.Join(opts.Out, "wandb", fmt.Sprintf("offline-run-%s-%s", start.UTC().Format("20060102_150405"), run.ID))
	table, err := personaTable(s)
	if err != nil {
		return run, err
	}
	files, err := shardFiles(r, s, start)
	if err != nil {
		return run, err
	}
	files = append(files, table.file)
	log, err := shardLog(r, s, run, files, table, start, opts)
	if err != nil {
		return run, err
	}
	return run, replaceDir(run.Dir, "run-"+run.ID+".wandb", log, files)
}

// shardLog is the .wandb file.
func shardLog(r *experiment.Results, s experiment.ShardResult, run Run, files []runFile, table table, start time.Time, opts Options) ([]byte, error) {
	values, err := figures(s, table)
	if err != nil {
		return nil, err
	}
	open, err := runRecord(run.ID, opts.Project, r.Manifest.ID()[:8], run.Name, config(r, s), start)
	if err != nil {
		return nil, err
	}
	seconds := int64(s.Summary.WallMinutes * 60)
	summary, err := items(1, slices.Concat(values, []item{{"_wandb", map[string]any{"runtime": seconds}}}))
	if err != nil {
		return nil, err
	}
	history, err := historyRecord(slices.Concat(values, []item{
		{"_step", 0}, {"_runtime", s.Summary.WallMinutes * 60}, {"_timestamp", start.Unix() + seconds},
	}))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	log := newLogWriter(&b)
	number := int64(0)
	for _, part := range []struct {
		field protowire.Number
		body  message
	}{
		{recordHeader, headerRecord("personaprobe " + opts.Build)},
		{recordRun, open},
		{recordFiles, filesRecord(files)},
		{recordHistory, history},
		{recordSummary, summary},
		{recordExit, exitRecord(seconds)},
	} {
		number++
		var m message
		m.number(recordNum, number)
		m.inner(part.field, part.body)
		log.record(m)
	}
	return b.Bytes(), log.err
}

// config is what the shard was run with.
func config(r *experiment.Results, s experiment.ShardResult) []item {
	id := r.Manifest.Identity
	return []item{
		{"source", s.Shard.Adapter.Source}, {"adapter", s.Shard.Adapter.Name()}, {"seed", s.Shard.Seed},
		{"base_model", r.Manifest.Base}, {"model_sha256", id.Model}, {"adapter_sha256", id.Adapters[s.Shard.Adapter.Name()]},
		{"taxonomy_sha256", id.Taxonomy}, {"questions_sha256", id.Questions},
		{"n_questions", id.NumQuestions}, {"n_completions", id.NumCompletions}, {"seeds", id.Seeds}, {"layers", id.Layers},
		{"temperature", id.Temperature}, {"top_p", id.TopP}, {"max_tokens", id.MaxTokens}, {"marker", id.Marker},
		{"build", id.Build}, {"device", id.Device}, {"settings", id.Settings},
		{"_wandb", map[string]any{}},
	}
}

// figures are the fields of summary.json, without what the config has, and the table.
func figures(s experiment.ShardResult, table table) ([]item, error) {
	data, err := json.Marshal(s.Summary)
	if err != nil {
		return nil, err
	}
	var fields experiment.Ordered[any]
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	var out []item
	for name, v := range fields.All() {
		switch name {
		case "source", "seed", "adapter", "token_lengths":
		default:
			out = append(out, item{name, v})
		}
	}
	return append(out, item{"marker_eval", table.reference()}), nil
}

// shardFiles are the shard's artefacts, with the manifest.
func shardFiles(r *experiment.Results, s experiment.ShardResult, start time.Time) ([]runFile, error) {
	metadata, err := json.MarshalIndent(map[string]any{
		"program": "personaprobe", "startedAt": start.UTC().Format(time.RFC3339), "device": s.Summary.Device,
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	files := []runFile{{"wandb-metadata.json", kindWandb, metadata}}
	folder := s.Shard.Name()
	for _, path := range []string{"manifest.json", folder + "/summary.json", folder + "/marker_eval.json", folder + "/raw_completions.json"} {
		f, err := sums.Read(filepath.Join(r.Dir, path))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a copy of a run may leave the raw completions behind
		}
		if err != nil {
			return nil, err
		}
		files = append(files, runFile{path, kindOther, f.Data})
	}
	return files, nil
}

// replaceDir writes a run's folder beside its place and moves it there.
func replaceDir(dir, logName string, log []byte, files []runFile) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), ".tracking-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temporary))
		}
	}()
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	if err := atomicfile.WriteFile(filepath.Join(temporary, logName), log); err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(temporary, "files", filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := atomicfile.WriteFile(path, f.data); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(temporary, dir)
}
