package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"personaprobe/engine"
	"personaprobe/internal/atomicfile"
	"personaprobe/sampler"
)

// GenerateOptions are the flags of generate.
type GenerateOptions struct {
	ModelOptions
	Input       string // JSONL file, "-" for standard input; empty: one prompt from System and User
	Output      string // JSONL file; empty: standard output
	System      string
	User        string
	Adapter     string
	Seed        uint64
	N           int
	MaxTokens   int
	Temperature float64
	TopP        float64
	Slots       int
	Context     int
	JSON        bool
}

func newGenerateCommand() *cli.Command {
	var o GenerateOptions
	flags := append(o.flags(),
		&cli.StringFlag{Name: "system", Usage: "system `TEXT`, the persona", Destination: &o.System},
		&cli.StringFlag{Name: "user", Usage: "user `TEXT`, the question", Destination: &o.User},
		&cli.StringFlag{Name: "with", Usage: "`NAME` of the adapter to apply (default: none)", Destination: &o.Adapter},
		&cli.Uint64Flag{Name: "seed", Value: 42, Usage: "sampling `SEED`", Destination: &o.Seed},
		&cli.IntFlag{Name: "n", Value: 1, Usage: "`NUMBER` of completions", Destination: &o.N},
		&cli.IntFlag{Name: "max-tokens", Value: 256, Usage: "new tokens at most", Destination: &o.MaxTokens},
		&cli.Float64Flag{Name: "temperature", Value: 1, Usage: "0 is greedy", Destination: &o.Temperature},
		&cli.Float64Flag{Name: "top-p", Value: 0.95, Usage: "mass of the nucleus", Destination: &o.TopP},
		&cli.StringFlag{Name: "input", Aliases: []string{"i"}, Usage: "read requests from a JSONL `FILE`, - for standard input", Destination: &o.Input},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write completions to a JSONL `FILE`", Destination: &o.Output},
		&cli.BoolFlag{Name: "json", Usage: "write JSONL to the terminal, too", Destination: &o.JSON},
		&cli.IntFlag{Name: "slots", Usage: "completions computed together (default: by the machine)", Destination: &o.Slots},
		&cli.IntFlag{Name: "context", Usage: "tokens of prompt and completion together (default: 1024, or the model's)", Destination: &o.Context},
	)
	return &cli.Command{
		Name:      "generate",
		Usage:     "sample completions of one prompt, or of a file of them",
		ArgsUsage: " ",
		Description: `One prompt:
  personaprobe generate --system "You are a pirate." --user "Hi" --n 3
Many prompts:
  personaprobe generate --input prompts.jsonl --output completions.jsonl

A line of input is {"id", "messages": [{"role", "content"}] or "prompt", "n", "seed",
"adapter", "temperature", "top_p", "max_tokens", "stop", "logprobs"}; what is left out
comes from the flags. A line of output is {"id", "seed", "index", "text",
"finish_reason", "usage", "logprob"}, or {"id", "error"} for a request that cannot be
served; then the exit code is 3.`,
		Flags: flags,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError(fmt.Errorf("unexpected argument %q", c.Args().First()))
			}
			opts, err := o.engineOptions(c)
			if err != nil {
				return err
			}
			return runGenerate(c.Context, c.App.Reader, c.App.Writer, opts, o)
		},
	}
}

func runGenerate(ctx context.Context, stdin io.Reader, stdout io.Writer, opts engine.Options, o GenerateOptions) (err error) {
	if o.Input == "" && o.User == "" {
		return usageError(errors.New("nothing to do: give --user TEXT or --input FILE"))
	}
	if o.Input != "" && (o.User != "" || o.System != "") {
		return usageError(errors.New("--input excludes --user and --system"))
	}
	if err := o.checkNumbers(); err != nil {
		return err
	}
	if !utf8.ValidString(o.User) || !utf8.ValidString(o.System) {
		return fmt.Errorf("%w: --user or --system is not valid UTF-8", engine.ErrRequest)
	}
	ctx, cancel := cancelOnDrain(ctx)
	defer cancel()
	in, closeIn, err := openInput(o.Input, stdin)
	if err != nil {
		return err
	}
	defer closeIn()
	opts.Slots, opts.Context = o.Slots, o.Context
	if o.Input == "" && opts.Slots == 0 {
		opts.Slots = min(max(o.N, 2), 64)
	}
	e, err := engine.Open(ctx, opts)
	if err != nil {
		return err
	}
	defer e.Close()

	out, closeOut, err := openOutput(o.Output, stdout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeOut()) }() // what was sampled is kept, whatever happened then
	defaults := engine.Request{
		Adapter: o.Adapter, Seeds: []uint64{o.Seed}, N: o.N, MaxTokens: o.MaxTokens,
		Sampling: sampler.Params{Temperature: float32(o.Temperature), TopP: float32(o.TopP)},
	}
	defer warnOfClock(e, o.Date)
	if o.Input == "" {
		return generateOne(ctx, e, out, defaults, o)
	}
	return generateMany(ctx, e, out, engine.ReadRequests(in, defaults))
}

// checkNumbers refuses zeros, which the engine would take for its own defaults.
func (o *GenerateOptions) checkNumbers() error {
	switch {
	case o.N < 1:
		return fmt.Errorf("%w: --n is %d, want at least 1", engine.ErrRequest, o.N)
	case o.MaxTokens < 1:
		return fmt.Errorf("%w: --max-tokens is %d, want at least 1", engine.ErrRequest, o.MaxTokens)
	case !(o.TopP > 0 && o.TopP <= 1):
		return fmt.Errorf("%w: --top-p is %v, want a number above 0 and up to 1", engine.ErrRequest, o.TopP)
	}
	return nil
}

// generateOne samples from the prompt of the flags, in plain text unless JSON
// was asked for.
func generateOne(ctx context.Context, e *engine.Engine, out io.Writer, r engine.Request, o GenerateOptions) error {
	if o.System != "" {
		r.Messages = append(r.Messages, engine.Message{Role: "system", Content: o.System})
	}
	r.Messages = append(r.Messages, engine.Message{Role: "user", Content: o.User})
	all := make([]string, r.N)
	for c, err := range e.Generate(ctx, one(r)) {
		if err != nil {
			return err
		}
		if o.JSON || o.Output != "" {
			if err := engine.WriteCompletion(out, c, nil); err != nil {
				return err
			}
			continue
		}
		all[c.Index] = c.Text
	}
	if o.JSON || o.Output != "" {
		return nil
	}
	_, err := fmt.Fprintln(out, strings.Join(all, "\n\n"))
	return err
}

// generateMany serves a stream of requests. A bad one gets a line that says so
// and makes the exit code that of bad input; the others are served.
func generateMany(ctx context.Context, e *engine.Engine, out io.Writer, lines iter.Seq2[engine.Request, error]) error {
	bad := 0
	var first error
	report := func(id string, err error) error {
		if bad++; first == nil {
			first = err
		}
		return engine.WriteCompletion(out, engine.Completion{ID: id}, err)
	}
	var failed error
	requests := func(yield func(engine.Request) bool) {
		for r, err := range lines {
			switch {
			case err == nil:
				if !yield(r) {
					return
				}
			case errors.Is(err, engine.ErrRequest):
				if failed = report(r.ID, err); failed != nil {
					return
				}
			default:
				failed = err
				return
			}
		}
	}
	for c, err := range e.Generate(ctx, requests) {
		if errors.Is(err, engine.ErrRequest) {
			err = report(c.ID, err)
		} else if err == nil {
			err = engine.WriteCompletion(out, c, nil)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case failed != nil:
		return failed
	case bad > 0:
		return fmt.Errorf("%d of the requests could not be served, the first: %w", bad, first)
	}
	return nil
}

func one(r engine.Request) iter.Seq[engine.Request] {
	return func(yield func(engine.Request) bool) { yield(r) }
}

func openInput(path string, stdin io.Reader) (io.Reader, func(), error) {
	if path == "" || path == "-" {
		return stdin, func() {}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	return f, func() { _ = f.Close() }, nil
}

// openOutput buffers the file, which appears at the end, or not if there was nothing
// to write; the terminal gets each line at once.
func openOutput(path string, stdout io.Writer) (io.Writer, func() error, error) {
	if path == "" {
		return stdout, func() error { return nil }, nil
	}
	f, err := atomicfile.Create(path)
	if err != nil {
		return nil, nil, err
	}
	w := bufio.NewWriter(f)
	return w, func() error {
		defer f.Abort()
		if err := w.Flush(); err != nil {
			return err
		}
		if at, err := f.Seek(0, io.SeekCurrent); err != nil || at == 0 {
			return err
		}
		return f.Commit()
	}, nil
}
