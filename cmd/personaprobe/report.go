package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/urfave/cli/v2"

	"personaprobe/report"
)

// ReportOptions are the flags of report.
type ReportOptions struct {
	Layer         int
	NoCompletions bool
}

func newReportCommand() *cli.Command {
	var o ReportOptions
	return &cli.Command{
		Name:      "report",
		Usage:     "write report.html, report.md and the figures of an analysed run",
		ArgsUsage: "DIRECTORY",
		Description: `Reads what analyze wrote into the directory, and the completions, and writes
report.html (one file, no network), report.md and figures/*.svg and *.png there.
What is missing, the report says; it computes no statistic of its own.`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "layer", Value: -1, DefaultText: "15, or the one with the largest correlation", Usage: "decoder `LAYER` to show, 0-based", Destination: &o.Layer},
			&cli.BoolFlag{Name: "no-completions", Usage: "leave the completions out, for a small report.html", Destination: &o.NoCompletions},
		},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "DIRECTORY")
			if err != nil {
				return err
			}
			opts := report.Options{OmitCompletions: o.NoCompletions, Log: slog.Default()}
			if c.IsSet("layer") {
				opts.Layer = &o.Layer
			}
			return runReport(c.Context, c.App.Writer, args[0], opts)
		},
	}
}

func runReport(ctx context.Context, stdout io.Writer, dir string, opts report.Options) error {
	if err := opts.Validate(); err != nil {
		return usageError(err)
	}
	files, err := report.Write(ctx, dir, opts)
	if err != nil {
		return err
	}
	for _, f := range files {
		fmt.Fprintln(stdout, f)
	}
	return nil
}
