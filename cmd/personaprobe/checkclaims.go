package main

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"personaprobe/analysis"
)

func newCheckClaimsCommand() *cli.Command {
	return &cli.Command{
		Name:      "check-claims",
		Usage:     "compare published figures with the data",
		ArgsUsage: "FILE",
		Description: `FILE is .csv or .json. A row is of a persona (persona_id; cosine or published_cosine;
leakage, leakage_pct or published_leakage_pct; optionally source, layer, decimals) or
of a statistic (statistic: its place in full_analysis.json, such as kendall_w.W, or
aggregate.spearman.rho inside the layer; value; optionally layer, relation, decimals).
A figure agrees if the data round to it; so do <= and >=, while < and > are exact. The
data are full_analysis.json of --data if it is there, else --data is analysed with the
default options. Exits with 6 if a figure disagrees, with 7 if none does and some could
not be checked.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Aliases: []string{"d"}, Value: ".", Usage: "`PATH` of the data: a folder as for analyze, or a full_analysis.json"},
			&cli.StringFlag{Name: "layer", Usage: "`LAYER` of cosines whose row names none (default: the only one)"},
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "`DIRECTORY` for claims_report.json (default: not written)"},
		},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "FILE")
			if err != nil {
				return err
			}
			return runCheckClaims(c, args[0])
		},
	}
}

func runCheckClaims(c *cli.Context, file string) error {
	claims, err := analysis.ReadClaims(file)
	if err != nil {
		return err
	}
	claims.Layer = c.String("layer")
	ctx, cancel := cancelOnDrain(c.Context)
	defer cancel()
	full, made, err := analysis.Open(ctx, c.String("data"), analysis.Options{})
	if err != nil {
		return err
	}
	report, err := analysis.CheckClaims(claims, full)
	if err != nil {
		return err
	}
	report.Analysis = "full_analysis.json, as it was there"
	if made {
		report.Analysis = "a new analysis with the default options; there was no full_analysis.json of this program"
	}
	if out := c.String("out"); out != "" {
		if err := os.MkdirAll(out, 0o777); err != nil {
			return err
		}
		if err := report.Write(out); err != nil {
			return err
		}
	}
	if err := report.WriteText(c.App.Writer); err != nil {
		return err
	}
	if err := report.Err(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
