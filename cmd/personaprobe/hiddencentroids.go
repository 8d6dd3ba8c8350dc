package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"personaprobe/hidden"
)

// HiddenCentroidsOptions are the flags of hidden centroids.
type HiddenCentroidsOptions struct {
	By  string
	Out string
}

func newHiddenCentroidsCommand() *cli.Command {
	var o HiddenCentroidsOptions
	return &cli.Command{
		Name:      "centroids",
		Usage:     "take the mean state of each persona, question, group or prompt",
		ArgsUsage: "DIR",
		Description: `DIR is the output of hidden extract. The file has, for every layer L, the tensors
centered/L<L> (groups, hidden) and mean/L<L> (hidden); a centroid is their sum.`,
		Flags: []cli.Flag{
			oneOf(&cli.StringFlag{Name: "by", Value: string(hidden.ByPersona), Usage: "`LABEL` of the groups: persona, question, group or id", Destination: &o.By},
				"persona", "question", "group", "id"),
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "safetensors `FILE` to write", Destination: &o.Out},
		},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "DIR")
			if err != nil {
				return err
			}
			if o.Out == "" {
				return usageError(missingArgumentError("--out FILE"))
			}
			return runHiddenCentroids(c, args[0], o)
		},
	}
}

func runHiddenCentroids(c *cli.Context, dir string, o HiddenCentroidsOptions) error {
	s, err := hidden.OpenStates(dir)
	if err != nil {
		return err
	}
	r, err := s.Centroids(hidden.Label(o.By))
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	metadata, err := s.Job.Metadata()
	if err != nil {
		return err
	}
	metadata["by"] = o.By
	if err := r.Write(o.Out, metadata); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %d centroids by %s at layers %v, from %d rows\n", o.Out, len(r.Names()), o.By, r.Layers, s.Rows)
	return err
}
