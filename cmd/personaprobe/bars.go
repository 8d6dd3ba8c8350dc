package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

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
	output := mpb.WithOutput(w)
	if f, ok := w.(*os.File); ok {
		output = mpb.WithConsoleWriter(&console{f: f})
	}
	b := &bars{
		container: mpb.New(output, mpb.WithAutoRefresh()),
		shards:    map[string]*bar{},
	}
	barsShown.Store(b.container)
	return b
}

// console writes the bars, and over those of the last time, to a terminal. It begins at the
// start of the line, unlike the library's own: the terminal itself writes ^C there.
type console struct {
	bytes.Buffer
	f *os.File
}

func (*console) IsTerminal() bool { return true }

func (c *console) GetTermSize() (width, height int, err error) { return term.GetSize(int(c.f.Fd())) }

func (c *console) Flush(lines int) error {
	if _, err := c.WriteTo(c.f); err != nil {
		return err
	}
	if lines > 0 { // to be written before what comes next
		fmt.Fprintf(&c.Buffer, "\r\x1b[%dA\x1b[J", lines)
	}
	return nil
}

// barsShown are those on the terminal, or nil.
var barsShown atomic.Pointer[mpb.Progress]

// aboveBars writes messages, whole lines each. While bars are shown they go above them: a
// line in between would be erased with the bars, and a bar be left in its place.
type aboveBars struct{ w io.Writer }

func (a aboveBars) Write(text []byte) (int, error) {
	if shown := barsShown.Load(); shown != nil {
		if n, err := shown.Write(text); err == nil {
			return n, nil
		} // it has just ended
	}
	return a.w.Write(text)
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
	barsShown.CompareAndSwap(b.container, nil)
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
