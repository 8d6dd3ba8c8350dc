package engine

import (
	"context"
	"fmt"
	"time"

	"personaprobe/sampler"
)

// job is a request ready to be scheduled: its prompt as tokens, its limits
// checked against the capacity.
type job struct {
	req       *Request
	prompt    []int32
	hash      uint64 // sampler.PromptHash of prompt
	maxTokens int    // at least 1
	refused   error  // not nil: the job is only passed on, to say so
}

// group is an admitted job: a prompt in a slot and its completions.
type group struct {
	job
	slot    int              // where the prompt is, until the last completion takes the slot over
	planned int              // prompt tokens that have been in a step
	first   []sampler.Choice // first token of each completion, once the prompt is computed
	started int              // completions started
	since   time.Time        // of the admission
}

func (g *group) ready() bool    { return g.first != nil }
func (g *group) unstarted() int { return g.req.completions() - g.started }

// sequence is a completion in the making.
type sequence struct {
	group    *group
	number   int // among the group's completions
	slot     int
	tokens   []int32
	logProbs []float32
	logProb  float64
	pending  int  // tokens under way: 0 or 1
	row      int  // of the step under way that has it
	ending   bool // the token under way is its last, by its length
	finished bool // a row may still be under way
}

// result is a finished sequence.
type result struct {
	*sequence
	finish FinishReason
}

// text judges the tokens of an unfinished sequence; see stopper.
type stopRule func(seq *sequence) bool

// scheduler decides what each step computes. Its order is a function of the
// jobs alone. Invariants: every slot is free, a group's or a sequence's; the
// groups that are not fully started are in order of admission.
type scheduler struct {
	stepper  Stepper
	capacity Capacity
	end      map[int32]bool // end-of-generation tokens
	stop     stopRule       // nil: no stop strings

	adapter  string // in use
	adapted  bool   // Use has been called
	free     *slots
	groups   []*group    // admitted and not fully started, oldest first
	active   []*sequence // by slot; nil where none
	nActive  int
	nEnding  int  // of the active ones: they need no row of the next step
	held     *job // pulled, but not yet admissible
	noMore   bool // the source is dry
	steps    [2]Step
	turn     int   // of steps: the next to be planned
	under    *Step // started and not collected; nil: none
	counters *Counters
}

func newScheduler(s Stepper, end map[int32]bool, stop stopRule, counters *Counters) *scheduler {
	c := s.Capacity()
	return &scheduler{stepper: s, capacity: c, end: end, stop: stop, free: newSlots(c.Slots),
		active: make([]*sequence, c.Slots), counters: counters}
}

// run takes jobs from next until it returns nil, and gives each finished
// sequence to emit, which may say false to stop. After an error or a stop the
// scheduler is empty again, unless the stepper fails at that too.
func (s *scheduler) run(ctx context.Context, next func() (*job, error), emit func(result) bool) error {
	err := s.loop(ctx, next, emit)
	if s.under != nil { // its result is of no use
		if e := s.stepper.Finish(s.under); err == nil {
			err = e
		}
		s.under = nil
	}
	s.adapted = false // what comes between two runs may use another adapter
	if cleanup := s.clear(); err == nil {
		err = cleanup
	}
	return err
}

func (s *scheduler) loop(ctx context.Context, next func() (*job, error), emit func(result) bool) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if ok, err := s.start(emit); err != nil || !ok {
			return err
		}
		if ok, err := s.admit(next, emit); err != nil || !ok {
			return err
		}
		step := s.plan()
		if len(step.Chunks) == 0 && len(step.Rows) == 0 {
			if s.under == nil && len(s.groups) == 0 && s.noMore && s.held == nil {
				return nil
			}
			// A step is under way, or first tokens are drawn and start is next.
			if ok, err := s.finish(emit); err != nil || !ok {
				return err
			}
			continue
		}
		if err := s.stepper.Start(step); err != nil {
			return err
		}
		s.turn = 1 - s.turn
		if ok, err := s.finish(emit); err != nil || !ok {
			s.under = step
			return err
		}
		s.under = step
		if !s.capacity.Ahead {
			if ok, err := s.finish(emit); err != nil || !ok {
				return err
			}
		}
	}
}

// finish waits for the step under way, if there is one, and collects it.
func (s *scheduler) finish(emit func(result) bool) (bool, error) {
	step := s.under
	if step == nil {
		return true, nil
	}
	s.under = nil
	if err := s.stepper.Finish(step); err != nil {
		return false, err
	}
	s.counters.addStep(step, s.capacity.Rows)
	return s.collect(step, emit)
}

// start gives free slots to completions whose prompts are computed. The last
// completion of a group takes over the prompt's own slot, so nothing is copied
// for it and the prompt needs no slot beyond its last start.
func (s *scheduler) start(emit func(result) bool) (bool, error) {
	for len(s.groups) > 0 && s.groups[0].ready() {
		g := s.groups[0]
		for g.unstarted() > 0 {
			seq := &sequence{group: g, number: g.started, slot: -1}
			choice := g.first[g.started]
			last := g.unstarted() == 1
			if finish := s.push(seq, choice); finish != "" { // needs no slot at all
				g.started++
				if !emit(result{seq, finish}) {
					return false, nil
				}
				continue
			}
			switch {
			case s.nActive-s.nEnding == s.capacity.Rows:
				return true, nil // seq is dropped; it is rebuilt when there is room
			case last:
				seq.slot, g.slot = g.slot, -1
			case s.free.free > 0:
				seq.slot = s.free.take()
				if err := s.stepper.Fork(seq.slot, g.slot); err != nil {
					_ = s.release(seq.slot) // the fork's error is the one to tell
					return false, fmt.Errorf("fork prompt: %w", err)
				}
			default:
				return true, nil // likewise
			}
			g.started++
			s.active[seq.slot] = seq
			s.nActive++
		}
		if g.slot >= 0 {
			if err := s.release(g.slot); err != nil {
				return false, err
			}
			g.slot = -1
		}
		s.groups = s.groups[1:]
	}
	return true, nil
}

// admit pulls jobs while there are slots that the groups already admitted will
// not fill. All work in flight uses one adapter, so a job with another one
// waits until the slots are empty.
func (s *scheduler) admit(next func() (*job, error), emit func(result) bool) (bool, error) {
	demand := 0
	for _, g := range s.groups {
		demand += g.unstarted() - 1 // one of them inherits the group's slot
	}
	for s.free.free > 0 && demand < s.free.free {
		if s.held == nil && !s.noMore {
			j, err := next()
			if err != nil {
				return false, err
			}
			s.held, s.noMore = j, j == nil
		}
		if s.held == nil {
			return true, nil
		}
		if s.held.refused != nil {
			refused := &sequence{group: &group{job: *s.held}}
			s.held = nil
			if !emit(result{refused, ""}) {
				return false, nil
			}
			continue
		}
		if !s.adapted || s.held.req.Adapter != s.adapter {
			if s.nActive > 0 || len(s.groups) > 0 {
				return true, nil
			}
			// A last step may be under way whose rows have all ended: Use may overwrite
			// the weights that it reads.
			if ok, err := s.finish(emit); err != nil || !ok {
				return ok, err
			}
			s.adapted = false
			if err := s.stepper.Use(s.held.req.Adapter); err != nil {
				return false, fmt.Errorf("adapter %q: %w", s.held.req.Adapter, err)
			}
			s.adapter, s.adapted = s.held.req.Adapter, true
		}
		g := &group{job: *s.held, slot: s.free.take(), since: time.Now()}
		s.held = nil
		s.groups = append(s.groups, g)
		demand += g.unstarted() - 1
	}
	return true, nil
}

// collect takes the step's choices into groups and sequences and emits what is
// finished.
//
// The row of a sequence that has finished in the meantime is passed over.
func (s *scheduler) collect(step *Step, emit func(result) bool) (bool, error) {
	choices := step.Choices
	for i, c := range step.Chunks {
		g := step.groups[i]
		if len(c.Draws) > 0 {
			g.first = append([]sampler.Choice{}, choices[:len(c.Draws)]...)
			choices = choices[len(c.Draws):]
		}
	}
	for i, row := range step.Rows {
		seq := step.sequences[i]
		seq.pending--
		if seq.finished {
			continue
		}
		finish := s.push(seq, choices[i])
		if finish == "" {
			continue
		}
		seq.finished = true
		s.active[row.Slot] = nil
		s.nActive--
		if seq.ending {
			s.nEnding--
		}
		if err := s.release(row.Slot); err != nil {
			return false, err
		}
		if !emit(result{seq, finish}) {
			return false, nil
		}
	}
	return true, nil
}

// push appends a chosen token and says why the sequence is finished, or "".
func (s *scheduler) push(seq *sequence, c sampler.Choice) FinishReason {
	seq.logProb += c.LogProb
	if s.end[c.Token] {
		return FinishStop
	}
	seq.tokens = append(seq.tokens, c.Token)
	if seq.group.req.LogProbs {
		seq.logProbs = append(seq.logProbs, float32(c.LogProb))
	}
	if s.stop != nil && len(seq.group.req.Stop) > 0 && s.stop(seq) {
		return FinishStop
	}
	if len(seq.tokens) == seq.group.maxTokens {
		return FinishLength
	}
	return ""
}

func (s *scheduler) release(slot int) error {
	s.free.put(slot)
	if err := s.stepper.Free(slot); err != nil {
		return fmt.Errorf("free slot %d: %w", slot, err)
	}
	return nil
}

// clear frees every slot, whatever state a step left them in.
func (s *scheduler) clear() error {
	var first error
	note := func(err error) {
		if first == nil {
			first = err
		}
	}
	for _, g := range s.groups {
		if g.slot >= 0 {
			note(s.release(g.slot))
		}
	}
	s.groups, s.held, s.noMore = nil, nil, false
	for slot, seq := range s.active {
		if seq != nil {
			s.active[slot] = nil
			note(s.release(slot))
		}
	}
	s.nActive, s.nEnding = 0, 0
	return first
}
