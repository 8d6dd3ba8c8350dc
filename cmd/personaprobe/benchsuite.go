package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"personaprobe/bench"
)

func newBenchSuiteCommand() *cli.Command {
	var o ModelOptions
	return &cli.Command{
		Name:      "suite",
		Usage:     "measure every part of a study: end to end, decode, sampling, prompts, hidden states, change of adapter",
		ArgsUsage: " ",
		Flags: append(o.flags(),
			&cli.StringFlag{Name: "with", Usage: "`NAME` of the adapter to apply (default: none)"},
			&cli.IntSliceFlag{Name: "rows", Usage: "sequences of a step, comma-separated (default: 128,256; on a CPU 64)"},
			&cli.IntFlag{Name: "mean-context", Value: 300, Usage: "mean length of the sequences in tokens"},
			&cli.IntFlag{Name: "prompts", Value: 512, Usage: "prompts of the hidden-state job"},
			&cli.BoolFlag{Name: "at-run-time", Usage: "apply the adapter in every step instead of merging it, in llama.cpp on a GPU"},
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
			opts.RuntimeAdapters = c.Bool("at-run-time")
			ctx, cancel := cancelOnDrain(c.Context)
			defer cancel()
			s, err := bench.RunSuite(ctx, bench.SuiteOptions{Engine: opts, Adapter: c.String("with"), Rows: c.IntSlice("rows"),
				Context: c.Int("mean-context"), Prompts: c.Int("prompts")})
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return writeJSON(c.App.Writer, s)
			}
			return s.WriteText(c.App.Writer)
		},
	}
}

func newBenchCompareCommand() *cli.Command {
	return &cli.Command{
		Name:      "compare",
		Usage:     "show two results of bench suite --json side by side",
		ArgsUsage: "A.json B.json",
		Action: func(c *cli.Context) error {
			if c.NArg() != 2 {
				return usageError(fmt.Errorf("bench compare takes two files, got %d", c.NArg()))
			}
			var results [2]*bench.Suite
			for i := range results {
				var err error
				if results[i], err = bench.ReadSuite(c.Args().Get(i)); err != nil {
					return err
				}
			}
			return bench.Compare(c.App.Writer, results[0], results[1])
		},
	}
}
