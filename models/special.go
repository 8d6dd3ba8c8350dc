package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"personaprobe/internal/fault"
	"personaprobe/models/gguf"
)

// Texts that Qwen2 uses to end a turn and a document.
const (
	endOfTurn = "<|im_end|>"
	endOfText = "<|endoftext|>"
)

// tokenizerConfig is what matters of tokenizer_config.json. Token fields are a
// string, null, or an object with "content".
type tokenizerConfig struct {
	AddedTokens  map[string]addedToken `json:"added_tokens_decoder"`
	AddBOS       bool                  `json:"add_bos_token"`
	AddEOS       bool                  `json:"add_eos_token"`
	BOS          json.RawMessage       `json:"bos_token"`
	EOS          json.RawMessage       `json:"eos_token"`
	Pad          json.RawMessage       `json:"pad_token"`
	ChatTemplate json.RawMessage       `json:"chat_template"`

	templates     map[string]string // by name; "default" is the chat template
	bos, eos, pad int               // ids, -1 where there is none
	stops         []int             // generation_config.json's eos ids
}

// readSpecial resolves the special tokens and the chat template. Like
// llama.cpp's converter it prefers tokenizer_config.json to config.json.
func (t *tokenizer) readSpecial(dir string) error {
	var config hfConfig
	if _, err := readOptional(filepath.Join(dir, "config.json"), &config); err != nil {
		return err
	}
	c := &t.config
	for _, s := range []struct {
		key  string
		text json.RawMessage
		id   json.RawMessage
		dst  *int
	}{
		{"bos_token", c.BOS, config.BosTokenID, &c.bos},
		{"eos_token", c.EOS, config.EosTokenID, &c.eos},
		{"pad_token", c.Pad, config.PadTokenID, &c.pad},
	} {
		id, err := t.special(s.text, s.id)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", dir, s.key, err)
		}
		*s.dst = id
	}
	if err := t.defaultEnds(dir); err != nil {
		return err
	}
	if err := t.readStops(dir); err != nil {
		return err
	}
	return t.readTemplates(dir)
}

// defaultEnds fills in Qwen2's own tokens where no file names any. llama.cpp
// would otherwise take token 11, a comma, for the end of a text.
func (t *tokenizer) defaultEnds(dir string) error {
	c := &t.config
	turn, okTurn := t.ids[endOfTurn]
	text, okText := t.ids[endOfText]
	switch {
	case c.eos >= 0:
	case okTurn:
		c.eos = turn
	case okText:
		c.eos = text
	default:
		return fault.Formatf("%s: no file names an end-of-sequence token (eos_token)", dir)
	}
	if c.pad < 0 && okText {
		c.pad = text
	}
	if c.AddBOS && c.bos < 0 {
		return fault.Formatf("%s: add_bos_token is set, but no file names a bos_token", dir)
	}
	return nil
}

// special returns the id of a token given by its text, else by its id.
func (t *tokenizer) special(text, id json.RawMessage) (int, error) {
	if set(text) {
		var s string
		if json.Unmarshal(text, &s) != nil {
			var object addedToken
			if err := json.Unmarshal(text, &object); err != nil {
				return -1, fault.Formatf("%w", err)
			}
			s = object.Content
		}
		n, ok := t.ids[s]
		if !ok {
			return -1, fault.Formatf("%q is not in the vocabulary", s)
		}
		return n, nil
	}
	ids, err := t.idList(id)
	if err != nil || len(ids) == 0 {
		return -1, err
	}
	return ids[0], nil
}

// idList decodes an id, a list of ids, or nothing.
func (t *tokenizer) idList(raw json.RawMessage) ([]int, error) {
	if !set(raw) {
		return nil, nil
	}
	var ids []int
	if json.Unmarshal(raw, &ids) != nil {
		var one int
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, fault.Formatf("%w", err)
		}
		ids = []int{one}
	}
	for _, id := range ids {
		if id < 0 || id >= len(t.tokens) {
			return nil, fault.Formatf("id %d lies outside the vocabulary of %d", id, len(t.tokens))
		}
	}
	return ids, nil
}

// readStops reads generation_config.json's eos_token_id, at which transformers
// and vLLM stop besides the tokeniser's own end token.
func (t *tokenizer) readStops(dir string) error {
	path := filepath.Join(dir, "generation_config.json")
	var config struct {
		Eos json.RawMessage `json:"eos_token_id"`
	}
	if _, err := readOptional(path, &config); err != nil {
		return err
	}
	ids, err := t.idList(config.Eos)
	if err != nil {
		return fmt.Errorf("%s: eos_token_id: %w", path, err)
	}
	t.config.stops = ids
	return nil
}

// readTemplates finds the chat template: chat_template.jinja, else
// tokenizer_config.json's string or list of named templates.
func (t *tokenizer) readTemplates(dir string) error {
	c := &t.config
	c.templates = map[string]string{}
	raw, err := readSmall(filepath.Join(dir, "chat_template.jinja"))
	if err == nil {
		c.templates["default"] = string(raw)
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !set(c.ChatTemplate) {
		return nil
	}
	var text string
	if json.Unmarshal(c.ChatTemplate, &text) == nil {
		c.templates["default"] = text
		return nil
	}
	var list []struct {
		Name     string `json:"name"`
		Template string `json:"template"`
	}
	if err := json.Unmarshal(c.ChatTemplate, &list); err != nil {
		return fault.Formatf("%s: chat_template: %w", dir, err)
	}
	for _, named := range list {
		c.templates[named.Name] = named.Template
	}
	return nil
}

// metadata returns the tokenizer's keys.
func (t *tokenizer) metadata() ([]gguf.KV, error) {
	c := &t.config
	kvs := []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: "gpt2"},
		{Key: "tokenizer.ggml.pre", Value: "qwen2"},
		{Key: "tokenizer.ggml.tokens", Value: t.tokens},
		{Key: "tokenizer.ggml.token_type", Value: t.types},
		{Key: "tokenizer.ggml.merges", Value: t.merges},
	}
	ends, err := t.ends()
	if err != nil {
		return nil, err
	}
	for _, s := range append([]specialKey{{"bos", c.bos}, {"padding", c.pad}}, ends...) {
		if s.id >= 0 {
			kvs = append(kvs, gguf.KV{Key: "tokenizer.ggml." + s.name + "_token_id", Value: uint32(s.id)})
		}
	}
	kvs = append(kvs,
		gguf.KV{Key: "tokenizer.ggml.add_bos_token", Value: c.AddBOS},
		gguf.KV{Key: "tokenizer.ggml.add_eos_token", Value: c.AddEOS})
	var names []string
	for name := range c.templates {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		key := "tokenizer.chat_template"
		if name != "default" {
			key += "." + name
		}
		kvs = append(kvs, gguf.KV{Key: key, Value: c.templates[name]})
	}
	return kvs, nil
}

type specialKey struct {
	name string
	id   int
}

// ends assigns the tokens that end a generation. llama.cpp knows eos, eot and
// eom by key, and <|im_end|> and <|endoftext|> by their text.
func (t *tokenizer) ends() ([]specialKey, error) {
	ends := []specialKey{{"eos", t.config.eos}, {"eot", -1}, {"eom", -1}}
	if id, ok := t.ids[endOfTurn]; ok {
		ends[1].id = id
	}
	for _, id := range t.config.stops {
		text := t.tokens[id]
		if text == endOfText || slices.ContainsFunc(ends, func(k specialKey) bool { return k.id == id }) {
			continue
		}
		free := slices.IndexFunc(ends, func(k specialKey) bool { return k.id < 0 })
		if free < 0 {
			return nil, fault.Unsupportedf("generation_config.json: eos_token_id lists %d, but GGUF has no key left for another end token", id)
		}
		ends[free].id = id
	}
	return ends, nil
}
