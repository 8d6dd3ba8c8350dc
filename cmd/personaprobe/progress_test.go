package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"personaprobe/experiment"
)

var halfway = experiment.Status{
	Phase: experiment.PhaseGenerate, Adapter: "villain", Done: 50, Total: 200, PerSecond: 12.34,
	TokensPerSecond: 345.6, Occupancy: 0.91, ETASeconds: 11.2,
	Shards: []experiment.ShardStatus{
		{Shard: "villain_seed1", Done: 30, Total: 100}, {Shard: "villain_seed2", Done: 20, Total: 100}, {Shard: "later_seed1", Total: 100},
	},
}

func TestStatusLine(t *testing.T) {
	want := "generations  50 of 200 (25 %)  villain  12.3/s  346 tok/s  91 % full  12s left"
	if got := statusLine(halfway); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Plain lines come at each change of phase and not more often than every few
// seconds; a quiet display and a closed one write nothing.
func TestPlainProgress(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, false)
	p.Report(halfway)
	p.Report(halfway)
	p.Report(experiment.Status{Phase: experiment.PhaseAnalyse})
	p.Report(experiment.Status{Phase: experiment.PhaseDone})
	p.close()
	p.Report(halfway)
	newProgress(&out, true).Report(halfway)
	if want := statusLine(halfway) + "\nanalyse\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestJSONProgress(t *testing.T) {
	old := slog.Default()
	defer slog.SetDefault(old)
	slog.SetDefault(slog.New(slog.NewJSONHandler(&bytes.Buffer{}, nil)))
	var out bytes.Buffer
	newProgress(&out, false).Report(halfway)
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{
		"level": "INFO", "msg": "progress", "phase": "generate", "adapter": "villain", "done": 50.0, "total": 200.0,
		"per_second": 12.34, "tokens_per_second": 345.6, "occupancy": 0.91, "eta_seconds": 11.2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// syncBuffer is written by the display's goroutine.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// The display has a bar for the phase and one for each shard under way, and ends.
func TestBars(t *testing.T) {
	var out syncBuffer
	b := newBars(&out)
	b.file("converting", 1, 4)
	b.report(halfway)
	shown := func() bool {
		return strings.Contains(out.String(), "50/200  12.3/s") && strings.Contains(out.String(), "villain_seed2") &&
			strings.Contains(out.String(), "30/100")
	}
	for deadline := time.Now().Add(20 * time.Second); !shown() && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if !shown() || strings.Contains(out.String(), "later_seed1") {
		t.Errorf("displayed: %q", out.String())
	}
	b.close()
}

func TestInterspersed(t *testing.T) {
	app := newApp(nil, nil, nil)
	for _, c := range []struct{ in, want string }{
		{"p run plan.yaml --out x --log-format json -v", "p --log-format json -v run --out x plan.yaml"},
		{"p model convert A --type f16 B", "p model convert --type f16 A B"},
		{"p --log-format=json run --seeds=1,2", "p --log-format=json run --seeds=1,2"},
		{"p run -- --out", "p run -- --out"},
	} {
		got := strings.Join(interspersed(app, strings.Fields(c.in)), " ")
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.in, got, c.want)
		}
	}
}
