package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"personaprobe/analysis"
	"personaprobe/experiment"
)

// otherModelFlag lets a verb use another model than that of the run beside it.
func otherModelFlag(to *bool) cli.Flag {
	return &cli.BoolFlag{Name: "other-model", Usage: "allow another model than the run's; a note says so", Destination: to}
}

// modelFile is the model of an engine, by the name the user gave it.
func modelFile(
	ctx context.Context, m *experiment.EngineModel, name string, allowOther bool,
) (*analysis.ModelFile, error) {
	sum, err := m.SHA256(ctx, "")
	return &analysis.ModelFile{Name: filepath.Base(name), SHA256: sum, AllowOther: allowOther}, err
}

// besideRun reports whether the leakage is a run's: a file of rates names no model.
func (o *TableOptions) besideRun() bool {
	info, err := os.Stat(o.Leakage)
	return err == nil && info.IsDir()
}

// checkModel refuses a table of another model than that of the run directory whose
// leakage it is set against, unless it may be another. What is not as it should be is
// noted on stderr.
func (o *TableOptions) checkModel(stderr io.Writer, m *analysis.ModelFile) error {
	note, err := m.Check(o.Leakage)
	if err == nil && note != "" {
		fmt.Fprintf(stderr, "note: %s\n", note)
	}
	return err
}

// centroidModel is the model of a centroid file, which its metadata or the manifest
// beside it name.
func centroidModel(path string, metadata map[string]string, allowOther bool) (*analysis.ModelFile, error) {
	m := &analysis.ModelFile{Name: "the model of " + path, SHA256: metadata["model_sha256"], AllowOther: allowOther}
	var err error
	if m.SHA256 == "" {
		m.SHA256, err = analysis.RunModel(filepath.Dir(path))
	}
	return m, err
}
