package analysis

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"personaprobe/experiment"
)

func TestCompareRaters(t *testing.T) {
	var people []string
	for i, c := range "xxxxxyyyyz" {
		people = append(people, `{"id": "p`+string(rune('0'+i))+`", "source": "a", "category": "`+string(c)+`", "prompt": "You are `+string(rune('0'+i))+`."}`)
	}
	taxonomy, err := experiment.ParseTaxonomy("t.json", []byte(`{"sources": [{"id": "a", "prompt": "You are a."}], "categories": ["x", "y", "z"], "bystanders": [`+strings.Join(people, ",")+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rate := func(name, text string) (*RaterAgreement, error) {
		writeFile(t, filepath.Join(dir, name), text)
		return CompareRaters(taxonomy, filepath.Join(dir, name), 0.95)
	}
	// Six of eight agree. By chance: x 4/8 x 3/8, y 4/8 x 4/8.
	r, err := rate("second.csv", "persona_id,category\np0,x\np1,x\np2,x\np3,y\np5,y\np6,y\np7,y\np8,z\n")
	if err != nil {
		t.Fatal(err)
	}
	chance := 4.0/8*3/8 + 4.0/8*4/8
	if want := (6.0/8 - chance) / (1 - chance); r.Kappa == nil || math.Abs(*r.Kappa-want) > 1e-12 || r.N != 8 || r.Agree != 6 || len(r.Differ) != 2 || len(r.Unrated) != 2 {
		t.Errorf("%+v, want kappa %v", r, want)
	}
	if r.CI.Lower == nil || *r.CI.Lower > *r.Kappa || r.P == nil {
		t.Errorf("interval %+v, p %v", r.CI, r.P)
	}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil || !strings.Contains(b.String(), "p3: x, second rater y\n") || !strings.Contains(b.String(), "6 of 8") {
		t.Errorf("%v\n%s", err, b.String())
	}
	if r, err := rate("one.json", `[{"id": "p0", "category": "x"}]`); err != nil || r.Kappa != nil || r.Reason == "" {
		t.Errorf("one label: %+v, %v", r, err)
	}
	for _, text := range []string{"persona_id,category\nnobody,x\n", "persona_id,category\np0,\n", "persona_id,category\np0,x\np0,y\n"} {
		if _, err := rate("bad.csv", text); !errors.Is(err, ErrInput) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
