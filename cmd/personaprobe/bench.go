package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"personaprobe/bench"
	"personaprobe/engine"
)

func newBenchCommand() *cli.Command {
	var o ModelOptions
	return &cli.Command{
		Name:        "bench",
		Usage:       "measure the engine's throughput beside the bare decode rate, in one run",
		ArgsUsage:   " ",
		Subcommands: []*cli.Command{newBenchSuiteCommand(), newBenchCompareCommand()},
		Flags: append(o.flags(),
			&cli.StringFlag{Name: "with", Usage: "`NAME` of the adapter to apply (default: none)"},
			&cli.IntFlag{Name: "slots", Usage: "completions computed together (default: by the machine)"},
			&cli.IntFlag{Name: "contexts", Usage: "llama.cpp contexts side by side (default: by the machine)"},
			&cli.IntFlag{Name: "length", Value: 32, Usage: "tokens of a completion"},
			&cli.DurationFlag{Name: "time", Value: 10 * time.Second, Usage: "about how long each measurement takes"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
			&cli.IntSliceFlag{Name: "rows", Usage: "with --backend native: rows of a step, comma-separated (default: 256,512)"},
			&cli.IntFlag{Name: "mean-context", Value: 300, Usage: "with --backend native: mean length of the sequences"},
		),
		Action: func(c *cli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			opts, err := o.engineOptions(c)
			if err != nil {
				return err
			}
			opts.Slots, opts.Contexts, opts.Context = c.Int("slots"), c.Int("contexts"), 40+c.Int("length")
			ctx, cancel := cancelOnDrain(c.Context)
			defer cancel()
			if opts.Backend == engine.BackendNative {
				return benchNative(ctx, c, opts)
			}
			r, err := bench.Run(ctx, bench.Options{Engine: opts, Adapter: c.String("with"), Length: c.Int("length"), Time: c.Duration("time")})
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return writeJSON(c.App.Writer, r)
			}
			return r.WriteText(c.App.Writer)
		},
	}
}

// benchNative measures the native decoder: the engine beside the step and the step's
// products.
func benchNative(ctx context.Context, c *cli.Context, opts engine.Options) error {
	results, err := bench.RunNative(ctx, bench.NativeOptions{Engine: opts, Adapter: c.String("with"),
		Rows: c.IntSlice("rows"), Context: c.Int("mean-context")})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return writeJSON(c.App.Writer, results)
	}
	return results.WriteText(c.App.Writer)
}
