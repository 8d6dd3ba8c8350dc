package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"personaprobe/hidden"
)

func layersFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "layers",
		Usage: "decoder `LAYERS` to read, 0-based: numbers, ranges such as 0-27, or all " +
			"(default: 10,15,20,25 of 28, and as far up in a model of another depth)"}
}

// layersOf are the layers of the flag, or others where it was not given.
func layersOf(c *cli.Context, other hidden.Layers) (hidden.Layers, error) {
	if !c.IsSet("layers") {
		return other, nil
	}
	return hidden.ParseLayers(strings.Join(c.StringSlice("layers"), ","))
}
