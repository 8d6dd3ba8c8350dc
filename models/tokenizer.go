package models

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"personaprobe/internal/fault"
	"personaprobe/internal/jsonobj"
)

// Token types of llama.cpp (enum llama_token_type) that a BPE vocabulary uses.
const (
	tokenNormal  int32 = 1
	tokenControl int32 = 3
	tokenUser    int32 = 4
	tokenUnused  int32 = 5
)

// qwenSplit is the pre-tokeniser's expression that llama.cpp runs under the
// name "qwen2". Another expression cuts text elsewhere and gives other ids.
const qwenSplit = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

// tokenizer is a byte-level BPE vocabulary, ready to be written to GGUF.
type tokenizer struct {
	tokens []string // by id; "" where the vocabulary has a gap
	types  []int32
	merges []string // "left right", best first
	ids    map[string]int
	config tokenizerConfig
}

// addedToken is a token outside the BPE model, matched as literal text.
type addedToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	Special    bool   `json:"special"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	SingleWord bool   `json:"single_word"`
}

// readTokenizer reads tokenizer.json, or vocab.json and merges.txt with the
// added tokens of added_tokens.json, and tokenizer_config.json for both. rows
// is the height of the embedding: ids beyond it are an error.
func readTokenizer(dir string, rows int64) (*tokenizer, error) {
	t := &tokenizer{ids: map[string]int{}}
	configPath := filepath.Join(dir, "tokenizer_config.json")
	if _, err := readOptional(configPath, &t.config); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "tokenizer.json")
	var file tokenizerJSON
	found, err := readOptional(path, &file)
	if err != nil {
		return nil, err
	}
	if found {
		err = t.loadJSON(&file, rows)
	} else {
		path = filepath.Join(dir, "vocab.json")
		err = t.loadVocab(dir, rows)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := t.addConfigTokens(rows); err != nil {
		return nil, fmt.Errorf("%s: %w", configPath, err)
	}
	if err := t.checkPairs(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := t.pad(rows); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, t.readSpecial(dir)
}

// tokenizerJSON is what matters of the tokenizers library's format.
type tokenizerJSON struct {
	AddedTokens   []addedToken `json:"added_tokens"`
	Normalizer    *step        `json:"normalizer"`
	PreTokenizer  *step        `json:"pre_tokenizer"`
	PostProcessor *step        `json:"post_processor"`
	Model         struct {
		Type         string          `json:"type"`
		Vocab        json.RawMessage `json:"vocab"`
		Merges       json.RawMessage `json:"merges"`
		IgnoreMerges bool            `json:"ignore_merges"`
		ByteFallback bool            `json:"byte_fallback"`
		Prefix       string          `json:"continuing_subword_prefix"`
		Suffix       string          `json:"end_of_word_suffix"`
	} `json:"model"`
}

func (t *tokenizer) loadJSON(file *tokenizerJSON, rows int64) error {
	if err := file.checkPlain(); err != nil {
		return err
	}
	if err := t.addVocab(file.Model.Vocab, rows); err != nil {
		return err
	}
	merges, err := parseMerges(file.Model.Merges)
	if err != nil {
		return err
	}
	t.merges = merges
	for _, a := range file.AddedTokens {
		if err := t.addToken(a, rows); err != nil {
			return err
		}
	}
	return nil
}

func (t *tokenizer) loadVocab(dir string, rows int64) error {
	raw, err := readSmall(filepath.Join(dir, "vocab.json"))
	if err != nil {
		return err
	}
	if err := t.addVocab(raw, rows); err != nil {
		return err
	}
	path := filepath.Join(dir, "merges.txt")
	text, err := readSmall(path)
	if err != nil {
		return err
	}
	if t.merges, err = mergesText(text); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return t.addedFile(filepath.Join(dir, "added_tokens.json"), rows)
}

// addVocab adds the BPE vocabulary, an object from token to id.
func (t *tokenizer) addVocab(raw json.RawMessage, rows int64) error {
	members, err := jsonobj.Parse(raw)
	if err != nil {
		return fault.Formatf("vocabulary: %w", err)
	}
	for _, m := range members {
		id, err := strconv.Atoi(string(m.Value))
		if err != nil {
			return fault.Formatf("vocabulary: token %q: id %s is not an integer", m.Key, m.Value)
		}
		if err := t.put(id, m.Key, tokenNormal, rows); err != nil {
			return err
		}
	}
	return nil
}

// put assigns an id. llama.cpp aborts the process on a text that occurs twice
// and on an empty one, so both are refused.
func (t *tokenizer) put(id int, text string, kind int32, rows int64) error {
	if id < 0 || int64(id) >= rows {
		return fault.Formatf("token %q has id %d, but the embedding has %d rows", text, id, rows)
	}
	if text == "" {
		return fault.Formatf("token %d is empty", id)
	}
	for len(t.tokens) <= id {
		t.tokens, t.types = append(t.tokens, ""), append(t.types, tokenUnused)
	}
	if old := t.tokens[id]; old != "" && old != text {
		return fault.Formatf("id %d belongs to both %q and %q", id, old, text)
	}
	if other, ok := t.ids[text]; ok && other != id {
		return fault.Formatf("token %q has two ids, %d and %d", text, other, id)
	}
	t.tokens[id], t.types[id], t.ids[text] = text, kind, id
	return nil
}

func (t *tokenizer) addToken(a addedToken, rows int64) error {
	kind := tokenUser
	if a.Special || looksSpecial(a.Content) {
		kind = tokenControl
	}
	return t.put(a.ID, a.Content, kind, rows)
}

// looksSpecial follows does_token_look_special of llama.cpp's converter: some
// checkpoints forget to mark their control tokens.
func looksSpecial(text string) bool {
	return strings.HasPrefix(text, "<|") && strings.HasSuffix(text, "|>") ||
		strings.HasPrefix(text, "<｜") && strings.HasSuffix(text, "｜>")
}

// addedFile reads added_tokens.json: an object from text to id as transformers
// writes it, or a list of {id, content, special}.
func (t *tokenizer) addedFile(path string, rows int64) error {
	var raw json.RawMessage
	if found, err := readOptional(path, &raw); err != nil || !found {
		return err
	}
	var list []addedToken
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		if err := json.Unmarshal(raw, &list); err != nil {
			return fault.Formatf("%s: %w", path, err)
		}
	} else {
		members, err := jsonobj.Parse(raw)
		if err != nil {
			return fault.Formatf("%s: %w", path, err)
		}
		for _, m := range members {
			id, err := strconv.Atoi(string(m.Value))
			if err != nil {
				return fault.Formatf("%s: token %q: id %s is not an integer", path, m.Key, m.Value)
			}
			list = append(list, addedToken{ID: id, Content: m.Key})
		}
	}
	for _, a := range list {
		if err := t.addToken(a, rows); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// addConfigTokens adds tokenizer_config.json's added_tokens_decoder, which also
// says which tokens are special where added_tokens.json could not.
func (t *tokenizer) addConfigTokens(rows int64) error {
	for key, a := range t.config.AddedTokens {
		id, err := strconv.Atoi(key)
		if err != nil {
			return fault.Formatf("added_tokens_decoder: id %q is not an integer", key)
		}
		a.ID = id
		if err := t.addToken(a, rows); err != nil {
			return fmt.Errorf("added_tokens_decoder: %w", err)
		}
	}
	return nil
}

// parseMerges reads tokenizer.json's merges: strings "left right", or pairs.
func parseMerges(raw json.RawMessage) ([]string, error) {
	var lines []string
	if err := json.Unmarshal(raw, &lines); err == nil {
		return lines, nil
	}
	var pairs [][2]string
	if err := json.Unmarshal(raw, &pairs); err != nil {
		return nil, fault.Formatf("merges: %w", err)
	}
	lines = make([]string, len(pairs))
	for i, p := range pairs {
		lines[i] = p[0] + " " + p[1]
	}
	return lines, nil
}

// mergesText reads merges.txt, whose first line may be a version comment.
func mergesText(text []byte) ([]string, error) {
	var lines []string
	scanner := bufio.NewScanner(bytes.NewReader(text))
	scanner.Buffer(nil, 1<<20)
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimSuffix(scanner.Text(), "\r")
		if n == 1 && strings.HasPrefix(line, "#version") || line == "" {
			continue
		}
		lines = append(lines, line)
	}
	if err := scanner.Err(); err != nil {
		return nil, fault.Formatf("%w", err)
	}
	return lines, nil
}

// checkPairs checks that each merge joins two tokens to a third. Byte-level
// text has no spaces (a space is Ġ), so the one space is the separator.
func (t *tokenizer) checkPairs() error {
	for i, m := range t.merges {
		left, right, ok := strings.Cut(m, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return fault.Formatf("merge %d: %q is not a pair of tokens", i, m)
		}
		if _, ok := t.ids[left+right]; !ok {
			return fault.Formatf("merge %d: %q gives a token that the vocabulary lacks", i, m)
		}
	}
	return nil
}

// pad fills gaps and the rows of the embedding beyond the vocabulary, which
// checkpoints have so that its height is a round number.
func (t *tokenizer) pad(rows int64) error {
	for int64(len(t.tokens)) < rows {
		t.tokens, t.types = append(t.tokens, ""), append(t.types, tokenUnused)
	}
	for id, text := range t.tokens {
		if text != "" {
			continue
		}
		if err := t.put(id, fmt.Sprintf("[PAD%d]", id), tokenUnused, rows); err != nil {
			return err
		}
	}
	return nil
}
