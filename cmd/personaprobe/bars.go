package main

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"personaprobe/experiment"
)

// bars is the display on a terminal: a bar for the phase, with rates and time left,
// and below it one for each shard that is being written.
type bars struct {
	container *mpb.Progress
	main      *bar
	name      string // of main: a phase, or what is done to a file
	shards    map[string]*bar
}

func newBars(w io.Writer) *bars {
	return &bars{
		container: mpb.New(mpb.WithOutput(w), mpb.WithAutoRefresh()),
		shards:    map[string]*bar{},
	}
}

func (b *bars) report(s experiment.Status) {
	main := b.show(s.Phase, int64(s.Total))
	main.set(int64(s.Done), fmt.Sprintf("%d/%d%s%s", s.Done, s.Total, rates(s), left(s)))
	for _, shard := range s.Shards {
		under := b.shards[shard.Shard]
		running := s.Phase == experiment.PhaseGenerate && shard.Done > 0 && !shard.Finished
		switch {
		case running && under == nil:
			under = newBar(b.container, "  "+shard.Shard, int64(shard.Total))
			b.shards[shard.Shard] = under
		case !running && under != nil:
			under.Abort(true)
			delete(b.shards, shard.Shard)
		}
		if running {
			under.set(int64(shard.Done), fmt.Sprintf("%d/%d", shard.Done, shard.Total))
		}
	}
}

func (b *bars) file(what string, done, total int64) {
	b.show(what, total).set(done, fmt.Sprintf("%.0f %%", 100*float64(done)/float64(max(total, 1))))
}

// show makes the main bar that of the named work.
func (b *bars) show(name string, total int64) *bar {
	if b.main == nil || b.name != name {
		if b.main != nil {
			b.main.Abort(true)
		}
		b.main, b.name = newBar(b.container, name, total), name
	}
	return b.main
}

// close takes all bars off.
func (b *bars) close() {
	if b.main != nil {
		b.main.Abort(true)
	}
	for _, under := range b.shards {
		under.Abort(true)
	}
	b.container.Wait()
}

// bar is a bar with a text behind it.
type bar struct {
	*mpb.Bar
	text atomic.Value // string
}

func newBar(container *mpb.Progress, name string, total int64) *bar {
	b := &bar{}
	b.text.Store("")
	b.Bar = container.New(max(total, 1), mpb.BarStyle(),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			text, _ := b.text.Load().(string)
			return text
		}, decor.WCSyncSpaceR)))
	return b
}

func (b *bar) set(done int64, text string) {
	b.text.Store(text)
	b.SetCurrent(done)
}
