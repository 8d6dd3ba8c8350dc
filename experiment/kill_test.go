package experiment

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"personaprobe/internal/disk"
)

// The test binary is also the process that gets killed: with these set it does a slow
// run in the directory and exits.
const (
	childDir    = "PERSONAPROBE_TEST_CHILD_DIR"
	childKillAt = "PERSONAPROBE_TEST_CHILD_KILL_AT" // number of the disk operation to die before; 0: none
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

// childT lets helpers that want a testing.TB run outside of a test.
type childT struct{ testing.TB }

func (childT) Helper()           {}
func (childT) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func child(dir string) int {
	killAt, _ := strconv.Atoi(os.Getenv(childKillAt))
	plan := smallPlan()
	opts := Options{checkpointEvery: 3 * time.Millisecond}
	model := &fakeModel{shuffle: uint64(os.Getpid())}
	if killAt > 0 {
		disk.Inject(filepath.Dir(dir), dieAt(killAt))
	} else {
		model.pace = time.Millisecond
	}
	fmt.Println("ready")
	if _, err := Run(context.Background(), dir, model, makeInputs(childT{}, plan), opts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// dieAt kills this process just before the k-th operation on the disk; a write is done by
// half, and the process dies before whatever comes next.
func dieAt(k int) func(disk.Op) error {
	calls := 0
	return func(op disk.Op) error {
		calls++
		if calls == k && op.Name == "write" {
			return errors.New("half of it")
		}
		if calls >= k {
			die()
		}
		return nil
	}
}

func die() {
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		panic(err)
	}
	select {}
}

// startChild runs the slow study in dir; it returns once the child has begun.
func startChild(t *testing.T, dir string, killAt int) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childKillAt+"="+strconv.Itoa(killAt))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("the child did not begin: %v, %s", err, stderr.String())
	}
	return cmd, &stderr
}

// wasKilled waits for the child and tells a SIGKILL from a good end.
func wasKilled(t *testing.T, cmd *exec.Cmd, stderr *strings.Builder) bool {
	t.Helper()
	err := cmd.Wait()
	if err == nil {
		return false
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the child failed: %v\n%s", err, stderr.String())
	}
	return true
}

// A run that is killed at random moments, again and again, ends with the bytes of a run
// that was left alone.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	want := reference(t, makeInputs(t, smallPlan()))
	chance := rand.New(rand.NewPCG(4, 5))
	enough := 20
	if testing.Short() {
		enough = 4
	}
	kills, runs := 0, 0
	for kills < enough {
		dir := filepath.Join(t.TempDir(), "run")
		for ended := false; !ended; {
			cmd, stderr := startChild(t, dir, 0)
			if kills < enough {
				time.Sleep(time.Duration(chance.IntN(120)) * time.Millisecond)
				if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Fatal(err)
				}
			}
			if ended = !wasKilled(t, cmd, stderr); !ended {
				kills++
			}
		}
		runs++
		sameArtefacts(t, want, artefacts(t, dir))
	}
	t.Logf("%d kills in %d runs", kills, runs)
}

// A process killed before, or in the middle of, each single operation on the disk.
func TestKilledAtEveryDiskOperation(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	t.Parallel()
	want := reference(t, makeInputs(t, smallPlan()))
	step := 17 // each takes two processes; TestEveryDiskFailureIsSurvived leaves none out
	for killAt := 1; ; killAt += step {
		dir := filepath.Join(t.TempDir(), "run")
		if cmd, stderr := startChild(t, dir, killAt); !wasKilled(t, cmd, stderr) {
			if killAt < 60 {
				t.Errorf("a run has only %d operations", killAt)
			}
			break
		}
		if _, err := os.Stat(dir); err == nil {
			checkFinished(t, dir, want)
		}
		if _, err := Run(context.Background(), dir, &fakeModel{}, makeInputs(t, smallPlan()), Options{}); err != nil {
			t.Fatalf("operation %d: %v", killAt, err)
		}
		sameArtefacts(t, want, artefacts(t, dir))
		if t.Failed() {
			t.Fatalf("killed at operation %d", killAt)
		}
	}
}
