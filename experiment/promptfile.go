package experiment

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"personaprobe/internal/sums"
)

const promptsFile = "prompts.jsonl"

// keep makes path the prompts' file, unless it is.
func (p *Prompts) keep(path string) error {
	sum, listed, err := sums.Check(path)
	switch {
	case errors.Is(err, sums.ErrDamaged):
		return fmt.Errorf("%w; remove it and run again", err)
	case err == nil && listed && sum == p.SHA256:
		return nil
	}
	return sums.Write(path, func(w io.Writer) error {
		_, err := io.Copy(w, p.reader())
		return err
	})
}

// difference describes the first prompt that is not as in the file at path; "" if none
// is, or the file cannot be read.
func (p *Prompts) difference(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	was, now := json.NewDecoder(bufio.NewReader(f)), json.NewDecoder(bufio.NewReader(p.reader()))
	for {
		var a, b StoredPrompt
		errA, errB := was.Decode(&a), now.Decode(&b)
		switch {
		case errA != nil && !errors.Is(errA, io.EOF), errA != nil && errB != nil:
			return ""
		case errA != nil:
			return fmt.Sprintf("persona %s, question %d, is new", b.Persona, b.Question)
		case errB != nil:
			return fmt.Sprintf("persona %s, question %d, is gone", a.Persona, a.Question)
		case a.Persona != b.Persona || a.Source != b.Source || a.Question != b.Question:
			return fmt.Sprintf("persona %s, question %d, stands where persona %s, question %d, was", b.Persona, b.Question, a.Persona, a.Question)
		case a.Text != b.Text:
			from, to := apart(a.Text, b.Text)
			return fmt.Sprintf("persona %s, question %d, was %s, now %s", a.Persona, a.Question, from, to)
		case !slices.Equal(a.IDs, b.IDs):
			return fmt.Sprintf("persona %s, question %d: the same text has other tokens", a.Persona, a.Question)
		}
	}
}

// apart quotes two texts from shortly before the place where they part.
func apart(a, b string) (from, to string) {
	const before, after = 20, 60
	x, y := []rune(a), []rune(b)
	at := 0
	for at < min(len(x), len(y)) && x[at] == y[at] {
		at++
	}
	cut := func(r []rune) string {
		start, end := max(0, at-before), min(len(r), at+after)
		return fmt.Sprintf("%q", string(r[start:end]))
	}
	return cut(x), cut(y)
}

// ReadPrompts reads the first prompt of a run directory, and what the chat template adds
// that nobody wrote. The error matches fs.ErrNotExist for a run without stored prompts.
func ReadPrompts(dir string) (first StoredPrompt, warnings []string, err error) {
	m, err := readManifest(dir)
	if err != nil {
		return first, nil, err
	}
	path := filepath.Join(dir, promptsFile)
	if _, _, err := sums.Check(path); err != nil {
		return first, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return first, nil, err
	}
	defer f.Close()
	if err := json.NewDecoder(f).Decode(&first); err != nil {
		return first, nil, fmt.Errorf("%s: %w", path, err)
	}
	return first, m.PromptWarnings, nil
}

// ParseDate reads a day, 2026-12-01, or a time, 2026-12-01T09:30:00Z. A day begins at
// midnight in UTC; a time of another zone becomes UTC's.
func ParseDate(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Truncate(time.Second), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date: want a day such as 2026-12-01, or a time such as 2026-12-01T09:30:00Z", text)
}

// DateOf is the date of the run in dir: where the clock of its chat template stands. It is
// zero where there is no run, or one of a build that kept none.
func DateOf(dir string) (time.Time, error) {
	m, err := readManifest(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && m.Date == "" {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrRunDir, err)
	}
	t, err := ParseDate(m.Date)
	if err != nil {
		return t, fmt.Errorf("%w: %s: date: %w", ErrRunDir, filepath.Join(dir, manifestFile), err)
	}
	return t, nil
}
