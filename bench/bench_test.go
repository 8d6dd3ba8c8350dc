package bench

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"personaprobe/engine"
	"personaprobe/internal/tinytest"
)

// The figures belong together; how large they are is the machine's business.
func TestRun(t *testing.T) {
	files := tinytest.Files(t)
	r, err := Run(context.Background(), Options{
		Engine:  engine.Options{Model: files.Model, Adapters: files.Adapters, CPU: true, Slots: 16, Contexts: 1, Threads: 1, Context: 128},
		Adapter: "villain", Length: 4, Time: 300 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Tokens < 16 || r.Prompt < promptLength || r.Bare <= 0 || r.BareCPU <= 0 || r.Occupancy <= 0 || r.Occupancy > 1 {
		t.Errorf("implausible: %+v", r)
	}
	if r.Ratio != r.Engine/r.Bare || r.RatioCPU != r.EngineCPU/r.BareCPU {
		t.Errorf("ratios do not belong to the rates: %+v", r)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "16 in 1 contexts") {
		t.Errorf("%v: %s", err, text.String())
	}
}
