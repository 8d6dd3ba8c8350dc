package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"personaprobe/experiment"
)

// terminal is a pseudo-terminal and what a user sees there.
type terminal struct {
	keyboard *os.File // also what the screen shows
	mu       sync.Mutex
	text     strings.Builder // all that was written
	ended    chan struct{}
}

// onTerminal starts the program on a terminal of its own.
func onTerminal(t *testing.T, args ...string) (*terminal, *exec.Cmd) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = errors.Join(unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0),
			unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}))
	}
	if err != nil {
		t.Fatal(err)
	}
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("personaprobe", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = screen, screen, screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x := &terminal{keyboard: master, ended: make(chan struct{})}
	go func() {
		defer close(x.ended)
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			x.mu.Lock()
			x.text.Write(buffer[:n])
			x.mu.Unlock()
			if err != nil { // the last program has closed it
				return
			}
		}
	}()
	t.Cleanup(func() { _ = master.Close() })
	if err := screen.Close(); err != nil {
		t.Fatal(err)
	}
	return x, cmd
}

func (x *terminal) written() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.text.String()
}

// screenOf is what is left to be seen, line by line, after what the bars use to move about:
// carriage return, new line, cursor up, and erase to the end.
func screenOf(text string) []string {
	lines, row, column := []string{""}, 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\r':
			column = 0
		case c == '\n':
			if row++; row == len(lines) {
				lines = append(lines, "")
			}
		case c == 0x1b && i+1 < len(text) && text[i+1] == '[':
			end := i + 2
			for end < len(text) && (text[end] < '@' || text[end] > '~') {
				end++
			}
			n, _ := strconv.Atoi(text[i+2 : end])
			switch text[end] {
			case 'A':
				row = max(0, row-max(n, 1))
			case 'J':
				lines = lines[:row+1]
				lines[row] = lines[row][:min(column, len(lines[row]))]
			}
			i = end
		default:
			line := lines[row] + strings.Repeat(" ", max(0, column-len(lines[row])))
			lines[row] = line[:column] + string(c) + line[min(column+1, len(line)):]
			column++
		}
	}
	return slices.DeleteFunc(lines, func(s string) bool { return s == "" })
}

// Ctrl-C twice, of which the first may be enough: no piece of a bar stays on the terminal,
// and progress.json says what happened.
func TestInterruptedOnATerminal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	x, cmd := onTerminal(t, "run", "--out", dir, "--sources", "villain", "--full", "--layers", "0", "--threads", "1")
	wait := func(text string) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(x.written(), text); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no %q on the terminal:\n%q", text, x.written())
			}
		}
	}
	wait("generate")
	for range 2 {
		if _, err := x.keyboard.WriteString("\x03"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // two signals in one moment may be one
	}
	err := cmd.Wait()
	<-x.ended
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitInterrupted {
		t.Fatalf("%v:\n%q", err, x.written())
	}
	for _, line := range screenOf(x.written()) {
		line = strings.TrimLeft(line, "^C") // as the terminal shows the keys
		if line != "" && !strings.HasPrefix(line, "first of the prompts") && line != "personaprobe: stopping at once" && !strings.HasPrefix(line, "personaprobe: stopped") {
			t.Errorf("the terminal shows %q:\n%q", line, x.written())
		}
	}
	var status experiment.Status
	data, err := os.ReadFile(filepath.Join(dir, "progress.json"))
	if err == nil {
		err = json.Unmarshal(data, &status)
	}
	if err != nil || status.Phase != experiment.PhaseInterrupted {
		t.Errorf("progress.json: %v, phase %q", err, status.Phase)
	}
}

// A message that comes between the bars of two moments, and the keys that the terminal
// shows, tear no bar.
func TestScreenOf(t *testing.T) {
	for text, want := range map[string]string{
		"bar 1\r\n\r\x1b[1A\x1b[Jbar 2\r\n\r\x1b[1A\x1b[Jend\r\n":   "end",
		"bar 1\r\n^C\x1b[1A\x1b[Jend\r\n":                           "baend",     // without the carriage return
		"bar 1\r\nmessage\r\n\r\x1b[1A\x1b[Jend\r\n":                "bar 1|end", // a message in between
		"bar 1\r\n\r\x1b[1A\x1b[Jmessage\r\nbar\r\n\r\x1b[1A\x1b[J": "message",   // one above
		"a\r\nb\r\nc\r\n\r\x1b[2A\x1b[Jd":                           "a|d",
	} {
		if got := strings.Join(screenOf(text), "|"); got != want {
			t.Errorf("%q shows %q, want %q", text, got, want)
		}
	}
}
