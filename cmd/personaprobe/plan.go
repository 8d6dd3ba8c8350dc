package main

import (
	"context"
	"errors"
	"strings"

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
		Description: `A plan file is checked as far as that goes without loading the model: files, layers,
whether the adapters fit. It is printed with what it comes to.`,
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
			if c.NArg() > 0 {
				sizes, err := checkedPlan(c.Context, plan)
				if err != nil {
					return err
				}
				text = append(text, sizes...)
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

// checkedPlan checks a plan and says what it comes to, as comments of its file.
func checkedPlan(ctx context.Context, plan experiment.Plan) ([]byte, error) {
	check, err := experiment.CheckPlan(ctx, plan)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("\n# This plan comes to\n")
	for _, line := range check.Sizes() {
		b.WriteString("#   " + line + "\n")
	}
	for _, line := range check.Unchecked {
		b.WriteString("# not checked: " + line + "\n")
	}
	for _, line := range check.Warnings {
		warn(line)
	}
	return []byte(b.String()), nil
}
