package llama

import "sync"

// recentErrors holds the last error lines of llama.cpp's log, which is the only
// place where it says why something failed.
var recentErrors errorLines

type errorLines struct {
	mu    sync.Mutex
	lines []string
}

// keepLines bounds what an error message can grow to.
const keepLines = 4

func (e *errorLines) add(line string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.lines) == keepLines {
		e.lines = append(e.lines[:0], e.lines[1:]...)
	}
	e.lines = append(e.lines, line)
}

// take returns the lines and forgets them.
func (e *errorLines) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	lines := e.lines
	e.lines = nil
	return lines
}
