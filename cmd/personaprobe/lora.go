package main

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"personaprobe/experiment"
	"personaprobe/lora"
	"personaprobe/models"
)

func newLoraCommand() *cli.Command {
	return &cli.Command{
		Name:  "lora",
		Usage: "inspect, convert, merge and synthesise LoRA adapters",
		Subcommands: []*cli.Command{
			newLoraInspectCommand(),
			newLoraConvertCommand(),
			newLoraMergeCommand(),
			newLoraSynthCommand(),
		},
	}
}

// warn tells the user of what is odd but no error.
func warn(text string) { slog.Warn(text) }

func newLoraInspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show an adapter's settings, scale and tensors, and whether it can be used; with --model, whether it fits",
		ArgsUsage: "DIR|FILE",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
			&cli.BoolFlag{Name: "tensors", Usage: "list every tensor"},
			baseFlag("to check the adapter against"),
		},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "DIR")
			if err != nil {
				return err
			}
			ctx, cancel := cancelOnDrain(c.Context)
			defer cancel()
			base, err := openBase(ctx, c)
			if err != nil {
				return err
			}
			return runLoraInspect(c.App.Writer, base.adapter(args[0]), base.model, c.Bool("json"), c.Bool("tensors"))
		},
	}
}

func newLoraConvertCommand() *cli.Command {
	return &cli.Command{
		Name:      "convert",
		Usage:     "write a PEFT adapter as GGUF, its scale (rsLoRA, patterns) included",
		ArgsUsage: "DIR OUT.gguf",
		Flags:     []cli.Flag{baseFlag("to check the adapter against; needed where the adapter does not name a Qwen2 model"), quietFlag()},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "DIR", "OUT.gguf")
			if err != nil {
				return err
			}
			ctx, cancel := cancelOnDrain(c.Context)
			defer cancel()
			base, err := openBase(ctx, c)
			if err != nil {
				return err
			}
			return lora.Convert(ctx, args[0], args[1], lora.ConvertOptions{Base: base.model, Warn: warn})
		},
	}
}

func newLoraMergeCommand() *cli.Command {
	return &cli.Command{
		Name:      "merge",
		Usage:     "write a model with adapters added into its weights",
		ArgsUsage: "OUT.gguf",
		Flags: []cli.Flag{
			baseFlag(""),
			&cli.StringSliceFlag{Name: "adapter", Usage: "`PATH[=SCALE]` of an adapter; may be repeated. With --model tiny also the name of a source"},
			quietFlag(),
		},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "OUT.gguf")
			if err != nil {
				return err
			}
			if c.String("model") == "" {
				return usageError(missingArgumentError("--model PATH"))
			}
			if len(c.StringSlice("adapter")) == 0 {
				return usageError(missingArgumentError("--adapter PATH"))
			}
			var adapters []lora.Adapter
			for _, a := range c.StringSlice("adapter") {
				parsed, err := parseScaled(a)
				if err != nil {
					return err
				}
				adapters = append(adapters, parsed)
			}
			ctx, cancel := cancelOnDrain(c.Context)
			defer cancel()
			base, err := openBase(ctx, c)
			if err != nil {
				return err
			}
			for i := range adapters {
				adapters[i].Path = base.adapter(adapters[i].Path)
			}
			p := newProgress(c.App.ErrWriter, c.Bool("quiet"))
			defer p.close()
			return lora.Merge(ctx, base.model, adapters, args[0], lora.MergeOptions{Progress: p.bytes("merging"), Warn: warn})
		},
	}
}

// parseScaled reads PATH or PATH=SCALE.
func parseScaled(text string) (lora.Adapter, error) {
	i := strings.LastIndexByte(text, '=')
	if i < 0 {
		return lora.Adapter{Path: text}, nil
	}
	scale, err := strconv.ParseFloat(text[i+1:], 64)
	if err != nil || scale == 0 || math.IsNaN(scale) || math.IsInf(scale, 0) || i == 0 {
		return lora.Adapter{}, usageError(fmt.Errorf("--adapter %q: want PATH or PATH=SCALE, a finite scale other than 0", text))
	}
	return lora.Adapter{Path: text[:i], Scale: scale}, nil
}

func newLoraSynthCommand() *cli.Command {
	return &cli.Command{
		Name:      "synth",
		Usage:     "write an adapter with random weights, for benchmarks",
		ArgsUsage: "OUT.gguf|OUTDIR",
		Flags: append(shapeFlags(),
			&cli.StringFlag{Name: "model", Usage: "take the shape of the model `PATH`: GGUF file, checkpoint directory or \"tiny\""},
			&cli.Int64Flag{Name: "rank", Value: 32, Usage: "rank"},
			&cli.Float64Flag{Name: "alpha", Value: 64, Usage: "lora_alpha"},
			&cli.BoolFlag{Name: "plain-scale", Usage: "use_rslora false: scale alpha / rank"},
			&cli.Uint64Flag{Name: "seed", Usage: "seed of the weights"},
		),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "OUT")
			if err != nil {
				return err
			}
			if c.Int64("rank") < 1 {
				return usageError(fmt.Errorf("--rank is %d, want 1 or more", c.Int64("rank")))
			}
			shape, err := adapterShape(c)
			if err != nil {
				return err
			}
			ctx, cancel := cancelOnDrain(c.Context)
			defer cancel()
			return lora.Synth(ctx, shape, args[0], lora.SynthOptions{
				Rank: c.Int64("rank"), Alpha: c.Float64("alpha"), PlainScale: c.Bool("plain-scale"), Seed: c.Uint64("seed"),
			})
		},
	}
}

// adapterShape is the shape of --model, or that of the shape flags.
func adapterShape(c *cli.Context) (models.Shape, error) {
	path := c.String("model")
	switch path {
	case "":
		return shapeOf(c)
	case experiment.EmbeddedModel:
		return models.NamedShape("tiny")
	}
	info, err := models.Inspect(path)
	if err != nil {
		return models.Shape{}, err
	}
	if info.Shape == nil {
		return models.Shape{}, fmt.Errorf("%s: %w: the shape of a model of architecture %q is not known", path, models.ErrUnsupported, info.Architecture)
	}
	return *info.Shape, nil
}
