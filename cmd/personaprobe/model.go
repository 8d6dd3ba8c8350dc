package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"personaprobe/models"
)

// errVerify marks a model that verify found unfit.
var errVerify = fmt.Errorf("%w: verification failed", models.ErrFormat)

func newModelCommand() *cli.Command {
	return &cli.Command{
		Name:  "model",
		Usage: "convert, inspect, verify and synthesise model files",
		Subcommands: []*cli.Command{
			newModelConvertCommand(),
			newModelInspectCommand(),
			newModelVerifyCommand(),
			newModelSynthCommand(),
		},
	}
}

func newModelConvertCommand() *cli.Command {
	return &cli.Command{
		Name:      "convert",
		Usage:     "write a Hugging Face checkpoint, or a GGUF of another type, as GGUF",
		ArgsUsage: "DIR|IN.gguf OUT.gguf",
		Flags: []cli.Flag{
			oneOf(&cli.StringFlag{Name: "type", Usage: "`TYPE` of the matrices: f32, f16, bf16 or q8_0 (default: as in the source)"}, weightTypes...),
			quietFlag(),
		},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "DIR", "OUT.gguf")
			if err != nil {
				return err
			}
			kind := models.WeightType(c.String("type"))
			if err := kind.Validate(); err != nil {
				return usageError(err)
			}
			ctx, cancel := cancelOnDrain(c.Context)
			defer cancel()
			p := newProgress(c.App.ErrWriter, c.Bool("quiet"))
			defer p.close()
			if isDir(args[0]) {
				return models.Convert(ctx, args[0], args[1], models.ConvertOptions{Type: kind, Progress: p.bytes("converting")})
			}
			return models.Retype(ctx, args[0], args[1], kind, p.bytes("converting"))
		},
	}
}

func newModelInspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show metadata, tensors, types, sizes and the memory a model needs",
		ArgsUsage: "FILE|DIR",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
			&cli.BoolFlag{Name: "tensors", Usage: "list every tensor"},
			&cli.IntFlag{Name: "sequences", Value: 256, Usage: "sequences to compute the memory for"},
			&cli.IntFlag{Name: "context", Value: 1024, Usage: "tokens per sequence to compute the memory for"},
		},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "FILE")
			if err != nil {
				return err
			}
			return runInspect(c.App.Writer, args[0], c.Int("sequences"), c.Int("context"), c.Bool("json"), c.Bool("tensors"))
		},
	}
}

func runInspect(w io.Writer, path string, sequences, context int, asJSON, tensors bool) error {
	info, err := models.Inspect(path)
	if err != nil {
		return err
	}
	memory, err := info.Memory(sequences, context)
	known := err == nil
	if err != nil && !errors.Is(err, models.ErrUnsupported) {
		return usageError(err)
	}
	if asJSON {
		out := struct {
			*models.Info
			Memory *models.Memory `json:"memory,omitempty"`
		}{Info: info}
		if known {
			out.Memory = &memory
		}
		return writeJSON(w, out)
	}
	if err := info.WriteText(w, tensors); err != nil {
		return err
	}
	if known {
		_, err = fmt.Fprintf(w, "memory for %d sequences of %d tokens: %s (weights %s, KV cache %s, logits %s)\n",
			sequences, context, gib(uint64(memory.Total)), gib(uint64(memory.Weights)), gib(uint64(memory.KV)), gib(uint64(memory.Logits)))
		return err
	}
	return nil
}

func newModelVerifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "check structure, values, tensor set and tokenizer of a model, and hash it",
		ArgsUsage: "FILE|DIR",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "as JSON"}, quietFlag()},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "FILE")
			if err != nil {
				return err
			}
			ctx, cancel := cancelOnDrain(c.Context)
			defer cancel()
			p := newProgress(c.App.ErrWriter, c.Bool("quiet"))
			report, err := models.Verify(ctx, args[0], p.bytes("verifying"))
			p.close()
			if err != nil {
				return err
			}
			if c.Bool("json") {
				err = writeJSON(c.App.Writer, report)
			} else {
				err = report.WriteText(c.App.Writer)
			}
			if err == nil && !report.OK() {
				err = fmt.Errorf("%w: %s: %d problems, the first: %s", errVerify, args[0], len(report.Problems), report.Problems[0])
			}
			return err
		},
	}
}

func newModelSynthCommand() *cli.Command {
	return &cli.Command{
		Name:      "synth",
		Usage:     "write a model of a given shape with random weights, for benchmarks",
		ArgsUsage: "OUT.gguf",
		Flags: append(shapeFlags(),
			oneOf(&cli.StringFlag{Name: "type", Value: "bf16", Usage: "`TYPE` of the matrices: f32, f16, bf16 or q8_0"}, weightTypes...),
			&cli.StringFlag{Name: "tokenizer", Usage: "`DIRECTORY` with a checkpoint's tokenizer (default: a synthetic vocabulary)"},
			&cli.Uint64Flag{Name: "seed", Usage: "seed of the weights"},
			quietFlag(),
		),
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "OUT.gguf")
			if err != nil {
				return err
			}
			kind := models.WeightType(c.String("type"))
			if err := kind.Validate(); err != nil {
				return usageError(err)
			}
			shape, err := shapeOf(c)
			if err != nil {
				return err
			}
			ctx, cancel := cancelOnDrain(c.Context)
			defer cancel()
			p := newProgress(c.App.ErrWriter, c.Bool("quiet"))
			defer p.close()
			return models.Synth(ctx, shape, args[0], models.SynthOptions{
				Type: kind, Seed: c.Uint64("seed"),
				TokenizerDir: c.String("tokenizer"), Progress: p.bytes("writing"),
			})
		},
	}
}
