package experiment

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// The band of the original study: prompts of much the same length, so that length
// does not stand in for meaning.
const (
	DefaultMinPromptTokens = 15
	DefaultMaxPromptTokens = 25
)

// CheckOptions are the limits of CheckPersonas.
type CheckOptions struct {
	MinTokens int // of a bystander's prompt; 0: 15
	MaxTokens int // of a bystander's prompt; 0: 25
	CellSize  int // bystanders per source and category; 0: what most cells have
}

// Validate reports limits that no prompt can meet.
func (o CheckOptions) Validate() error {
	o = o.withDefaults()
	if o.MinTokens < 0 || o.MaxTokens < o.MinTokens || o.CellSize < 0 {
		return fmt.Errorf("persona limits: %d to %d tokens, %d a cell: want a band from low to high", o.MinTokens, o.MaxTokens, o.CellSize)
	}
	return nil
}

func (o CheckOptions) withDefaults() CheckOptions {
	if o.MinTokens == 0 {
		o.MinTokens = DefaultMinPromptTokens
	}
	if o.MaxTokens == 0 {
		o.MaxTokens = DefaultMaxPromptTokens
	}
	return o
}

// Rule is what a finding is about.
type Rule string

// The rules of CheckPersonas.
const (
	RuleEmpty     Rule = "empty"     // no system prompt at all
	RuleLength    Rule = "length"    // tokens outside the band
	RuleDuplicate Rule = "duplicate" // same prompt, exactly or but for case, punctuation and spaces
	RuleCell      Rule = "cell"      // a source and category with more or fewer bystanders
	RuleNames     Rule = "names"     // a prompt with the name of another source in it
)

// Finding is something in a taxonomy that may spoil a study.
type Finding struct {
	Rule    Rule
	Persona string // id; "" for a cell
	Detail  string // what was found
}

func (f Finding) String() string {
	if f.Persona == "" {
		return fmt.Sprintf("%s: %s", f.Rule, f.Detail)
	}
	return fmt.Sprintf("%s: %s: %s", f.Rule, f.Persona, f.Detail)
}

// CheckPersonas looks for bystanders that are too long or short, alike, unevenly
// spread, or that name a source they are not compared with. Lengths are of the prompt
// by itself. A taxonomy with findings still runs; errors are the counter's alone.
func CheckPersonas(c TokenCounter, t *Taxonomy, opts CheckOptions) ([]Finding, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	findings, err := checkLengths(c, t, opts)
	if err != nil {
		return nil, err
	}
	findings = append(findings, checkDuplicates(t)...)
	findings = append(findings, checkCells(t, opts.CellSize)...)
	return append(findings, checkSourceNames(t)...), nil
}

func checkLengths(c TokenCounter, t *Taxonomy, opts CheckOptions) ([]Finding, error) {
	var out []Finding
	for _, p := range t.Distinct() {
		if p.Prompt == "" {
			out = append(out, Finding{RuleEmpty, p.ID, "no system prompt: the question is asked alone; some chat templates then write a system message of their own"})
		}
	}
	for _, p := range t.Bystanders {
		if p.Prompt == "" {
			continue
		}
		n, err := c.CountTokens(p.Prompt)
		if err != nil {
			return nil, fmt.Errorf("count the tokens of %s: %w", p.ID, err)
		}
		if n < opts.MinTokens || n > opts.MaxTokens {
			out = append(out, Finding{RuleLength, p.ID, fmt.Sprintf("%d tokens, want %d to %d", n, opts.MinTokens, opts.MaxTokens)})
		}
	}
	return out, nil
}

func checkDuplicates(t *Taxonomy) []Finding {
	var out []Finding
	exact, alike := make(map[string]string), make(map[string]string)
	for _, p := range t.Distinct() {
		words := strings.Join(wordsOf(p.Prompt), " ")
		switch {
		case exact[p.Prompt] != "":
			out = append(out, Finding{RuleDuplicate, p.ID, "the same prompt as " + exact[p.Prompt]})
		case words != "" && alike[words] != "":
			out = append(out, Finding{RuleDuplicate, p.ID, "the same words as " + alike[words]})
		default:
			exact[p.Prompt], alike[words] = p.ID, p.ID
		}
	}
	return out
}

// wordsOf are the lower-cased words of a text, without punctuation.
func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	})
}

func checkCells(t *Taxonomy, size int) []Finding {
	counts := make(map[[2]string]int)
	for _, p := range t.Bystanders {
		counts[[2]string{p.Source, p.Category}]++
	}
	if size == 0 {
		size = commonSize(t, counts)
	}
	var out []Finding
	for _, s := range t.Sources {
		for _, c := range t.Categories {
			if n := counts[[2]string{s.ID, c}]; n != size {
				out = append(out, Finding{Rule: RuleCell, Detail: fmt.Sprintf("%s, %s: %d bystanders, want %d", s.ID, c, n, size)})
			}
		}
	}
	return out
}

// commonSize is the size that most cells have, the larger of two equally common ones.
func commonSize(t *Taxonomy, counts map[[2]string]int) int {
	cells := make(map[int]int)
	for _, s := range t.Sources {
		for _, c := range t.Categories {
			cells[counts[[2]string{s.ID, c}]]++
		}
	}
	best := 0
	for size, n := range cells {
		if n > cells[best] || n == cells[best] && size > best {
			best = size
		}
	}
	return best
}

// checkSourceNames looks for "software engineer" in the bystanders of every source
// but software_engineer. A bystander may well name its own source: an
// attribute-modified one has to.
func checkSourceNames(t *Taxonomy) []Finding {
	var out []Finding
	for _, p := range t.Bystanders {
		words := wordsOf(p.Prompt)
		for _, s := range t.Sources {
			if s.ID != p.Source && containsWords(words, wordsOf(s.ID)) {
				out = append(out, Finding{RuleNames, p.ID, fmt.Sprintf("names the source %s", s.ID)})
			}
		}
	}
	return out
}

// containsWords reports whether name stands in words as it is, or in the plural.
func containsWords(words, name []string) bool {
	if len(name) == 0 {
		return false
	}
	last := len(name) - 1
	for i := 0; i+len(name) <= len(words); i++ {
		part := words[i : i+len(name)]
		if slices.Equal(part[:last], name[:last]) && (part[last] == name[last] || part[last] == name[last]+"s") {
			return true
		}
	}
	return false
}
