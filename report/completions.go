package report

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"personaprobe/analysis"
	"personaprobe/experiment"
	"personaprobe/internal/sums"
)

const rawFile = "raw_completions.json"

// chunkSize is how many bytes of text a chunk has before compression: the page unpacks
// whole chunks, a few to show a screen and all of them to search.
const chunkSize = 256 << 10

// catalogue is what the page knows of the completions without unpacking their texts.
// Completions are numbered from 0 in the order of Blocks.
type catalogue struct {
	Marker    string          `json:"marker"` // to highlight; "" for none
	Shards    []catalogShard  `json:"shards"`
	Personas  []catalogPerson `json:"personas"`
	Questions []string        `json:"questions"`
	// Blocks are the completions of one shard, persona and question: four numbers each,
	// indices into the lists above and how many.
	Blocks []int  `json:"blocks"`
	Chunks []int  `json:"chunks"` // completions in each chunk
	Marks  []byte `json:"marks"`  // a bit for each completion with the marker, the lowest first
	Total  int    `json:"total"`
}

type catalogShard struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	Key    string `json:"key"`
	Label  string `json:"label"` // of the key, in words
}

type catalogPerson struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Category string `json:"category"`
	Prompt   string `json:"prompt"`
}

// shardTexts is raw_completions.json: persona, question, texts.
type shardTexts = experiment.Ordered[experiment.Ordered[[]string]]

// texts are the completions as the page has them.
type texts struct {
	packed    bytes.Buffer // a data block for every chunk
	catalogue catalogue
}

// packer fills a texts.
type packer struct {
	w         io.Writer
	catalogue *catalogue
	marker    string // lower case
	personas  map[catalogPerson]int
	questions map[string]int
	prompts   map[string]catalogPerson // by source and id
	texts     []string                 // of the chunk that is filled
	size      int
}

// packCompletions reads and compresses the completions, a shard at a time. Shards
// without texts that can be read become notes of the study.
func (s *study) packCompletions(ctx context.Context) (*texts, error) {
	out := &texts{}
	p := &packer{
		w: &out.packed, catalogue: &out.catalogue, marker: strings.ToLower(s.full.Marker), personas: make(map[catalogPerson]int),
		questions: make(map[string]int), prompts: make(map[string]catalogPerson),
	}
	p.catalogue.Marker = s.full.Marker
	for _, x := range append(append([]persona{}, s.personas...), s.anchors...) {
		p.prompts[x.Source+"\x00"+x.ID] = catalogPerson{ID: x.ID, Name: x.shortName(), Category: x.Category, Prompt: x.Prompt}
	}
	for _, h := range s.shards {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		texts, err := s.readTexts(h.Name + "/" + rawFile)
		switch {
		case errors.Is(err, sums.ErrDamaged):
			return nil, err
		case errors.Is(err, fs.ErrNotExist):
			s.notes = append(s.notes, fmt.Sprintf("%s/%s is missing, so the completions of that shard cannot be read here.", h.Name, rawFile))
			continue
		case err != nil:
			s.notes = append(s.notes, fmt.Sprintf("The completions of %s are left out: %v.", h.Name, err))
			continue
		}
		if err := p.shard(h, texts); err != nil {
			return nil, err
		}
	}
	return out, p.flush()
}

func (s *study) readTexts(name string) (shardTexts, error) {
	path := filepath.Join(s.dir, name)
	if !slices.ContainsFunc(s.full.Inputs, func(in analysis.Input) bool { return in.File == name }) { // else checkInputs has
		if _, _, err := sums.Check(path); err != nil {
			return nil, err
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var texts shardTexts
	if err := json.Unmarshal(data, &texts); err != nil {
		return nil, fmt.Errorf("%s: %w", rawFile, err)
	}
	return texts, nil
}

func (p *packer) shard(h shard, texts shardTexts) error {
	index := len(p.catalogue.Shards)
	p.catalogue.Shards = append(p.catalogue.Shards, catalogShard{h.Name, h.Source, h.Key, keyName(h.Key)})
	for id, questions := range texts.All() {
		who, ok := p.prompts[h.Source+"\x00"+id]
		if !ok { // not in the analysis, but here
			who = catalogPerson{ID: id, Name: id}
		}
		persona := p.person(who)
		for question, completions := range questions.All() {
			p.catalogue.Blocks = append(p.catalogue.Blocks, index, persona, p.question(question), len(completions))
			for _, text := range completions {
				if err := p.add(text); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (p *packer) person(who catalogPerson) int {
	return numbered(p.personas, &p.catalogue.Personas, who)
}

func (p *packer) question(text string) int {
	return numbered(p.questions, &p.catalogue.Questions, text)
}

// numbered is x's place in a list, to whose end it is put when it is new; known are the
// places so far.
func numbered[T comparable](known map[T]int, list *[]T, x T) int {
	i, ok := known[x]
	if !ok {
		i = len(*list)
		known[x] = i
		*list = append(*list, x)
	}
	return i
}

func (p *packer) add(text string) error {
	c := p.catalogue
	if c.Total%8 == 0 {
		c.Marks = append(c.Marks, 0)
	}
	// The same rule as that of the counts: experiment's, in upper or lower case.
	if p.marker != "" && strings.Contains(strings.ToLower(text), p.marker) {
		c.Marks[c.Total/8] |= 1 << (c.Total % 8)
	}
	c.Total++
	p.texts = append(p.texts, text)
	if p.size += len(text); p.size >= chunkSize {
		return p.flush()
	}
	return nil
}

// flush writes the chunk that is filled, if there is anything in it.
func (p *packer) flush() error {
	if len(p.texts) == 0 {
		return nil
	}
	id := fmt.Sprintf("chunk-%d", len(p.catalogue.Chunks))
	p.catalogue.Chunks = append(p.catalogue.Chunks, len(p.texts))
	err := writePacked(p.w, id, p.texts)
	p.texts, p.size = p.texts[:0], 0
	return err
}

// writePacked writes v as a data block: JSON, gzip, base64. Nothing in it can be taken
// for markup.
func writePacked(w io.Writer, id string, v any) error {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.DefaultCompression)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(z)
	encoder.SetEscapeHTML(false)
	if err := errors.Join(encoder.Encode(v), z.Close()); err != nil {
		return fmt.Errorf("pack %s: %w", id, err)
	}
	if _, err := fmt.Fprintf(w, "<script type=\"text/plain\" id=%q>", id); err != nil {
		return err
	}
	e := base64.NewEncoder(base64.StdEncoding, w)
	if _, err := e.Write(b.Bytes()); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	_, err = io.WriteString(w, "</script>\n")
	return err
}
