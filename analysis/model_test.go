package analysis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"personaprobe/engine"
)

// fakeModel embeds a text as its counts of letters, and rates a description by the
// number of its letters "e".
type fakeModel struct{ chats []string }

func (*fakeModel) MeanStates(_ context.Context, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, text := range texts {
		out[i] = make([]float32, 26)
		for _, r := range strings.ToLower(text) {
			if r >= 'a' && r <= 'z' {
				out[i][r-'a']++
			}
		}
	}
	return out, nil
}

func (m *fakeModel) Answers(_ context.Context, chats [][]engine.Message, answers []string) ([][]float64, error) {
	out := make([][]float64, len(chats))
	for i, chat := range chats {
		user := chat[len(chat)-1].Content
		m.chats = append(m.chats, user)
		description, _, _ := strings.Cut(strings.TrimPrefix(user, `Description: "`), `"`)
		out[i] = make([]float64, len(answers))
		k := strings.Count(description, "e") % (len(answers) - 1)
		out[i][k], out[i][k+1] = 0.25, 0.75
	}
	return out, nil
}

func TestSemanticSimilarity(t *testing.T) {
	dir := smallDesign().write(t)
	prompts, err := ReadPrompts(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(prompts) != 24 || prompts[0].SourceText != "You are anchor_a of anchor." {
		t.Fatalf("%d prompts, %+v", len(prompts), prompts[0])
	}
	semantic, err := SemanticSimilarity(context.Background(), &fakeModel{}, append(prompts, Prompt{ID: "same", Text: "abc", SourceText: "cba"}, Prompt{ID: "apart", Text: "a", SourceText: "b"}, Prompt{ID: "none", Text: "1", SourceText: "b"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := semantic["none"]; ok || math.Abs(semantic["same"]-1) > 1e-15 || semantic["apart"] != 0 {
		t.Errorf("same %v, apart %v, none %v", semantic["same"], semantic["apart"], semantic["none"])
	}
	opts := quick
	opts.Semantic = semantic
	f := analyse(t, dir, opts)
	if c, ok := f.Covariates.Get(covSemantic); !ok || c.N != 24 {
		t.Errorf("covariate %+v", c)
	}
	if v, _ := f.Personas[0].Covariates.Get(covSemantic); v == nil || *v != semantic[f.Personas[0].ID] {
		t.Errorf("the first persona has %v", v)
	}
}

func TestRateOcean(t *testing.T) {
	model := &fakeModel{}
	prompts := []Prompt{{ID: "p", Source: "s", Text: "eee", SourceText: "none"}, {ID: "q", Source: "s", Text: "xyz", SourceText: "none"}}
	scores, err := RateOcean(context.Background(), model, prompts)
	if err != nil {
		t.Fatal(err)
	}
	// Three letters: 4 with a quarter and 5 with three quarters.
	for id, want := range map[string]float64{"p": 4.75, "q": 1.75, "s": 2.75} {
		for k, v := range scores[id] {
			if math.Abs(v-want) > 1e-12 {
				t.Errorf("%s of %s is %v, want %v", Traits[k], id, v, want)
			}
		}
	}
	if len(model.chats) != 15 || !strings.Contains(model.chats[0], oceanWords[0]) {
		t.Errorf("%d questions, the first %q", len(model.chats), model.chats[0])
	}
	path := filepath.Join(t.TempDir(), OceanFile)
	if err := scores.Write(path); err != nil {
		t.Fatal(err)
	}
	read, err := ReadOcean(path)
	if err != nil || fmt.Sprint(read) != fmt.Sprint(scores) {
		t.Errorf("read back %v %v", read, err)
	}
}

// The test of traits finds what was put in: leakage that follows extraversion where
// cosine is noise, and nothing where both are noise.
func TestOceanFindsTrait(t *testing.T) {
	for _, follows := range []bool{true, false} {
		var pairs []pair
		scores := OceanScores{"s0": {}, "s1": {}, "s2": {}}
		for i := range 90 {
			draw := func(k int) float64 { v := float64(i+1) * (math.Sqrt2 + float64(k)*math.Phi); return v - math.Floor(v) }
			id := fmt.Sprintf("p%d", i)
			scores[id] = [5]float64{draw(1), draw(2), draw(3), draw(4), draw(5)}
			rate := draw(7)
			if follows {
				rate = 0.8*scores[id][2] + 0.2*rate
			}
			pairs = append(pairs, pair{id, fmt.Sprintf("s%d", i%3), "x", number(draw(6)), &rate})
		}
		opts := quick
		opts.Ocean = scores
		f := analyse(t, cosineFolder(t, pairs), opts)
		alone, _ := f.Ocean.Alone.Get("E")
		layer, _ := f.Ocean.ByLayer.Get("layer_15")
		m := layer.Traits
		found := *m.P < 1e-6 && *m.BySource.Full > 0.5 && *m.BySource.Cosine < 0.1 && *alone.Holm < 1e-6
		if found != follows {
			t.Errorf("leakage follows a trait: %v; p %v, predicted %v with and %v without, alone %v", follows, *m.P, *m.BySource.Full, *m.BySource.Cosine, *alone.Holm)
		}
		if layer.Distance.DF1 != 1 || m.DF1 != 5 || m.DF2 != 90-7 {
			t.Errorf("degrees of freedom %d, %d and %d", layer.Distance.DF1, m.DF1, m.DF2)
		}
	}
}

func TestBadOcean(t *testing.T) {
	for text, want := range map[string]string{
		`{"p": [1, 2, 3]}`:                          "3 scores",
		`{"p": {"O": 1, "C": 2, "E": 3, "A": 4}}`:   "score N",
		`{"p": {"O": "x", "C": 2, "E": 3, "A": 4}}`: "number",
		`{}`: "no scores",
		`[`:  "not valid JSON",
	} {
		path := filepath.Join(t.TempDir(), "o.json")
		writeFile(t, path, text)
		if _, err := ReadOcean(path); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an ErrInput with %q", text, err, want)
		}
	}
}
