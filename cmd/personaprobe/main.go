// Command personaprobe runs the persona-leakage study: it samples completions from
// a language model with LoRA adapters, reads its hidden states, and turns both
// into a checked study.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"personaprobe/hidden"
	"personaprobe/internal/plaintext"
)

// version is set by the Makefile.
var version = "unknown"

func main() {
	stdout := io.Writer(os.Stdout)
	if term.IsTerminal(int(os.Stdout.Fd())) { // which a model's words or a file's names must not drive
		stdout = &plaintext.Terminal{W: stdout}
	}
	os.Exit(run(os.Args, os.Stdin, stdout, os.Stderr))
}

// run is main with its surroundings as arguments, for tests.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := withSignals(context.Background(), aboveBars{stderr})
	defer stop()
	app := newApp(stdin, stdout, stderr)
	reportUsage(app.Commands)
	if len(args) > 1 && args[1] == completeFlag {
		for _, word := range completeWords(app, args[2:]) {
			fmt.Fprintln(stdout, word)
		}
		return exitOK
	}
	err := app.RunContext(ctx, interspersed(app, args))
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	if code == exitInterrupted && errors.Is(err, context.Canceled) && !errors.Is(err, hidden.ErrInterrupted) {
		err = errors.New("stopped")
	}
	if logsJSON() {
		slog.Error(oneLine(err), "exit_code", code)
	} else {
		fmt.Fprintln(stderr, "personaprobe:", oneLine(err))
	}
	return code
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	return &cli.App{
		Name:      "personaprobe",
		Usage:     "run a persona-leakage study on a language model",
		Version:   version,
		Reader:    stdin,
		Writer:    stdout,
		ErrWriter: stderr,
		Description: `Exit codes:
   0    success
   1    something failed that has no code of its own
   2    wrong flags or arguments
   3    bad input: a file, plan, prompt, layer or model that cannot be used
   4    the run or output directory is in use, belongs to another job, or
        cannot be written
   5    not enough memory or disk space
   6    check-claims: some claims disagree with the data
   7    check-claims: some could not be checked, and none disagrees
   130  interrupted; the same command goes on where it stopped`,
		HideVersion: true,
		Suggest:     true,
		Commands: []*cli.Command{
			newRunCommand(),
			newPlanCommand(),
			newPersonasCommand(),
			newReportCommand(),
			newGenerateCommand(),
			newHiddenCommand(),
			newModelCommand(),
			newLoraCommand(),
			newAnalyzeCommand(),
			newCheckClaimsCommand(),
			newTrackCommand(),
			newBenchCommand(),
			newDoctorCommand(),
			newCompletionCommand(),
			newManCommand(),
			newVersionCommand(),
		},
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "log what llama.cpp and the program do to standard error"},
			oneOf(&cli.StringFlag{Name: "log-format", Value: "text", Usage: "`FORMAT` of log and progress: text or json, an object a line"}, "text", "json"),
		},
		Before:         func(c *cli.Context) error { return setupLog(c, aboveBars{stderr}) },
		OnUsageError:   func(_ *cli.Context, err error, _ bool) error { return usageError(err) },
		ExitErrHandler: func(*cli.Context, error) {}, // run decides
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError(fmt.Errorf("no command %q; see personaprobe help", c.Args().First()))
			}
			return cli.ShowAppHelp(c)
		},
	}
}

func setupLog(c *cli.Context, stderr io.Writer) error {
	opts := &slog.HandlerOptions{Level: slog.LevelWarn}
	if c.Bool("verbose") {
		opts.Level = slog.LevelDebug
	}
	switch f := c.String("log-format"); f {
	case "text":
		slog.SetDefault(slog.New(slog.NewTextHandler(stderr, opts)))
	case "json":
		slog.SetDefault(slog.New(slog.NewJSONHandler(stderr, opts)))
	default:
		return usageError(fmt.Errorf("--log-format is %q, want text or json", f))
	}
	return nil
}
