package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"personaprobe/track"
)

func newTrackCommand() *cli.Command {
	return &cli.Command{
		Name:      "track",
		Usage:     "write a run's shards as runs of Weights & Biases, for `wandb sync`",
		ArgsUsage: "DIR",
		Description: `Writes DIR/wandb/offline-run-*, one run taxonomy_<source>_seed<seed> for every
finished shard, with its settings, figures, a table of the personas and its files.
Nothing is sent: wandb sync DIR/wandb/offline-run-* does that, on any machine.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "wandb-offline", Usage: "the format: runs as wandb writes them without a network (the only one there is)"},
			&cli.StringFlag{Name: "project", Value: track.DefaultProject, Usage: "`NAME` of the project"},
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "`DIRECTORY` in which wandb/ is made (default: DIR)"},
		},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "DIR")
			if err != nil {
				return err
			}
			if !c.Bool("wandb-offline") {
				return usageError(errors.New("say --wandb-offline: it is the only way of tracking"))
			}
			runs, err := track.Offline(args[0], track.Options{Project: c.String("project"), Out: c.String("out"), Build: version})
			for _, r := range runs {
				fmt.Fprintln(c.App.Writer, r.Dir, r.Name)
			}
			return err
		},
	}
}
