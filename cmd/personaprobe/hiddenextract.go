package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"personaprobe/engine"
	"personaprobe/hidden"
	"personaprobe/models/safetensors"
	"personaprobe/sampler"
)

// HiddenExtractOptions are the flags of hidden extract.
type HiddenExtractOptions struct {
	ModelOptions
	GridOptions
	Prompts  string // JSONL file
	Text     string // file of lines
	Chat     bool   // Text's lines are user messages
	Out      string
	Position string
	With     string
	DType    string
	Quiet    bool

	MaxTokens   int
	Temperature float64
	TopP        float64
	N           int
}

func newHiddenExtractCommand() *cli.Command {
	var o HiddenExtractOptions
	var names []string
	for _, p := range hidden.Positions() {
		names = append(names, string(p))
	}
	flags := append(o.ModelOptions.flags(), o.GridOptions.flags()...)
	flags = append(flags,
		&cli.StringFlag{Name: "prompts", Usage: "read prompts from a JSONL `FILE` instead: id, messages (or prompt, tokens), persona, question, group", Destination: &o.Prompts},
		&cli.StringFlag{Name: "text", Usage: "read a prompt from each line of a `FILE` instead: plain text, no chat template", Destination: &o.Text},
		&cli.BoolFlag{Name: "chat", Usage: "the lines of --text are user messages", Destination: &o.Chat},
		&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "output `DIRECTORY`; a job that is there goes on", Destination: &o.Out},
		layersFlag(),
		oneOf(&cli.StringFlag{Name: "position", Value: names[0], Usage: "which tokens' `STATES`: " + strings.Join(names, ", "), Destination: &o.Position}, names...),
		&cli.StringFlag{Name: "with", Usage: "`NAME` of the adapter to apply (default: none)", Destination: &o.With},
		oneOf(&cli.StringFlag{Name: "dtype", Value: "f32", Usage: "stored `TYPE`: f32 or f16", Destination: &o.DType}, "f32", "f16"),
		oneOf(&cli.StringSliceFlag{Name: "format", Usage: "npy or safetensors (default: both)"}, "npy", "safetensors"),
		&cli.IntFlag{Name: "max-tokens", Value: 256, Usage: "of a response at most", Destination: &o.MaxTokens},
		&cli.Float64Flag{Name: "temperature", Usage: "of the responses; 0 is greedy", Destination: &o.Temperature},
		&cli.Float64Flag{Name: "top-p", Value: 0.95, Usage: "of the responses", Destination: &o.TopP},
		&cli.Uint64SliceFlag{Name: "seeds", Usage: "sampling seeds of the responses, comma-separated (default: 0)"},
		&cli.IntFlag{Name: "n", Value: 1, Usage: "responses per prompt and seed", Destination: &o.N},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress", Destination: &o.Quiet},
	)
	return &cli.Command{
		Name:      "extract",
		Usage:     "write the hidden states of many prompts to .npy and .safetensors",
		ArgsUsage: " ",
		Description: `Without --prompts or --text every persona is asked every question. Interrupted, the
same command goes on where it stopped, and ends with the same bytes.`,
		Flags: flags,
		Action: func(c *cli.Context) error {
			if _, err := arguments(c); err != nil {
				return err
			}
			if o.Out == "" {
				return usageError(missingArgumentError("--out DIRECTORY"))
			}
			opts, err := o.engineOptions(c)
			if err != nil {
				return err
			}
			ctx, cancel := cancelOnDrain(c.Context)
			defer cancel()
			return runHiddenExtract(ctx, c, opts, o)
		},
	}
}

func runHiddenExtract(ctx context.Context, c *cli.Context, opts engine.Options, o HiddenExtractOptions) (err error) {
	prompts, err := o.source()
	if err != nil {
		return err
	}
	layers, err := layersOf(c, hidden.DefaultLayers())
	if err != nil {
		return err
	}
	x := hidden.ExtractOptions{
		Position: hidden.Position(o.Position), Adapter: o.With, DType: safetensors.DType(strings.ToUpper(o.DType)),
		Response: hidden.Response{MaxTokens: o.MaxTokens, Seeds: c.Uint64Slice("seeds"), N: o.N},
	}
	if o.Temperature != 0 { // the nucleus means nothing to greedy decoding
		x.Response.Sampling = sampler.Params{Temperature: float32(o.Temperature), TopP: float32(o.TopP)}
	}
	for _, f := range c.StringSlice("format") {
		x.Formats = append(x.Formats, hidden.Format(f))
	}
	p := newProgress(c.App.ErrWriter, o.Quiet)
	defer p.close()
	opts.Progress = p.conversion
	if opts.Date.IsZero() {
		if opts.Date, err = hidden.DateOf(o.Out); err != nil {
			return err
		}
	}
	x.Progress = func(s hidden.Progress) { p.count(string(s.Phase), s.Done, s.Total) }
	e, err := engine.Open(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if x.Layers, err = layers.Of(e.Info().Layers); err != nil {
		return err
	}
	s, err := hidden.Extract(ctx, e, prompts, o.Out, x)
	p.close()
	if err != nil {
		return err
	}
	return describe(c.App.Writer, s, o.Out)
}

// source is where the prompts come from.
func (o *HiddenExtractOptions) source() (hidden.Prompts, error) {
	gridFlags := o.Personas != "" || o.QuestionsFile != "" || o.Questions != 0
	switch {
	case o.Prompts != "" && o.Text != "":
		return nil, usageError(errors.New("--prompts and --text exclude each other"))
	case (o.Prompts != "" || o.Text != "") && gridFlags:
		return nil, usageError(errors.New("--prompts and --text exclude --personas, --questions-file and --questions"))
	case o.Chat && o.Text == "":
		return nil, usageError(errors.New("--chat is about the lines of --text"))
	case o.Prompts != "":
		return hidden.ReadPrompts(o.Prompts), nil
	case o.Text != "":
		return hidden.ReadLines(o.Text, o.Chat), nil
	}
	personas, questions, err := o.read()
	if err != nil {
		return nil, err
	}
	return hidden.Grid(personas, questions), nil
}

func describe(w io.Writer, s *hidden.States, dir string) error {
	_, err := fmt.Fprintf(w, "%s: %d rows of %d components at layers %v, %s of %d prompts\n",
		dir, s.Rows, s.Job.HiddenSize, s.Job.Layers, s.Job.Position, s.Job.Prompts)
	return err
}
