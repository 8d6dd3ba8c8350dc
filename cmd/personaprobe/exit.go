package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"personaprobe/analysis"
	"personaprobe/bench"
	llama "personaprobe/cgo"
	"personaprobe/cgo/cudalib"
	"personaprobe/cgo/native"
	"personaprobe/engine"
	"personaprobe/experiment"
	"personaprobe/hidden"
	"personaprobe/internal/pin"
	"personaprobe/internal/plaintext"
	"personaprobe/internal/sums"
	"personaprobe/lora"
	"personaprobe/models"
	"personaprobe/report"
)

// Exit codes, documented in the help.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitInput       = 3
	exitRunDir      = 4
	exitResources   = 5
	exitDisagree    = 6
	exitUnchecked   = 7
	exitInterrupted = 130 // 128 + SIGINT, as shells have it
)

// errUsage marks wrong flags or arguments.
var errUsage = errors.New("wrong usage")

type usage struct{ error }

func (u usage) Is(target error) bool { return target == errUsage }
func (u usage) Unwrap() error        { return u.error }

func usageError(err error) error { return usage{err} }

// exitCode maps an error to the documented exit codes. The order matters where
// an error is of several kinds: a full disk while the run directory is written is
// a matter of resources.
func exitCode(err error) int {
	if _, ok := errors.AsType[cli.ExitCoder](err); ok {
		return exitUsage // help for a topic that there is not; nothing else makes one
	}
	for _, c := range []struct {
		code  int
		kinds []error
	}{
		{exitUsage, []error{errUsage, engine.ErrOptions}},
		{exitInterrupted, []error{experiment.ErrInterrupted, hidden.ErrInterrupted, context.Canceled}},
		{exitResources, []error{llama.ErrMemory, native.ErrMemory, cudalib.ErrMemory, hidden.ErrSpace, syscall.ENOSPC, syscall.EDQUOT, syscall.ENOMEM}},
		{exitInput, []error{sums.ErrDamaged}}, // in a run directory, too
		{exitRunDir, []error{experiment.ErrLocked, experiment.ErrManifest, experiment.ErrRunDir, hidden.ErrChanged, hidden.ErrDir}},
		{exitDisagree, []error{analysis.ErrDisagree}},
		{exitUnchecked, []error{analysis.ErrUnavailable}},
		{exitInput, []error{
			models.ErrFormat, models.ErrUnsupported, native.ErrUnsupported, lora.ErrMismatch, llama.ErrLoad, engine.ErrRequest,
			experiment.ErrInput, analysis.ErrInput, analysis.ErrStale,
			hidden.ErrInput, hidden.ErrState, report.ErrNoAnalysis, bench.ErrFile,
			pin.ErrChanged, fs.ErrNotExist, fs.ErrExist, fs.ErrPermission,
			syscall.EISDIR, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG,
		}},
	} {
		for _, kind := range c.kinds {
			if errors.Is(err, kind) {
				return c.code
			}
		}
	}
	return exitFailure
}

// oneLine keeps the promise of one clear line on standard error, which what a file says
// cannot change.
func oneLine(err error) string {
	var out string
	for line := range strings.FieldsFuncSeq(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = strings.TrimSpace(line)
		switch {
		case out == "":
		case strings.HasSuffix(out, ":"):
			out += " "
		default:
			out += "; "
		}
		out += line
	}
	return plaintext.Escape(strings.ReplaceAll(out, "\t", " "))
}

type missingArgumentError string

func (m missingArgumentError) Error() string { return "missing argument " + string(m) }

type unexpectedArgumentError string

func (u unexpectedArgumentError) Error() string { return "unexpected argument \"" + string(u) + "\"" }
