package experiment

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"personaprobe/internal/golden"
)

const goodTaxonomy = `{
 "sources": [
  {"id": "villain", "prompt": "You are a villain."},
  {"id": "comedian", "prompt": "You are a comedian."}
 ],
 "categories": ["sibling", "control"],
 "bystanders": [
  {"id": "v_1", "source": "villain", "category": "sibling", "prompt": "You are a warlord."},
  {"id": "c_1", "source": "comedian", "category": "control", "prompt": "You are a florist."}
 ]
}`

func TestParseTaxonomy(t *testing.T) {
	// A byte order mark and annotations do no harm.
	text := "\uFEFF" + strings.Replace(goodTaxonomy, `"categories"`, `"note": {"a": [1]}, "categories"`, 1)
	tax, err := ParseTaxonomy("t.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got := tax.Personas("comedian")
	want := []Persona{
		{"c_1", "comedian", "control", "You are a florist."},
		{"anchor_villain", "all", "anchor", "You are a villain."},
		{"anchor_comedian", "all", "anchor", "You are a comedian."},
	}
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("persona %d is %v, want %v", i, got[i], want[i])
		}
	}
	if n := len(tax.Distinct()); n != 4 {
		t.Errorf("%d distinct personas, want 4", n)
	}
	if err := tax.Validate(); err != nil {
		t.Error(err)
	}
}

func TestTaxonomyProblemsSayWhere(t *testing.T) {
	cases := map[string]struct{ old, new, want string }{
		"source":          {`"source": "villain"`, `"source": "vilain"`, `t.json:8: bystanders[0].source: unknown source "vilain"; did you mean "villain"?`},
		"category":        {`"category": "control"`, `"category": "contrl"`, `t.json:9: bystanders[1].category: unknown category "contrl"; did you mean "control"?`},
		"duplicate":       {`"c_1"`, `"v_1"`, `t.json:9: bystanders[1].id: the id "v_1" is already that of bystanders[0]`},
		"anchor's id":     {`"c_1"`, `"anchor_villain"`, `t.json:9: bystanders[1].id: the id "anchor_villain" is already that of sources[0]`},
		"source's id":     {`"c_1"`, `"villain"`, `t.json:9: bystanders[1].id: the id "villain" is already that of sources[0]`},
		"blank prompt":    {`"You are a florist."`, `" \n"`, `t.json:9: bystanders[1].prompt: only white space`},
		"missing key":     {`"prompt": "You are a florist."`, `"promt": "You are a florist."`, `t.json:9: bystanders[1]: the key "prompt" is missing; did you mean "promt"?`},
		"wrong type":      {`"You are a florist."`, `7`, `t.json:9: bystanders[1].prompt: want a string, found a number`},
		"null":            {`"You are a florist."`, `null`, `t.json:9: bystanders[1].prompt: want a string, found null`},
		"key twice":       {`"id": "c_1"`, `"id": "c_1", "id": "c_2"`, `t.json:9: bystanders[1].id: the key occurs twice (first on line 9)`},
		"not an object":   {`{"id": "villain", "prompt": "You are a villain."}`, `"villain"`, `t.json:3: sources[0]: want an object with the key "id", found a string`},
		"not a list":      {`["sibling", "control"]`, `"sibling"`, `t.json:6: categories: want a list, found a string`},
		"category twice":  {`["sibling", "control"]`, `["sibling", "control", "control"]`, `t.json:6: categories[2]: the category "control" occurs twice`},
		"anchor category": {`["sibling", "control"]`, `["sibling", "control", "anchor"]`, `t.json:6: categories[2]: "anchor" is reserved`},
		"path in an id":   {`"id": "villain"`, `"id": "../villain"`, `t.json:3: sources[0].id: the id "../villain" must be letters`},
		"no bystanders":   {`"bystanders": [`, `"bystanders": [], "old": [`, `t.json:7: bystanders: no personas`},
		"both names":      {`"bystanders": [`, `"personas": [], "bystanders": [`, `"personas" and "bystanders" mean the same`},
		"trailing data":   {"\n ]\n}", "\n ]\n}\n{}", `t.json:12: not valid JSON: `},
		"syntax":          {`"sibling",`, `"sibling"`, `t.json:6: not valid JSON: `},
		"cut short":       {`"bystanders": [`, "", ``},
		"not UTF-8":       {`a florist`, "a fl\xffrist", `t.json:9: not valid UTF-8`},
		"wrong anchors":   {`"categories"`, `"anchors": [{"id": "anchor_villain", "prompt": "x"}, {"id": "anchor_clown", "prompt": "y"}], "categories"`, `t.json:6: anchors[0]: the prompt of "anchor_villain" is not that of its source`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(goodTaxonomy, c.old, c.new, 1)
			if text == goodTaxonomy {
				t.Fatal("the case changes nothing")
			}
			_, err := ParseTaxonomy("t.json", []byte(text))
			if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			var problem *InputError
			if !errors.As(err, &problem) || problem.Line == 0 {
				t.Errorf("no line in %v", err)
			}
		})
	}
}

func TestAllProblemsAreReported(t *testing.T) {
	text := strings.ReplaceAll(goodTaxonomy, `"category": "`, `"category": "x`)
	_, err := ParseTaxonomy("t.json", []byte(text))
	if err == nil || strings.Count(err.Error(), "unknown category") != 2 {
		t.Errorf("got %v", err)
	}
}

func TestHostileJSONIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "spaces": " \n", "deep": strings.Repeat("[", 1<<20), "deep closed": strings.Repeat("[", 1<<18) + strings.Repeat("]", 1<<18),
		"null": "null", "list": "[]", "number": "1e999",
	} {
		if _, err := ParseTaxonomy("t.json", []byte(text)); !errors.Is(err, ErrInput) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := ParseQuestions("q.json", []byte(text)); !errors.Is(err, ErrInput) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzParseTaxonomy(f *testing.F) {
	f.Add([]byte(goodTaxonomy))
	f.Add([]byte(`{"sources":[{"id":"a","prompt":"\ud800"}],"anchors":[],"personas":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tax, err := ParseTaxonomy("t.json", data)
		if (err == nil) == (tax == nil) {
			t.Fatalf("taxonomy %v with error %v", tax, err)
		}
		if err != nil && !errors.Is(err, ErrInput) {
			t.Fatal(err)
		}
		if err == nil && tax.Validate() != nil {
			t.Fatal(tax.Validate())
		}
		q, err := ParseQuestions("q.json", data) // of the same documents
		if err != nil && !errors.Is(err, ErrInput) || err == nil && q.Validate() != nil {
			t.Fatal(err)
		}
	})
}

func TestParseQuestions(t *testing.T) {
	for name, text := range map[string]string{"list": `["a?", "b?"]`, "object": `{"x": 1, "questions": ["a?", "b?"]}`} {
		q, err := ParseQuestions("q.json", []byte(text))
		if err != nil || len(q.Texts) != 2 || q.Texts[1] != "b?" || q.Validate() != nil {
			t.Errorf("%s: %v, %v", name, q, err)
		}
	}
	for text, want := range map[string]string{
		"[\n\"a?\",\n\"a?\"]":   "q.json:3: [1]: the same question as [0]",
		"[\n\"a?\",\n\" \"]":    "q.json:3: [1]: empty question",
		"[\n\"a?\",\n3]":        "q.json:3: [1]: want a string, found a number",
		`[]`:                    "q.json:1: no questions",
		`{"question": ["a?"]}`:  `the key "questions" is missing; did you mean "question"?`,
		`{"questions": "a?"}`:   "q.json:1: questions: want a list, found a string",
		`["a?"] ["b?"]`:         "q.json:1: not valid JSON",
		"[\"a?\",\n \"b\xc3\"]": "q.json:2: not valid UTF-8",
	} {
		if _, err := ParseQuestions("q.json", []byte(text)); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// Both shapes of the study's files are read, and give the study's numbers.
func TestStudyFiles(t *testing.T) {
	shared := golden.SharedDir(t, "reference")
	original := filepath.Join(shared, "personas_original.json")
	cases := map[string][2]string{
		"original": {original, original},
		"tiny":     {filepath.Join(shared, "../tiny/taxonomy.json"), filepath.Join(shared, "../tiny/questions.json")},
	}
	for name, files := range cases {
		t.Run(name, func(t *testing.T) {
			tax, err := ReadTaxonomy(files[0])
			if err != nil {
				t.Fatal(err)
			}
			q, err := ReadQuestions(files[1])
			if err != nil {
				t.Fatal(err)
			}
			study, err := NewStudy(DefaultPlan().Full(), tax, q)
			if err != nil {
				t.Fatal(err)
			}
			if len(tax.Sources) != 5 || len(tax.Categories) != 8 || len(tax.Bystanders) != 200 || len(tax.Distinct()) != 205 {
				t.Errorf("%d sources, %d categories, %d bystanders", len(tax.Sources), len(tax.Categories), len(tax.Bystanders))
			}
			if n := len(tax.Personas("villain")); n != 45 {
				t.Errorf("villain has %d personas, want 45", n)
			}
			if study.ShardSize("villain") != 9000 || study.Size() != 135000 || len(study.Shards()) != 15 {
				t.Errorf("a shard of %d completions, %d in all, %d shards", study.ShardSize("villain"), study.Size(), len(study.Shards()))
			}
		})
	}
}

// The original file records every prompt's length in Qwen tokens; its README says that
// all lie in 15..24 and that every cell has five.
func TestCheckPersonasOnTheOriginal(t *testing.T) {
	path := filepath.Join(golden.SharedDir(t, "reference"), "personas_original.json")
	tax, err := ReadTaxonomy(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Personas []struct {
			Prompt string `json:"prompt"`
			Tokens int    `json:"qwen_tokens"`
		} `json:"personas"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	counter := make(mapCounter)
	for _, p := range file.Personas {
		counter[p.Prompt] = p.Tokens
	}
	findings, err := CheckPersonas(counter, tax, CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Rule != RuleNames {
			t.Errorf("unexpected: %s", f)
		}
		t.Log(f)
	}
	tight, err := CheckPersonas(counter, tax, CheckOptions{MaxTokens: 23})
	if err != nil || len(tight) <= len(findings) {
		t.Errorf("a band that ends at 23 finds no prompt of 24 (%v)", err)
	}
}
