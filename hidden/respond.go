package hidden

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"personaprobe/engine"
	"personaprobe/internal/disk"
)

const responsesName = "responses.jsonl"

// ResponseLine is a generated response: a line of responses.jsonl.
type ResponseLine struct {
	ID         string              `json:"id"` // the prompt's
	Seed       uint64              `json:"seed"`
	Completion int32               `json:"completion"` // number among those of its seed
	Tokens     []int32             `json:"tokens"`     // without the end-of-turn token
	Text       string              `json:"text"`
	Finish     engine.FinishReason `json:"finish"`
}

// respond generates the responses, block by block, in the order of prompt, seed and
// number.
func (x *extraction) respond(ctx context.Context) error {
	r := &x.opts.Response
	f, err := x.grow(responsesName, 0, x.progress.ResponseBytes)
	if err != nil {
		return err
	}
	defer f.Close()
	// Every block ends with slots that run empty, so it has many responses to a slot.
	limit := max(1, 8*x.e.Options().Slots/r.perPrompt())
	limit = min(limit, x.opts.block.prompts)
	encode := func(p *Prompt) (engine.Request, int64, error) {
		ids, err := p.encode(x.e.Tokenizer())
		return engine.Request{
			ID: p.ID, Tokens: ids, Adapter: x.opts.Adapter,
			Seeds: r.Seeds, N: r.N, Sampling: r.Sampling, MaxTokens: r.MaxTokens,
		}, 0, err
	}
	return blocks(ctx, x, limit, encode, func(requests []engine.Request) error {
		lines, err := x.generate(ctx, requests)
		if err != nil {
			return err
		}
		n, err := appendLines(f, lines)
		if err != nil {
			return err
		}
		x.progress.ResponseBytes += n
		x.progress.Prompts += len(requests)
		if err := x.progress.keep(f); err != nil {
			return err
		}
		return x.progress.save(x.partial)
	})
}

// generate returns the responses to a block of requests.
func (x *extraction) generate(ctx context.Context, requests []engine.Request) ([]ResponseLine, error) {
	r := &x.opts.Response
	numbers := make(map[string]int, len(requests))
	for i := range requests {
		numbers[requests[i].ID] = i
	}
	type numbered struct {
		prompt, seed int
		ResponseLine
	}
	var all []numbered
	for c, err := range x.e.Generate(ctx, slices.Values(requests)) {
		if err != nil {
			return nil, err
		}
		all = append(all, numbered{numbers[c.ID], slices.Index(r.Seeds, c.Seed), ResponseLine{
			ID: c.ID, Seed: c.Seed, Completion: int32(c.Index), Tokens: append([]int32{}, c.Tokens...), Text: c.Text, Finish: c.Finish,
		}})
		x.report(len(all) / r.perPrompt())
	}
	slices.SortFunc(all, func(a, b numbered) int {
		return cmp.Or(cmp.Compare(a.prompt, b.prompt), cmp.Compare(a.seed, b.seed), cmp.Compare(a.Completion, b.Completion))
	})
	lines := make([]ResponseLine, len(all))
	for i, n := range all {
		lines[i] = n.ResponseLine
	}
	return lines, nil
}

// appendLines writes values as lines of JSON, durably, and says how many bytes.
func appendLines[T any](f *growing, values []T) (int64, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i := range values {
		if err := enc.Encode(&values[i]); err != nil {
			return 0, err
		}
	}
	if _, err := f.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return int64(b.Len()), f.Sync()
}

// responseReader gives the responses in the order in which they were written.
type responseReader struct {
	f   *disk.File
	dec *json.Decoder
}

// openResponses opens a file of length bytes behind the first skip responses.
func openResponses(path string, length int64, skip int) (*responseReader, error) {
	f, err := openPart(path, length)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r := &responseReader{f, json.NewDecoder(bufio.NewReaderSize(f, 1<<18))}
	for range skip {
		if err := r.decode(new(ResponseLine)); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return r, nil
}

func (r *responseReader) decode(line *ResponseLine) error {
	err := r.dec.Decode(line)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.f.Name(), err)
	}
	return nil
}

// next returns the n responses to the prompt called id.
func (r *responseReader) next(id string, n int) ([]ResponseLine, error) {
	lines := make([]ResponseLine, n)
	for i := range lines {
		if err := r.decode(&lines[i]); err != nil {
			return nil, err
		}
		if lines[i].ID != id {
			return nil, fmt.Errorf("%s: a response to %s where one to %s is due", r.f.Name(), lines[i].ID, id)
		}
	}
	return lines, nil
}
