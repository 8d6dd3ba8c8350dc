package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"personaprobe/bench"
)

func newBenchCommand() *cli.Command {
	var o ModelOptions
	return &cli.Command{
		Name:        "bench",
		Usage:       "measure every part of a study beside what the device could do: engine, decode, prompts, hidden states, change of adapter",
		ArgsUsage:   " ",
		Subcommands: []*cli.Command{newBenchCompareCommand()},
		Flags: append(o.flags(),
			&cli.StringFlag{Name: "with", Usage: "`NAME` of the adapter to apply (default: none)"},
			&cli.IntSliceFlag{Name: "rows", Usage: "sequences of a step, comma-separated (default: 256,512; on a CPU 64 for each context)"},
			&cli.IntSliceFlag{Name: "live", Usage: "measure fewer sequences than rows, too, to see what padding costs; comma-separated"},
			&cli.IntFlag{Name: "contexts", Usage: "llama.cpp contexts side by side (default: by the machine)"},
			&cli.IntFlag{Name: "mean-context", Usage: "mean length of the sequences in tokens (default: 300; on a CPU 56)"},
			&cli.IntFlag{Name: "prompt", Usage: "tokens of a prompt (default: 60; on a CPU 40)"},
			&cli.IntFlag{Name: "repeat", Usage: "completions in each row's place, one after the other (default: 4; on a CPU 2)"},
			&cli.Float64Flag{Name: "temperature", Value: 1, Usage: "of the sampling; 0.1 gives random weights' rows the spread of real ones"},
			&cli.IntFlag{Name: "personas", Usage: "personas of the hidden-state job, 20 prompts each (default: 205; on a CPU 6; -1: no such job)"},
			&cli.BoolFlag{Name: "at-run-time", Usage: "apply the adapter in every step instead of merging it, in llama.cpp on a GPU"},
			&cli.BoolFlag{Name: "profile", Usage: "also tell where a step's time goes"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON, for bench compare"},
		),
		Action: func(c *cli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			opts, err := o.engineOptions(c)
			if err != nil {
				return err
			}
			opts.Contexts, opts.RuntimeAdapters = c.Int("contexts"), c.Bool("at-run-time")
			ctx, cancel := cancelOnDrain(c.Context)
			defer cancel()
			r, err := bench.Run(ctx, bench.Options{Engine: opts, Adapter: c.String("with"), Rows: c.IntSlice("rows"), Live: c.IntSlice("live"),
				Context: c.Int("mean-context"), Prompt: c.Int("prompt"), Repeat: c.Int("repeat"), Temperature: float32(c.Float64("temperature")),
				Personas: c.Int("personas"), Profile: c.Bool("profile")})
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

func newBenchCompareCommand() *cli.Command {
	return &cli.Command{
		Name:      "compare",
		Usage:     "show two results of bench --json side by side",
		ArgsUsage: "A.json B.json",
		Action: func(c *cli.Context) error {
			if c.NArg() != 2 {
				return usageError(fmt.Errorf("bench compare takes two files, got %d", c.NArg()))
			}
			var results [2]*bench.Report
			for i := range results {
				var err error
				if results[i], err = bench.Read(c.Args().Get(i)); err != nil {
					return err
				}
			}
			return bench.Compare(c.App.Writer, results[0], results[1])
		},
	}
}
