package hidden

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"personaprobe/internal/sums"
	"personaprobe/internal/sums/sumstest"
)

// named sees that an error is of a damaged file, and names it.
func named(t *testing.T, err error, name string) {
	t.Helper()
	if !errors.Is(err, sums.ErrDamaged) || !strings.Contains(err.Error(), name+" is damaged") {
		t.Errorf("%s: %v", name, err)
	}
}

// Whatever of a finished job is not as it was written ends what would read it.
func TestDamagedJobIsRefused(t *testing.T) {
	e := open(t, nil)
	prompts := Grid(grid(t, 2, 2))
	for _, format := range []Format{FormatNPY, FormatSafetensors, ""} {
		opts := ExtractOptions{Layers: []int{2, 5}, Position: PositionResponseMean, Response: Response{MaxTokens: 3}}
		if format != "" {
			opts.Formats = []Format{format}
		}
		s := mustExtract(t, e, prompts, opts)
		want := append(s.Job.outputs(), jobName)
		list, err := sums.ReadList(s.dir)
		if err != nil || len(list) != len(want) {
			t.Fatalf("listed are %v, want %v, %v", list, want, err)
		}
		swapped := map[string]string{npyName(2): filepath.Join(s.dir, npyName(5))}
		for _, name := range want {
			path := filepath.Join(s.dir, name)
			sumstest.Damaged(t, path, swapped[name], func(t *testing.T) {
				_, err := Extract(context.Background(), e, prompts, s.dir, opts)
				named(t, err, name)
				if name == jobName || slices.Contains(s.read(), name) {
					_, err := OpenStates(s.dir)
					named(t, err, name)
				}
			})
		}
		if _, err := Extract(context.Background(), e, prompts, s.dir, opts); err != nil {
			t.Error(err)
		}
		// Of an earlier build: read, and said.
		if err := os.Remove(filepath.Join(s.dir, sums.Name)); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		before := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		_, err = Extract(context.Background(), e, prompts, s.dir, opts)
		slog.SetDefault(before)
		if err != nil || !strings.Contains(log.String(), "no "+sums.Name) {
			t.Errorf("without a list: %v, logged %q", err, log.String())
		}
	}
}

// Bytes that change between the blocks of a job, which no later reader could know.
func TestDamageWhileAJobRuns(t *testing.T) {
	e := open(t, nil)
	prompts := Grid(grid(t, 3, 2))
	for _, name := range []string{npyName(1), indexName, responsesName} {
		dir := filepath.Join(t.TempDir(), "out")
		opts := ExtractOptions{Layers: []int{1}, Position: PositionResponseAll, Response: Response{MaxTokens: 4}, block: block{2, 1 << 30}}
		path := filepath.Join(dir, partialName, name)
		stopped := 0
		for {
			ctx, cancel := context.WithCancel(context.Background())
			opts.afterBlock = cancel
			_, err := Extract(ctx, e, prompts, dir, opts)
			cancel()
			if !errors.Is(err, ErrInterrupted) {
				if !errors.Is(err, sums.ErrDamaged) || !strings.Contains(err.Error(), name) || stopped < 4 {
					t.Errorf("%s, after %d stops: %v", name, stopped, err)
				}
				break
			}
			stopped++
			if data, err := os.ReadFile(path); stopped == 5 && err == nil {
				at := len(data) - 3
				for _, key := range []string{`"text":"`, `"persona":"`} { // a letter: it still is JSON
					if i := strings.Index(string(data), key); i >= 0 {
						at = i + len(key)
					}
				}
				data[at] ^= 1
				if err := os.WriteFile(path, data, 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// A job that an earlier build began has no hashes as yet.
func TestJobOfAnEarlierBuildGoesOn(t *testing.T) {
	e := open(t, nil)
	prompts := Grid(grid(t, 3, 2))
	opts := ExtractOptions{Layers: []int{1}, block: block{2, 1 << 30}}
	want := files(t, mustExtract(t, e, prompts, opts).dir)
	dir := filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithCancel(context.Background())
	opts.afterBlock = cancel
	if _, err := Extract(ctx, e, prompts, dir, opts); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	p, err := loadProgress(filepath.Join(dir, partialName))
	if err != nil || len(p.Hashes) != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	p.Hashes = nil
	if err := p.save(filepath.Join(dir, partialName)); err != nil {
		t.Fatal(err)
	}
	opts.afterBlock = nil
	if _, err := Extract(context.Background(), e, prompts, dir, opts); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, "resumed", want, files(t, dir))
}
