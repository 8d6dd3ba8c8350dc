package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/urfave/cli/v2"

	"personaprobe/experiment"
)

// RunOptions are the flags of run that are not part of the plan.
type RunOptions struct {
	ModelOptions
	Out    string
	Resume string // run directory; the plan is its own
	Slots  int
	Quiet  bool

	AllowInertAdapter bool
}

func newRunCommand() *cli.Command {
	var o RunOptions
	d := experiment.DefaultPlan()
	flags := append(o.flags(),
		&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Value: "runs/tiny", Usage: "run `DIRECTORY`; a run that is there goes on", Destination: &o.Out},
		&cli.StringFlag{Name: "resume", Usage: "go on with the run in `DIRECTORY`, with the plan that began it", Destination: &o.Resume},
		&cli.StringFlag{Name: "personas", Usage: "taxonomy `FILE` (default: the embedded one)"},
		&cli.StringFlag{Name: "questions-file", Usage: "`FILE` of questions (default: the embedded ones)"},
		&cli.StringSliceFlag{Name: "sources", Usage: "only these sources, comma-separated (default: all)"},
		&cli.IntFlag{Name: "questions", Value: d.NumQuestions, Usage: "how many of the questions, from the first"},
		&cli.IntFlag{Name: "completions", Value: d.NumCompletions, Usage: "completions per persona, question and seed"},
		&cli.Uint64SliceFlag{Name: "seeds", Usage: "sampling seeds, comma-separated (default: 42,137,256)"},
		layersFlag(),
		&cli.BoolFlag{Name: "adapted-centroids", Usage: "also read each adapter as its own personas, and compare it with the base model"},
		&cli.IntFlag{Name: "max-tokens", Value: d.MaxTokens, Usage: "new tokens of a completion at most"},
		&cli.Float64Flag{Name: "temperature", Value: d.Temperature, Usage: "0 is greedy"},
		&cli.Float64Flag{Name: "top-p", Value: d.TopP, Usage: "mass of the nucleus"},
		&cli.StringFlag{Name: "marker", Value: d.Marker, Usage: "substring to count, in upper or lower case"},
		&cli.BoolFlag{Name: "full", Usage: "20 questions x 10 completions x 3 seeds, as the original study"},
		&cli.IntFlag{Name: "slots", Usage: "completions computed together; on a CPU it changes no result (default: by the machine)", Destination: &o.Slots},
		&cli.BoolFlag{Name: "allow-inert-adapter", Usage: "begin although an adapter does nothing", Destination: &o.AllowInertAdapter},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress, only the summary", Destination: &o.Quiet},
	)
	return &cli.Command{
		Name:      "run",
		Usage:     "run the study into a directory, or go on with it",
		ArgsUsage: "[PLAN.yaml]",
		Description: `Without flags: the embedded model, all sources and personas, a small plan.
A plan file states a whole run; flags override it. Interrupted by Ctrl-C or a
crash, the same command, or --resume DIRECTORY, goes on where the run stopped, and ends
with the same bytes.`,
		Flags: flags,
		Action: func(c *cli.Context) error {
			o.Adapters = c.StringSlice("adapter")
			plan, err := planOf(c, &o)
			if err != nil {
				return err
			}
			return runRun(c.Context, c.App.Writer, c.App.ErrWriter, plan, o)
		},
	}
}

// planOf is the plan file, or the default plan, with the given flags on top.
func planOf(c *cli.Context, o *RunOptions) (experiment.Plan, error) {
	if o.Resume != "" {
		return resumed(c, o)
	}
	plan := experiment.DefaultPlan()
	switch c.NArg() {
	case 0:
	case 1:
		var err error
		if plan, err = experiment.ReadPlan(c.Args().First()); err != nil {
			return plan, err
		}
	default:
		return plan, usageError(fmt.Errorf("unexpected argument %q", c.Args().Get(1)))
	}
	if c.Bool("full") {
		plan = plan.Full()
	}
	adapters, err := o.adapters()
	if err != nil {
		return plan, err
	}
	if len(adapters) > 0 {
		plan.Adapters = map[string]experiment.Paths{}
		for name, paths := range adapters {
			plan.Adapters[name] = paths
		}
	}
	override(c, "model", &plan.Model, c.String)
	override(c, "personas", &plan.Personas, c.String)
	override(c, "questions-file", &plan.Questions, c.String)
	override(c, "sources", &plan.Sources, c.StringSlice)
	override(c, "questions", &plan.NumQuestions, c.Int)
	override(c, "completions", &plan.NumCompletions, c.Int)
	override(c, "seeds", &plan.Seeds, c.Uint64Slice)
	if plan.Layers, err = layersOf(c, plan.Layers); err != nil {
		return plan, usageError(err)
	}
	override(c, "adapted-centroids", &plan.AdaptedCentroids, c.Bool)
	override(c, "max-tokens", &plan.MaxTokens, c.Int)
	override(c, "temperature", &plan.Temperature, c.Float64)
	override(c, "top-p", &plan.TopP, c.Float64)
	override(c, "marker", &plan.Marker, c.String)
	override(c, "date", &plan.Date, c.String)
	return plan, nil
}

// resumed is the plan of the run to resume, which nothing else may change.
func resumed(c *cli.Context, o *RunOptions) (experiment.Plan, error) {
	own := []string{"resume", "adapted-centroids", "threads", "cpu", "backend", "slots", "allow-inert-adapter", "quiet"}
	for _, f := range c.Command.Flags {
		if name := f.Names()[0]; c.IsSet(name) && !slices.Contains(own, name) {
			return experiment.Plan{}, usageError(fmt.Errorf("--resume excludes --%s: the run's plan is fixed", name))
		}
	}
	if c.NArg() > 0 {
		return experiment.Plan{}, usageError(errors.New("--resume excludes a plan file: the run's plan is fixed"))
	}
	o.Out = o.Resume
	plan, err := experiment.ResumePlan(o.Resume)
	override(c, "adapted-centroids", &plan.AdaptedCentroids, c.Bool) // adds to a run, changes nothing
	return plan, err
}

// override takes a flag over if it was given.
func override[T any](c *cli.Context, name string, dst *T, get func(string) T) {
	if c.IsSet(name) {
		*dst = get(name)
	}
}

func runRun(ctx context.Context, stdout, stderr io.Writer, plan experiment.Plan, o RunOptions) (err error) {
	if o.Out == "" {
		return usageError(missingArgumentError("--out DIRECTORY"))
	}
	// Before the model is loaded, which can take a while.
	if err := experiment.CheckDir(o.Out); err != nil {
		return err
	}
	p := newProgress(stderr, o.Quiet)
	defer p.close()
	s, err := experiment.Open(ctx, plan, experiment.SessionOptions{
		Build: version, Threads: o.Threads, Slots: o.Slots, CPU: o.CPU, Backend: o.backend(), Dir: o.Out, Progress: p.conversion,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	p.showPrompt(s.Inputs.Prompts.First, s.Inputs.Prompts.Warnings)
	summary, err := experiment.Run(ctx, o.Out, s.Model, s.Inputs, experiment.Options{
		Drain: drained(ctx), Progress: p, Log: slog.Default(), AllowInertAdapter: o.AllowInertAdapter,
	})
	p.close()
	if err != nil {
		return err
	}
	return summary.WriteText(stdout)
}
