package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"personaprobe/engine"
	"personaprobe/experiment"
	"personaprobe/hidden"
)

// HiddenDistanceOptions are the flags of hidden distance.
type HiddenDistanceOptions struct {
	ModelOptions
	GridOptions
	TableOptions
	With      string
	MaxTokens int
	Quiet     bool
}

func newHiddenDistanceCommand() *cli.Command {
	var o HiddenDistanceOptions
	flags := append(o.ModelOptions.flags(), o.GridOptions.flags()...)
	flags = append(append(flags, o.TableOptions.flags()...),
		&cli.StringFlag{Name: "with", Usage: "`NAME` of the adapter whose distributions are compared (default: none)", Destination: &o.With},
		&cli.IntFlag{Name: "max-tokens", Value: 64, Usage: "of an answer at most", Destination: &o.MaxTokens},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress", Destination: &o.Quiet},
	)
	return &cli.Command{
		Name:      "distance",
		Usage:     "compare personas by their next-token distributions: Jensen-Shannon and symmetric KL",
		ArgsUsage: " ",
		Description: `The base model answers every question greedily; along these answers the next-token
distributions of all personas are compared (teacher forcing). In nats, mean over the
answers' tokens, then over the questions. Small is similar: a correlation with leakage
is negative where cosine's is positive.`,
		Flags: flags,
		Action: func(c *cli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			opts, err := o.engineOptions(c)
			if err != nil {
				return err
			}
			ctx, cancel := cancelOnDrain(c.Context)
			defer cancel()
			return runHiddenDistance(ctx, c, opts, o)
		},
	}
}

func runHiddenDistance(ctx context.Context, c *cli.Context, opts engine.Options, o HiddenDistanceOptions) (err error) {
	leakage, err := o.check(c)
	if err != nil {
		return err
	}
	personas, questions, err := o.read()
	if err != nil {
		return err
	}
	p := newProgress(c.App.ErrWriter, o.Quiet)
	defer p.close()
	opts.Progress = p.conversion
	e, err := engine.Open(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if o.besideRun() {
		m, err := modelFile(ctx, &experiment.EngineModel{Engine: e}, o.Model, o.OtherModel)
		if err == nil {
			err = o.checkModel(c.App.ErrWriter, m)
		}
		if err != nil {
			return err
		}
	}
	d, err := hidden.DistancesOf(ctx, e, personas, questions, hidden.DistanceOptions{
		Targets: o.To, Adapter: o.With, MaxTokens: o.MaxTokens,
		Progress: func(done, total int) { p.count("output distributions", done, total) },
	})
	p.close()
	if err != nil {
		return err
	}
	warnOfClock(e, o.Date)
	return o.write(c.App.Writer, &d.Comparison, leakage)
}
