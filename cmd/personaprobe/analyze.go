package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"personaprobe/analysis"
	"personaprobe/engine"
	"personaprobe/experiment"
)

// AnalyzeOptions are the flags of analyze.
type AnalyzeOptions struct {
	analysis.Options
	Model     ModelOptions // for the semantic covariate; Model "" for none
	Out       string       // "": the analysed folder
	Ocean     string
	RateOcean bool
	Anchors   string

	OtherModel bool
}

func newAnalyzeCommand() *cli.Command {
	var o AnalyzeOptions
	return &cli.Command{
		Name:      "analyze",
		Usage:     "compute the study's statistics from a run directory or published artefacts",
		ArgsUsage: "DIR",
		Description: `Reads a run, finished or not, or a folder with a cosine_analysis.json, with
<source>_seed<seed>/marker_eval.json files, or with both. Writes full_analysis.json,
compiled_analysis.json, and personas and seeds as .csv and .parquet. What is missing
is listed; everything else is computed. docs/statistics.md defines every number.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "`DIRECTORY` to write to (default: DIR)", Destination: &o.Out},
			&cli.StringFlag{Name: "personas", Usage: "`FILE` of the prompts (default: the run's own)", Destination: &o.Personas},
			&cli.StringFlag{Name: "model", Aliases: []string{"m"}, Destination: &o.Model.Model,
				Usage: "the study's base model, `PATH` or \"tiny\": adds the semantic covariate"},
			otherModelFlag(&o.OtherModel),
			&cli.StringFlag{Name: "ocean", Usage: "`FILE` of Big Five scores, .json or .csv", Destination: &o.Ocean},
			&cli.BoolFlag{Name: "rate-ocean", Usage: "let --model rate the personas' Big Five; writes ocean.json", Destination: &o.RateOcean},
			&cli.StringFlag{Name: "anchors", Usage: "`FILE` of earlier rates of the anchors, .json or .csv", Destination: &o.Anchors},
			&cli.StringSliceFlag{Name: "judges",
				Usage: "`SOURCES` of kendall_w, comma-separated (default: the original study's three, else all)"},
			&cli.StringFlag{Name: "marker", Usage: "substring counted where no manifest says it (default: [ZLT])", Destination: &o.Marker},
			&cli.Float64Flag{Name: "level", Value: 0.95, Usage: "coverage of the intervals", Destination: &o.Level},
			&cli.IntFlag{Name: "resamples", Value: 2000, Usage: "of every bootstrap", Destination: &o.Resamples},
			&cli.IntFlag{Name: "permutations", Value: 9999, Usage: "of every permutation test", Destination: &o.Permutations},
			&cli.Uint64Flag{Name: "seed", Usage: "of resampling and permuting", Destination: &o.Seed},
			&cli.IntFlag{Name: "threads", Usage: "CPU threads of the model (default: all cores)", Destination: &o.Model.Threads},
			&cli.BoolFlag{Name: "cpu", Usage: "keep the model off the GPU", Destination: &o.Model.CPU},
		},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "DIR")
			if err != nil {
				return err
			}
			o.Judges = c.StringSlice("judges")
			switch {
			case o.RateOcean && o.Ocean != "":
				return usageError(errors.New("--ocean and --rate-ocean exclude each other"))
			case o.RateOcean && o.Model.Model == "":
				return usageError(errors.New("--rate-ocean needs the --model that rates"))
			}
			ctx, cancel := cancelOnDrain(c.Context)
			defer cancel()
			return runAnalyze(ctx, c, args[0], o)
		},
	}
}

func runAnalyze(ctx context.Context, c *cli.Context, dir string, o AnalyzeOptions) error {
	if o.Out == "" {
		o.Out = dir
	}
	if err := o.readFiles(); err != nil {
		return err
	}
	if o.Model.Model != "" {
		if err := o.askModel(ctx, c, dir); err != nil {
			return err
		}
	}
	full, err := analysis.Analyze(ctx, dir, o.Options)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.Out, 0o777); err != nil {
		return err
	}
	names, err := full.Write(o.Out)
	if err != nil {
		return err
	}
	if o.RateOcean {
		if err := o.Options.Ocean.Write(filepath.Join(o.Out, analysis.OceanFile)); err != nil {
			return err
		}
		names = append(names, analysis.OceanFile)
	}
	if err := full.WriteText(c.App.Writer); err != nil {
		return err
	}
	return listFiles(c.App.Writer, o.Out, names)
}

func listFiles(w io.Writer, dir string, names []string) error {
	_, err := fmt.Fprintf(w, "Written to %s:\n", dir)
	for _, name := range names {
		if err == nil {
			_, err = fmt.Fprintf(w, "  %s\n", name)
		}
	}
	return err
}

// readFiles reads the files that flags name, and records them.
func (o *AnalyzeOptions) readFiles() (err error) {
	if o.Ocean != "" {
		if o.Options.Ocean, err = analysis.ReadOcean(o.Ocean); err != nil {
			return err
		}
	}
	if o.Anchors != "" {
		if o.Options.Anchors, err = analysis.ReadAnchorReference(o.Anchors); err != nil {
			return err
		}
	}
	o.Files = nil
	for _, f := range []struct{ option, path string }{{"ocean", o.Ocean}, {"anchors", o.Anchors}} {
		if f.path == "" {
			continue
		}
		in, err := analysis.OptionFile(f.option, f.path)
		if err != nil {
			return err
		}
		o.Files = append(o.Files, in)
	}
	return nil
}

// askModel gets the numbers that need the base model.
func (o *AnalyzeOptions) askModel(ctx context.Context, c *cli.Context, dir string) (err error) {
	prompts, err := analysis.ReadPrompts(dir, o.Personas)
	if err != nil {
		return err
	}
	opts, err := o.Model.engineOptions(c)
	if err != nil {
		return err
	}
	opts.Adapters = nil
	if opts.Date, err = experiment.DateOf(dir); err != nil {
		return err
	}
	e, err := engine.Open(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	model := &experiment.EngineModel{Engine: e}
	if o.Options.Model, err = modelFile(ctx, model, o.Model.Model, o.OtherModel); err != nil {
		return err
	}
	if _, err := o.Options.Model.Check(dir); err != nil { // before the work
		return err
	}
	if o.Semantic, err = analysis.SemanticSimilarity(ctx, model, prompts); err != nil {
		return err
	}
	if o.RateOcean {
		o.OceanModel = filepath.Base(o.Model.Model)
		o.Options.Ocean, err = analysis.RateOcean(ctx, model, prompts)
	}
	return err
}
