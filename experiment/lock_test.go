package experiment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"personaprobe/internal/dirlock"
)

func TestLockKeepsOthersOut(t *testing.T) {
	in := makeInputs(t, smallPlan())
	dir := t.TempDir()
	model := &fakeModel{}
	var inside error
	model.onEach = func(n int) {
		if n == 5 {
			_, inside = Run(context.Background(), dir, &fakeModel{}, in, Options{})
		}
	}
	if _, err := Run(context.Background(), dir, model, in, Options{}); err != nil {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	if !errors.Is(inside, ErrLocked) || !strings.Contains(inside.Error(), fmt.Sprintf("process %d on %s", os.Getpid(), host)) {
		t.Errorf("got %v", inside)
	}
	// The file that is left locks nobody out, whatever it says.
	if err := os.WriteFile(filepath.Join(dir, dirlock.Name), []byte(`{"pid": 1, "host": "gone"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Analyse(dir); err != nil {
		t.Error(err)
	}
}
