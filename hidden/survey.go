package hidden

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"math"

	"personaprobe/engine"
)

// survey is what a first pass over the prompts finds: that the job can be done, and
// how large it is. Only a few bytes of each prompt are kept, to know its id again.
type survey struct {
	prompts int
	tokens  int      // of all prompts
	longest int      // tokens of the longest prompt
	idBytes int      // of all ids and labels
	sha256  string   // of all prompts with their labels
	ids     string   // SHA-256 of all prompts' token ids
	clock   bool     // a chat template read the clock for one of them
	marks   []uint64 // promptHash.mark after each
}

// rows is the number of rows that a job of these prompts can have at most.
func (s *survey) rows(o *ExtractOptions) int {
	switch o.Position {
	case PositionAll:
		return s.tokens
	case PositionResponseMean:
		return s.prompts * o.Response.perPrompt()
	case PositionResponseAll:
		return s.prompts * o.Response.perPrompt() * o.Response.MaxTokens
	}
	return s.prompts
}

// look goes through the prompts and reports the first that cannot be read.
func look(ctx context.Context, e *engine.Engine, prompts Prompts, o *ExtractOptions) (*survey, error) {
	s := &survey{}
	sum, ids := newPromptHash(), newPromptHash()
	seen := map[[16]byte]bool{} // of hashed ids: a small part of what a prompt's row takes
	for p, err := range prompts {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if err := s.add(e, &p, o, ids); err != nil {
			return nil, fmt.Errorf("%w: prompt %d (%s): %w", ErrInput, s.prompts+1, p.ID, err)
		}
		id := [16]byte(sumOf(p.ID))
		if seen[id] {
			return nil, fmt.Errorf("%w: prompt %d has the id %q, as one before it has", ErrInput, s.prompts, p.ID)
		}
		seen[id] = true
		if err := sum.add(&p); err != nil {
			return nil, err
		}
		s.marks = append(s.marks, sum.mark())
		if s.prompts%1000 == 0 {
			o.Progress(Progress{Phase: PhaseCheck, Done: s.prompts})
		}
	}
	if s.prompts == 0 {
		return nil, fmt.Errorf("%w: there are no prompts", ErrInput)
	}
	s.sha256, s.ids = sum.hex(), ids.hex()
	o.Progress(Progress{Phase: PhaseCheck, Done: s.prompts, Total: s.prompts})
	return s, nil
}

func (s *survey) add(e *engine.Engine, p *Prompt, o *ExtractOptions, sum *promptHash) error {
	if err := p.validate(); err != nil {
		return err
	}
	ids, clock, err := p.render(e.Tokenizer())
	if err != nil {
		return err
	}
	s.clock = s.clock || clock
	n, info := len(ids), e.Info()
	if n == 0 {
		return fmt.Errorf("it has no tokens")
	}
	for i, t := range ids {
		if t < 0 || int(t) >= info.Vocab {
			return fmt.Errorf("tokens[%d] is %d, the vocabulary has %d", i, t, info.Vocab)
		}
	}
	room := info.Context
	if room == 0 { // the model does not say
		room = math.MaxInt
	}
	if o.Position.ofResponse() {
		if n += o.Response.MaxTokens; n > room {
			return fmt.Errorf("its %d tokens and a response of %d exceed the model's context of %d; lower the response's length", len(ids), o.Response.MaxTokens, room)
		}
	}
	if n > room {
		return fmt.Errorf("it has %d tokens, the model's context is %d; shorten it", n, room)
	}
	if err := sum.add(ids); err != nil {
		return err
	}
	s.prompts++
	s.tokens += len(ids)
	s.longest = max(s.longest, len(ids))
	s.idBytes += len(p.ID) + len(p.Persona) + len(p.Question) + len(p.Group)
	return nil
}

// promptHash tells whether two passes over the prompts gave the same.
type promptHash struct {
	h hash.Hash
	e *json.Encoder
}

func newPromptHash() *promptHash {
	h := sha256.New()
	return &promptHash{h, json.NewEncoder(h)}
}

func (h *promptHash) add(v any) error { return h.e.Encode(v) }

// mark is a short hash of the prompts so far.
func (h *promptHash) mark() uint64 { return binary.BigEndian.Uint64(h.h.Sum(nil)) }

func (h *promptHash) hex() string { return hex.EncodeToString(h.h.Sum(nil)) }

func sumOf(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:16]
}
