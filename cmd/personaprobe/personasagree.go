package main

import (
	"github.com/urfave/cli/v2"

	"personaprobe/analysis"
	"personaprobe/experiment"
)

func newPersonasAgreeCommand() *cli.Command {
	return &cli.Command{
		Name:      "agree",
		Usage:     "compare the categories with a second rater's: Cohen's kappa",
		ArgsUsage: "FILE SECOND",
		Description: `SECOND is .csv with the columns persona_id and category, or .json: a list of such
objects, or another taxonomy file.`,
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "FILE", "SECOND")
			if err != nil {
				return err
			}
			t, err := experiment.ReadTaxonomy(args[0])
			if err != nil {
				return err
			}
			r, err := analysis.CompareRaters(t, args[1], 0.95)
			if err != nil {
				return err
			}
			return r.WriteText(c.App.Writer)
		},
	}
}
