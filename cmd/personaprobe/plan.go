package main

import (
	"errors"

	"github.com/urfave/cli/v2"

	"personaprobe/experiment"
)

func newPlanCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "print or write the default plan, or check a plan file",
		ArgsUsage: "[PLAN.yaml]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "write", Usage: "write the default plan, with comments, to a new `FILE`"},
			&cli.BoolFlag{Name: "full", Usage: "the size of the original study"},
			dateFlag(nil),
		},
		Action: func(c *cli.Context) error {
			plan := experiment.DefaultPlan()
			if c.NArg() > 0 {
				if c.String("write") != "" {
					return usageError(errors.New("--write takes no plan file"))
				}
				args, err := arguments(c, "PLAN.yaml")
				if err != nil {
					return err
				}
				if plan, err = experiment.ReadPlan(args[0]); err != nil {
					return err
				}
			}
			if c.Bool("full") {
				plan = plan.Full()
			}
			override(c, "date", &plan.Date, c.String)
			if err := plan.Validate(); err != nil {
				return err
			}
			if path := c.String("write"); path != "" {
				return experiment.WritePlan(path, plan)
			}
			text, err := experiment.FormatPlan(plan)
			if err != nil {
				return err
			}
			if _, err = c.App.Writer.Write(text); err != nil {
				return err
			}
			p := newProgress(c.App.ErrWriter, false)
			defer p.close()
			first, warnings, err := experiment.Preview(c.Context, plan)
			if err != nil { // the plan may be for another machine
				p.note("no prompt to show: " + oneLine(err))
				return nil
			}
			p.showPrompt(first, warnings)
			return nil
		},
	}
}
