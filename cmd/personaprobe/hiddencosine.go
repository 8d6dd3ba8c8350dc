package main

import (
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"personaprobe/hidden"
	"personaprobe/internal/atomicfile"
)

// HiddenCosineOptions are the flags of hidden cosine.
type HiddenCosineOptions struct {
	TableOptions
	Centre string
	Matrix string
}

func newHiddenCosineCommand() *cli.Command {
	var o HiddenCosineOptions
	return &cli.Command{
		Name:      "cosine",
		Usage:     "compare centroids by cosine, all layers in one table",
		ArgsUsage: "CENTROIDS",
		Description: `CENTROIDS is the file of hidden centroids, or a run directory. With --leakage the
table has the pairs whose leakage is known, and Spearman's correlation for every layer.`,
		Flags: append(o.flags(),
			oneOf(&cli.StringFlag{Name: "centre", Value: string(hidden.CentreMean), Destination: &o.Centre,
				Usage: "what is subtracted first: global-mean (over all groups), none, or source:`NAME` (a group)"}, "global-mean", "none", "source:"),
			&cli.StringFlag{Name: "matrix", Usage: "also write the full matrix of every layer to a safetensors `FILE`", Destination: &o.Matrix},
		),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "CENTROIDS")
			if err != nil {
				return err
			}
			return runHiddenCosine(c, args[0], o)
		},
	}
}

func runHiddenCosine(c *cli.Context, path string, o HiddenCosineOptions) error {
	leakage, err := o.check(c)
	if err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "centroids.safetensors")
	}
	r, metadata, err := hidden.ReadRepresentation(path)
	if err != nil {
		return err
	}
	if o.besideRun() {
		m, err := centroidModel(path, metadata, o.OtherModel)
		if err == nil {
			err = o.checkModel(c.App.ErrWriter, m)
		}
		if err != nil {
			return err
		}
	}
	t, err := hidden.CosinesOf(r, hidden.Centring(o.Centre), o.To...)
	if err != nil {
		return err
	}
	if o.Matrix != "" {
		if err := hidden.WriteCosineMatrices(o.Matrix, r, hidden.Centring(o.Centre)); err != nil {
			return err
		}
	}
	return o.write(c.App.Writer, t, leakage)
}

// writeWhole writes a file that appears whole or not at all.
func writeWhole(path string, write func(io.Writer) error) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := write(f); err != nil {
		return err
	}
	return f.Commit()
}
