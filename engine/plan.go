package engine

import "personaprobe/sampler"

// plan fills the step: pieces of the admitted prompts, oldest first, as many as a
// chunk holds, and a row for each sequence. Where a prompt is cut depends
// on the prompt alone, because on some devices the cut shows in the last bits.
//
// While completions of computed prompts wait for rows, prompts can wait, too, until
// they fill a chunk: a device that pads its passes would compute each alone at the
// price of a chunk.
func (s *scheduler) plan() *Step {
	st := &s.steps[s.turn]
	*st = Step{Chunks: st.Chunks[:0], Rows: st.Rows[:0], Choices: st.Choices[:0], groups: st.groups[:0], sequences: st.sequences[:0]}
	tokens := 0
	if s.stocked() {
		tokens = s.capacity.Chunk // none
	}
	for _, g := range s.groups {
		if g.planned == len(g.prompt) {
			continue
		}
		n := min(len(g.prompt)-g.planned, s.capacity.Chunk)
		if tokens+n > s.capacity.Chunk {
			break
		}
		c := Chunk{Slot: g.slot, Pos: g.planned, Tokens: g.prompt[g.planned : g.planned+n]}
		g.planned += n
		if g.planned == len(g.prompt) {
			for k := range g.req.completions() {
				c.Draws = append(c.Draws, g.draw(k, 0))
			}
		}
		tokens += n
		st.Chunks = append(st.Chunks, c)
		st.groups = append(st.groups, g)
	}
	for slot, seq := range s.active {
		if seq == nil || seq.ending {
			continue
		}
		n := len(seq.tokens) + seq.pending
		row := Row{Slot: slot, Pos: len(seq.group.prompt) + n - 1, Draw: seq.group.draw(seq.number, n)}
		if seq.pending > 0 {
			row.After = seq.row + 1
		} else {
			row.Token = seq.tokens[n-1]
		}
		seq.pending++
		if n+1 == seq.group.maxTokens {
			seq.ending = true
			s.nEnding++
		}
		seq.row = len(st.Rows)
		st.Rows = append(st.Rows, row)
		st.sequences = append(st.sequences, seq)
	}
	return st
}

// stocked reports whether computed prompts have completions to start, and the others
// do not fill a chunk.
func (s *scheduler) stocked() bool {
	stock, pending := false, 0
	for _, g := range s.groups {
		if g.ready() {
			stock = stock || g.unstarted() > 0
		} else {
			pending += len(g.prompt) - g.planned
		}
	}
	return stock && pending < s.capacity.Chunk
}

// draw names the random number of token position of completion number.
func (j *job) draw(number, position int) Draw {
	seed, index := j.seed(number)
	return Draw{
		Params:   j.req.Sampling,
		Key:      sampler.Key{Seed: seed, Prompt: j.hash, Completion: uint32(index)},
		Position: uint32(position),
	}
}

// seed splits a completion's number into its seed and its index under it.
func (j *job) seed(number int) (seed uint64, index int) {
	n := max(j.req.N, 1)
	if len(j.req.Seeds) > 0 {
		seed = j.req.Seeds[number/n]
	}
	return seed, number % n
}
