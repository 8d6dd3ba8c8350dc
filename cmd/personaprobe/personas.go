package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"personaprobe/engine"
	"personaprobe/experiment"
)

func newPersonasCommand() *cli.Command {
	return &cli.Command{
		Name:        "personas",
		Usage:       "look after taxonomies",
		Subcommands: []*cli.Command{newPersonasCheckCommand(), newPersonasAgreeCommand()},
	}
}

func newPersonasCheckCommand() *cli.Command {
	var o ModelOptions
	return &cli.Command{
		Name:      "check",
		Usage:     "report token lengths, duplicates, cell counts and prompts that name another source",
		ArgsUsage: "FILE",
		Flags: append(o.flags(),
			&cli.IntFlag{Name: "min-tokens", Value: 15, Usage: "shortest prompt"},
			&cli.IntFlag{Name: "max-tokens", Value: 25, Usage: "longest prompt"},
		),
		Description: "Exits with 3 if anything was found.",
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "FILE")
			if err != nil {
				return err
			}
			t, err := experiment.ReadTaxonomy(args[0])
			if err != nil {
				return err
			}
			opts, err := o.engineOptions(c)
			if err != nil {
				return err
			}
			opts.Adapters = nil
			e, err := engine.Open(c.Context, opts)
			if err != nil {
				return err
			}
			findings, err := experiment.CheckPersonas(&experiment.EngineModel{Engine: e}, t, experiment.CheckOptions{
				MinTokens: c.Int("min-tokens"), MaxTokens: c.Int("max-tokens"),
			})
			if err := errors.Join(err, e.Close()); err != nil {
				return err
			}
			for _, f := range findings {
				fmt.Fprintln(c.App.Writer, f)
			}
			if len(findings) > 0 {
				return fmt.Errorf("%w: %s: %d findings", experiment.ErrInput, args[0], len(findings))
			}
			fmt.Fprintf(c.App.Writer, "%s: %d sources, %d bystanders in %d categories: nothing to report\n",
				args[0], len(t.Sources), len(t.Bystanders), len(t.Categories))
			return nil
		},
	}
}
