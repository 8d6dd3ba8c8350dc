package hidden

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"personaprobe/sampler"
)

// The test binary is also the process that gets killed: with this set it extracts
// slowly into the directory and exits.
const childDir = "PERSONAPROBE_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

func killOptions() ExtractOptions {
	return ExtractOptions{
		Layers: []int{5, 15}, Position: PositionResponseAll, block: block{2, 1 << 30},
		Response: Response{MaxTokens: 5, Sampling: sampler.Params{Temperature: 1, TopP: 0.95}},
	}
}

// childT lets helpers that want a testing.TB run outside of a test.
type childT struct{ testing.TB }

func (childT) Helper()           {}
func (childT) Fatal(args ...any) { panic(fmt.Sprint(args...)) }
func (childT) Cleanup(func())    {}

func child(dir string) int {
	opts := killOptions()
	opts.afterBlock = func() {
		fmt.Println("block")
		time.Sleep(20 * time.Millisecond)
	}
	if _, err := Extract(context.Background(), open(childT{}, nil), Grid(grid(childT{}, 3, 3)), dir, opts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A process that is killed again and again, at any time, ends with the same bytes.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	want := files(t, mustExtract(t, open(t, nil), Grid(grid(t, 3, 3)), killOptions()).dir)
	dir := filepath.Join(t.TempDir(), "out")
	kills := 0
	for ; ; kills++ {
		if kills > 30 {
			t.Fatal("it never ends")
		}
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), childDir+"="+dir)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if n == kills%2 { // after the first or second block, and a moment
				time.Sleep(time.Duration(7*kills%40) * time.Millisecond)
				_ = c.Process.Kill()
			}
		}
		if c.Wait() == nil {
			break
		}
	}
	if kills < 2 {
		t.Errorf("killed %d times only", kills)
	}
	sameFiles(t, fmt.Sprintf("after %d kills", kills), want, files(t, dir))
}
