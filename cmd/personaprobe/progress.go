package main

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"personaprobe/experiment"
)

// progress shows how work goes on: bars on a terminal, otherwise a line every few
// seconds, which is JSON where the log is.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	quiet bool
	bars  *bars // nil unless w is a terminal
	last  time.Time
	phase string
}

const plainEvery = 5 * time.Second

func newProgress(w io.Writer, quiet bool) *progress {
	p := &progress{w: w, quiet: quiet}
	f, ok := w.(*os.File)
	if ok && !quiet && !logsJSON() && term.IsTerminal(int(f.Fd())) {
		p.bars = newBars(w)
	}
	return p
}

// logsJSON reports whether --log-format json was given.
func logsJSON() bool {
	_, ok := slog.Default().Handler().(*slog.JSONHandler)
	return ok
}

// Report implements experiment.Progress.
func (p *progress) Report(s experiment.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.quiet, s.Phase == experiment.PhaseDone:
	case p.bars != nil:
		p.bars.report(s)
	case p.due(s.Phase):
		p.line(statusLine(s), statusAttrs(s)...)
	}
}

// conversion reports work on a file, in bytes.
func (p *progress) conversion(what string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.quiet:
	case p.bars != nil:
		p.bars.file(what, done, total)
	case p.due(what):
		share := 100 * float64(done) / float64(max(total, 1))
		p.line(fmt.Sprintf("%s: %3.0f %%", what, share), "phase", what, "done_bytes", done, "total_bytes", total)
	}
}

// count reports work on a number of things; total is 0 while it is not known.
func (p *progress) count(what string, done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := fmt.Sprintf("%d of %d", done, total)
	if total == 0 {
		text = fmt.Sprint(done)
	}
	switch {
	case p.quiet:
	case p.bars != nil:
		p.bars.show(what, int64(total)).set(int64(done), text)
	case p.due(what):
		p.line(what+": "+text, "phase", what, "done", done, "total", total)
	}
}

// bytes is conversion with its first argument given.
func (p *progress) bytes(what string) func(done, total int64) {
	return func(done, total int64) { p.conversion(what, done, total) }
}

// due is true when the phase changes, and every few seconds.
func (p *progress) due(phase string) bool {
	if phase == p.phase && time.Since(p.last) < plainEvery {
		return false
	}
	p.phase, p.last = phase, time.Now()
	return true
}

func (p *progress) line(text string, attrs ...any) {
	if logsJSON() {
		slog.New(slog.NewJSONHandler(p.w, nil)).Info("progress", attrs...)
		return
	}
	fmt.Fprintln(p.w, text)
}

// close takes the bars off the terminal. It may be called twice.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quiet = true
	if p.bars != nil {
		p.bars.close()
		p.bars = nil
	}
}

func statusLine(s experiment.Status) string {
	share := 0.0
	if s.Total > 0 {
		share = 100 * float64(s.Done) / float64(s.Total)
	}
	switch s.Phase {
	case experiment.PhaseAdapters:
		return fmt.Sprintf("adapters  %d of %d prompts (%.0f %%)", s.Done, s.Total, share)
	case experiment.PhaseCentroids:
		return fmt.Sprintf("hidden states  %d of %d prompts (%.0f %%)%s%s", s.Done, s.Total, share, rates(s), left(s))
	case experiment.PhaseGenerate:
		line := fmt.Sprintf("generations  %d of %d (%.0f %%)", s.Done, s.Total, share)
		if s.Adapter != "" {
			line += "  " + s.Adapter
		}
		return line + rates(s) + left(s)
	default:
		return s.Phase
	}
}

func statusAttrs(s experiment.Status) []any {
	return []any{
		"phase", s.Phase, "adapter", s.Adapter, "done", s.Done, "total", s.Total, "per_second", s.PerSecond,
		"tokens_per_second", s.TokensPerSecond, "occupancy", s.Occupancy, "eta_seconds", s.ETASeconds,
	}
}

// rates are generations or prompts per second, tokens per second and how full the
// batches are, as far as they are known.
func rates(s experiment.Status) string {
	text := ""
	if s.PerSecond > 0 {
		text = fmt.Sprintf("  %.1f/s", s.PerSecond)
	}
	if s.Phase != experiment.PhaseGenerate {
		return text
	}
	if s.TokensPerSecond > 0 {
		text += fmt.Sprintf("  %.0f tok/s", s.TokensPerSecond)
	}
	if s.Occupancy > 0 {
		text += fmt.Sprintf("  %.0f %% full", 100*s.Occupancy)
	}
	return text
}

func left(s experiment.Status) string {
	if s.ETASeconds <= 0 {
		return ""
	}
	return "  " + (time.Duration(math.Ceil(s.ETASeconds)) * time.Second).String() + " left"
}
