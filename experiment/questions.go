package experiment

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"personaprobe/internal/sums"
)

// Questions are the user prompts of a study, in the order of their file.
type Questions struct {
	Texts    []string
	Document Document // what they were read from
}

// ReadQuestions reads the file at path; see ParseQuestions.
func ReadQuestions(path string) (*Questions, error) {
	f, err := sums.Read(path)
	if err != nil {
		return nil, fmt.Errorf("read questions: %w", err)
	}
	return ParseQuestions(path, f.Data)
}

// ParseQuestions reads questions from JSON: a list of strings, or an object with such
// a list under "questions", so that one file may hold personas and questions. Errors
// are as for ParseTaxonomy.
func ParseQuestions(name string, data []byte) (*Questions, error) {
	var d document
	root, err := d.parse(name, data)
	if err != nil {
		return nil, err
	}
	items, isList := root.data.([]*jsonValue)
	if !isList {
		items = d.items(root, "questions")
	}
	q := &Questions{Document: Document{Name: name, Data: data}}
	paths := make([]string, len(items))
	for i, v := range items {
		paths[i] = v.path
		q.Texts = append(q.Texts, d.string(v))
	}
	if len(d.problems) == 0 {
		q.validate(&d.problems, paths)
	}
	if err := d.err(name, d.lines); err != nil {
		return nil, err
	}
	return q, nil
}

// Validate reports every problem of questions made in memory.
func (q *Questions) Validate() error {
	paths := make([]string, len(q.Texts))
	for i := range paths {
		paths[i] = fmt.Sprintf("[%d]", i)
	}
	var p problems
	q.validate(&p, paths)
	return p.err(q.Document.Name, nil)
}

func (q *Questions) validate(p *problems, paths []string) {
	if len(q.Texts) == 0 {
		p.add("", "no questions")
	}
	first := make(map[string]string)
	for i, text := range q.Texts {
		switch {
		case strings.TrimSpace(text) == "":
			p.add(paths[i], "empty question")
		case !utf8.ValidString(text):
			p.add(paths[i], "not valid UTF-8")
		case first[text] != "":
			// The artefacts have one entry per question text.
			p.add(paths[i], "the same question as %s", first[text])
		}
		first[text] = paths[i]
	}
}
