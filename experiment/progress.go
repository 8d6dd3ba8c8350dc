package experiment

import (
	"errors"
	"path/filepath"
	"time"

	"personaprobe/engine"
	"personaprobe/internal/atomicfile"
)

// The phases of a run, in their order.
const (
	PhaseAdapters  = "adapters"  // what each adapter does, when a run begins; counted in prompts
	PhaseCentroids = "centroids" // hidden states of the base model; counted in prompts
	PhaseGenerate  = "generate"  // completions
	PhaseAnalyse   = "analyse"   // the two analysis files
	PhaseDone      = "done"

	// In progress.json after a run that did not come so far; it may go on later. A killed
	// process leaves the phase that it was in.
	PhaseInterrupted = "interrupted"
	PhaseFailed      = "failed"
)

// Progress hears how a run goes on. Report is called by Run's goroutine, or while it
// waits: at every change of phase, and otherwise a few times a second at most.
type Progress interface {
	Report(Status)
}

// Status is the state of a run; progress.json holds it too.
type Status struct {
	Phase           string        `json:"phase"`
	Adapter         string        `json:"adapter"`           // that is sampled now; "" is the base model
	Done            int           `json:"done"`              // prompts or completions of the phase, those of earlier attempts included
	Total           int           `json:"total"`             // of the phase
	Tokens          int           `json:"tokens"`            // new tokens of this attempt
	TokensPerSecond float64       `json:"tokens_per_second"` // of this attempt
	PerSecond       float64       `json:"per_second"`        // prompts or completions, of this attempt
	Occupancy       float64       `json:"occupancy"`         // share of the engine's rows that were in use, in [0, 1]; 0 if not known
	ETASeconds      float64       `json:"eta_seconds"`       // of the phase; 0 if not known yet
	Shards          []ShardStatus `json:"shards"`
	Updated         string        `json:"updated"` // RFC 3339, UTC
}

// ShardStatus is the state of one shard, in completions.
type ShardStatus struct {
	Shard    string `json:"shard"`
	Done     int    `json:"done"` // kept on disk or about to be
	Total    int    `json:"total"`
	Finished bool   `json:"finished"` // its artefacts are written
}

const (
	progressFile  = "progress.json"
	reportEvery   = 200 * time.Millisecond
	progressEvery = 3 * time.Second
)

// tracker keeps a run's Status and passes it on, often to the caller and now and then
// to the disk.
type tracker struct {
	store    *store
	sink     Progress // may be nil
	status   Status
	index    map[string]int // shard name -> number in status.Shards
	began    time.Time      // of the phase
	before   int            // Done when the phase began: not this attempt's work
	counts   func() engine.Counts
	counted  engine.Counts // when the phase began
	reported time.Time
	written  time.Time
}

// counter is what a Model may have besides, to tell how full the device is.
type counter interface{ Counts() engine.Counts }

func newTracker(s *store, model Model, sink Progress) (*tracker, error) {
	t := &tracker{store: s, sink: sink, index: make(map[string]int), counts: func() engine.Counts { return engine.Counts{} }}
	if c, ok := model.(counter); ok {
		t.counts = c.Counts
	}
	for _, shard := range s.study.Shards() {
		status := ShardStatus{Shard: shard.Name(), Total: s.study.ShardSize(shard.Adapter.Source)}
		var err error
		if status.Finished, err = s.finished(shard); err != nil {
			return nil, err
		}
		if status.Finished {
			status.Done = status.Total
		}
		t.index[status.Shard] = len(t.status.Shards)
		t.status.Shards = append(t.status.Shards, status)
	}
	return t, nil
}

// phase begins a phase of total units, done of which earlier attempts did.
func (t *tracker) phase(name string, done, total int) error {
	t.status.Phase, t.status.Adapter = name, ""
	t.status.Done, t.status.Total = done, total
	t.began, t.before, t.counted = time.Now(), done, t.counts()
	return t.report(true)
}

// stopped writes down that the run has ended early. Why, the caller knows; a disk that cannot
// be written is no news then.
func (t *tracker) stopped(err error) {
	t.status.Phase, t.status.ETASeconds = PhaseFailed, 0
	if errors.Is(err, ErrInterrupted) {
		t.status.Phase = PhaseInterrupted
	}
	t.status.Updated = time.Now().UTC().Format(time.RFC3339)
	_ = t.write()
}

// adapter says which adapter is sampled from now on.
func (t *tracker) adapter(name string) error {
	t.status.Adapter = name
	return t.report(true)
}

// prompt counts a prompt whose states were read.
func (t *tracker) prompt() error {
	t.status.Done++
	return t.report(false)
}

// completion counts a completion of this attempt; it is done when its group is.
func (t *tracker) completion(tokens int) error {
	t.status.Tokens += tokens
	return t.report(false)
}

// group counts a group of completions that is complete.
func (t *tracker) group(shard Shard, completions int) { t.count(shard, completions) }

// kept counts completions that an earlier attempt left in a shard's checkpoint.
func (t *tracker) kept(shard Shard, completions int) {
	t.count(shard, completions)
	t.before += completions
}

func (t *tracker) count(shard Shard, n int) {
	t.status.Done += n
	t.status.Shards[t.index[shard.Name()]].Done += n
}

// finished notes that a shard's artefacts are written.
func (t *tracker) finished(shard Shard) error {
	t.status.Shards[t.index[shard.Name()]].Finished = true
	return t.report(true)
}

// report passes the status on if it is time, or in any case if forced.
func (t *tracker) report(force bool) error {
	now := time.Now()
	if !force && now.Sub(t.reported) < reportEvery {
		return nil
	}
	t.reported = now
	t.status.Updated = now.UTC().Format(time.RFC3339)
	t.status.ETASeconds, t.status.PerSecond = 0, 0
	t.status.Occupancy = t.counts().Sub(t.counted).Occupancy()
	if spent := now.Sub(t.began).Seconds(); spent > 0 && t.status.Done > t.before {
		rate := float64(t.status.Done-t.before) / spent
		t.status.ETASeconds = float64(t.status.Total-t.status.Done) / rate
		t.status.PerSecond = rate
		if t.status.Phase == PhaseGenerate {
			t.status.TokensPerSecond = float64(t.status.Tokens) / spent
		}
	}
	if t.sink != nil {
		copied := t.status
		copied.Shards = append([]ShardStatus(nil), t.status.Shards...)
		t.sink.Report(copied)
	}
	if !force && now.Sub(t.written) < progressEvery {
		return nil
	}
	t.written = now
	return t.write()
}

func (t *tracker) write() error {
	data, err := marshal(t.status, "")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(t.store.dir, progressFile), append(data, '\n'))
}
