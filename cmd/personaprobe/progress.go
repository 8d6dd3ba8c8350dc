package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"personaprobe/experiment"
)

// progress shows how a run goes on: a line that changes on a terminal, plain
// lines every few seconds elsewhere.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	quiet    bool
	terminal bool
	width    int
	last     time.Time
	phase    string
	dirty    bool // the terminal's line is not empty
}

const plainEvery = 5 * time.Second

func newProgress(w io.Writer, quiet bool) *progress {
	p := &progress{w: w, quiet: quiet, width: 80}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.terminal = true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			p.width = width
		}
	}
	return p
}

// Report implements experiment.Progress.
func (p *progress) Report(s experiment.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet || s.Phase == experiment.PhaseDone {
		return
	}
	changed := s.Phase != p.phase
	if !p.terminal && !changed && time.Since(p.last) < plainEvery {
		return
	}
	p.phase, p.last = s.Phase, time.Now()
	p.show(statusLine(s))
}

// conversion reports files that are converted before the run.
func (p *progress) conversion(what string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet || (!p.terminal && time.Since(p.last) < plainEvery) {
		return
	}
	p.last = time.Now()
	p.show(fmt.Sprintf("%s: %3d %%", what, 100*done/max(total, 1)))
}

func (p *progress) show(line string) {
	if !p.terminal {
		fmt.Fprintln(p.w, line)
		return
	}
	if len(line) >= p.width {
		line = line[:p.width-1]
	}
	fmt.Fprintf(p.w, "\r%-*s", p.width-1, line)
	p.dirty = true
}

// close ends the terminal's line.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dirty {
		fmt.Fprint(p.w, "\r", strings.Repeat(" ", p.width-1), "\r")
		p.dirty = false
	}
}

func statusLine(s experiment.Status) string {
	share := 0.0
	if s.Total > 0 {
		share = 100 * float64(s.Done) / float64(s.Total)
	}
	switch s.Phase {
	case experiment.PhaseCentroids:
		return fmt.Sprintf("hidden states  %d of %d prompts (%.0f %%)%s", s.Done, s.Total, share, left(s))
	case experiment.PhaseGenerate:
		line := fmt.Sprintf("generations  %d of %d (%.0f %%)", s.Done, s.Total, share)
		if s.Adapter != "" {
			line += "  " + s.Adapter
		}
		if s.TokensPerSecond > 0 {
			line += fmt.Sprintf("  %.0f tok/s", s.TokensPerSecond)
		}
		return line + left(s)
	default:
		return s.Phase
	}
}

func left(s experiment.Status) string {
	if s.ETASeconds <= 0 {
		return ""
	}
	return "  " + (time.Duration(s.ETASeconds) * time.Second).String() + " left"
}

// bytes reports work on a file of known size.
func (p *progress) bytes(what string) func(done, total int64) {
	return func(done, total int64) { p.conversion(what, done, total) }
}
