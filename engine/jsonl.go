package engine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"personaprobe/sampler"
)

// jsonRequest is a line of input, with the field names of the OpenAI API.
type jsonRequest struct {
	ID          string     `json:"id"`
	Prompt      string     `json:"prompt"`
	Messages    []Message  `json:"messages"`
	Tokens      []int32    `json:"tokens"`
	Adapter     *string    `json:"adapter"`
	N           *int       `json:"n"`
	Seed        *uint64    `json:"seed"`
	Seeds       []uint64   `json:"seeds"`
	Temperature *float32   `json:"temperature"`
	TopP        *float32   `json:"top_p"`
	MaxTokens   *int       `json:"max_tokens"`
	Stop        stopString `json:"stop"`
	LogProbs    bool       `json:"logprobs"`
}

// stopString is a string or a list of them.
type stopString []string

func (s *stopString) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*s = stopString{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(s))
}

// ReadRequests reads a request from each line of JSON:
//
//	{"id": "a", "messages": [{"role": "user", "content": "Hi"}], "n": 2, "seed": 7,
//	 "adapter": "villain", "temperature": 1, "top_p": 0.95, "max_tokens": 64, "stop": "\n", "logprobs": true}
//
// "prompt" (plain text) or "tokens" (ids) may stand for "messages", "seeds" for
// "seed". Fields left out come from defaults; an id left out is the line number.
// Unknown fields are errors. A bad line yields an error that wraps [ErrRequest] and
// names it, with a Request that has only the ID, and reading goes on.
func ReadRequests(r io.Reader, defaults Request) iter.Seq2[Request, error] {
	return func(yield func(Request, error) bool) {
		lines := bufio.NewReader(r)
		for n := 1; ; n++ {
			line, err := lines.ReadBytes('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				yield(Request{}, fmt.Errorf("line %d: %w", n, err))
				return
			}
			if len(bytes.TrimSpace(line)) > 0 {
				if !yield(parseRequest(line, n, defaults)) {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
}

func parseRequest(line []byte, n int, defaults Request) (Request, error) {
	var in jsonRequest
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	err := d.Decode(&in)
	if err == nil && !utf8.Valid(line) {
		err = errors.New("not valid UTF-8") // the decoder would replace it
	}
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("text after the object")
		}
	}
	if in.ID == "" {
		in.ID = fmt.Sprint(n)
	}
	if err != nil {
		return Request{ID: in.ID}, fmt.Errorf("%w: line %d: %w", ErrRequest, n, err)
	}
	if err := in.check(); err != nil {
		return Request{ID: in.ID}, fmt.Errorf("%w: line %d: %w", ErrRequest, n, err)
	}
	out := defaults
	out.ID, out.Text, out.Messages, out.Tokens = in.ID, in.Prompt, in.Messages, in.Tokens
	set(&out.Adapter, in.Adapter)
	set(&out.N, in.N)
	set(&out.MaxTokens, in.MaxTokens)
	set(&out.Sampling.Temperature, in.Temperature)
	set(&out.Sampling.TopP, in.TopP)
	if in.Seed != nil {
		out.Seeds = []uint64{*in.Seed}
	}
	if in.Seeds != nil {
		out.Seeds = in.Seeds
	}
	if in.Stop != nil {
		out.Stop = in.Stop
	}
	out.LogProbs = out.LogProbs || in.LogProbs
	if err := out.Validate(); err != nil {
		return Request{ID: in.ID}, fmt.Errorf("line %d: %w", n, err)
	}
	return out, nil
}

// check refuses what a Request cannot express: there 0 and nil stand for a default.
func (in *jsonRequest) check() error {
	switch {
	case in.Seed != nil && in.Seeds != nil:
		return errors.New("seed and seeds exclude each other")
	case in.Seeds != nil && len(in.Seeds) == 0:
		return errors.New("seeds is empty")
	case in.N != nil && *in.N < 1:
		return fmt.Errorf("n is %d, want at least 1", *in.N)
	case in.MaxTokens != nil && *in.MaxTokens < 1:
		return fmt.Errorf("max_tokens is %d, want at least 1", *in.MaxTokens)
	case in.TopP != nil && *in.TopP == 0:
		return errors.New("top_p is 0, want a number above 0 and up to 1 (1 cuts nothing off)")
	}
	return nil
}

func set[T any](dst *T, v *T) {
	if v != nil {
		*dst = *v
	}
}

// jsonCompletion is a line of output.
type jsonCompletion struct {
	ID           string       `json:"id"`
	Seed         uint64       `json:"seed"`
	Index        int          `json:"index"`
	Text         string       `json:"text"`
	FinishReason FinishReason `json:"finish_reason"`
	Usage        jsonUsage    `json:"usage"`
	LogProb      float64      `json:"logprob"`
	Tokens       []int32      `json:"tokens,omitempty"`
	LogProbs     []float32    `json:"logprobs,omitempty"`
}

type jsonUsage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
}

type jsonError struct {
	ID    string `json:"id"`
	Error struct {
		Message string `json:"message"`
	} `json:"error"`
}

// WriteCompletion writes a completion as a line of JSON, or, if err is not nil,
// the error in its place: {"id": ..., "error": {"message": ...}}. Tokens are
// written when the request asked for log-probabilities.
func WriteCompletion(w io.Writer, c Completion, err error) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err != nil {
		e := jsonError{ID: c.ID}
		e.Error.Message = err.Error()
		return enc.Encode(e)
	}
	out := jsonCompletion{
		ID: c.ID, Seed: c.Seed, Index: c.Index, Text: c.Text, FinishReason: c.Finish,
		Usage:   jsonUsage{c.PromptTokens, len(c.Tokens)},
		LogProb: c.LogProb, LogProbs: c.LogProbs,
	}
	if c.LogProbs != nil {
		out.Tokens = c.Tokens
	}
	return enc.Encode(out)
}

// DefaultSampling is the study's: temperature 1, top-p 0.95.
func DefaultSampling() sampler.Params { return sampler.Params{Temperature: 1, TopP: 0.95} }
