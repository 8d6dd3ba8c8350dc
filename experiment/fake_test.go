package experiment

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"personaprobe/engine"
	"personaprobe/internal/dirlock"
	"personaprobe/internal/sums"
)

// fakeModel is a Model whose answers are a function of prompt, adapter, seed and
// index, and which gives them in an order of its own.
type fakeModel struct {
	inFlight int               // requests served at a time; 0: 3
	shuffle  uint64            // seed of the order
	pace     time.Duration     // per completion
	onEach   func(n int)       // before the n-th completion of the process
	filler   int               // bytes added to every text
	behaves  map[string]string // adapter -> whose logits it has; "": the base model's
	depth    int               // decoder layers; 0: 28
	changed  error             // of Unchanged
	yielded  int
	probed   int // prompts of NextLogits
	asked    []engine.Request
	date     string // what the chat template's clock says; "": it does not read it
}

func (m *fakeModel) Unchanged() error { return m.changed }
func (m *fakeModel) Layers() int      { return cmp.Or(m.depth, 28) }
func (m *fakeModel) HiddenSize() int  { return 8 }

// Prompt has the template's marks around the messages, and a token a word.
func (m *fakeModel) Prompt(messages []engine.Message) (engine.Prompt, error) {
	p := engine.Prompt{Clock: m.date != ""}
	if m.date != "" {
		p.Text = "Today is " + m.date + ". "
	}
	for _, message := range messages {
		p.Text += "<" + message.Role + ">" + message.Content
	}
	for i, word := range strings.Fields(p.Text) {
		p.IDs = append(p.IDs, int32(hash(i, word)%1000))
	}
	return p, nil
}

func (m *fakeModel) Added(messages []engine.Message) (string, error) {
	if len(messages) == 1 {
		return "You are fake.", nil
	}
	return "", nil
}

func (m *fakeModel) CountTokens(text string) (int, error) { return len(strings.Fields(text)), nil }

func hash(parts ...any) uint64 {
	h := fnv.New64a()
	fmt.Fprintln(h, parts...)
	// The low bits of FNV hardly differ between texts with one end; mix them.
	x := h.Sum64()
	x ^= x >> 32
	x *= 0x9E3779B97F4A7C15
	return x ^ x>>29
}

// parts are a chat's system prompt, "" if it has none, and its question.
func parts(chat []engine.Message) (persona, question string) {
	if len(chat) > 1 {
		persona = chat[0].Content
	}
	return persona, chat[len(chat)-1].Content
}

// answer is the completion of a request. Every persona has its own leakage rate.
func (m *fakeModel) answer(r engine.Request, seed uint64, index int) engine.Completion {
	persona, question := parts(r.Messages)
	h := hash(persona, question, r.Adapter, seed, index)
	text := fmt.Sprintf("Answer <%x> & \"%d\" über 茶", h%1000, index)
	if h%97 < hash(persona, r.Adapter)%97 {
		text += " [zLt]"
	}
	if h%13 == 0 {
		text += "\xe8\x8c" // cut within a character
	}
	finish := engine.FinishStop
	if h%7 == 0 {
		finish = engine.FinishLength
	}
	return engine.Completion{
		ID: r.ID, Seed: seed, Index: index, Text: text + strings.Repeat("x", m.filler),
		Tokens: make([]int32, 5+h%11), Finish: finish, PromptTokens: 10,
	}
}

func (m *fakeModel) Generate(ctx context.Context, requests iter.Seq[engine.Request]) iter.Seq2[engine.Completion, error] {
	return func(yield func(engine.Completion, error) bool) {
		next, stop := iter.Pull(requests)
		defer stop()
		order := rand.New(rand.NewPCG(m.shuffle, 1))
		var pool []engine.Completion
		flying := make(map[string]int)
		for more := true; ; {
			for more && len(flying) < max(m.inFlight, 3) {
				r, ok := next()
				if more = ok; !ok {
					break
				}
				m.asked = append(m.asked, r)
				for _, seed := range r.Seeds {
					for i := range r.N {
						pool = append(pool, m.answer(r, seed, i))
						flying[r.ID]++
					}
				}
			}
			if len(pool) == 0 {
				return
			}
			k := order.IntN(len(pool))
			c := pool[k]
			pool[k] = pool[len(pool)-1]
			pool = pool[:len(pool)-1]
			if flying[c.ID]--; flying[c.ID] == 0 {
				delete(flying, c.ID)
			}
			if m.pace > 0 {
				time.Sleep(m.pace)
			}
			m.yielded++
			if m.onEach != nil {
				m.onEach(m.yielded)
			}
			if ctx.Err() != nil {
				yield(engine.Completion{}, ctx.Err())
				return
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// state is a hidden state: the persona's own direction, and a little of the question.
func (m *fakeModel) state(prompt []engine.Message, layer int) []float32 {
	state := make([]float32, m.HiddenSize())
	persona, question := parts(prompt)
	for i := range state {
		p := float64(hash(persona, layer, i)%2001)/1000 - 1
		q := float64(hash(question, persona, layer, i)%2001)/1000 - 1
		state[i] = float32(100 + p + 0.1*q)
	}
	return state
}

// stateWith is a hidden state with an adapter, which moves every persona its own way.
func (m *fakeModel) stateWith(adapter string, prompt []engine.Message, layer int) []float32 {
	state := m.state(prompt, layer)
	if adapter != "" {
		for i := range state {
			state[i] += float32(float64(hash(adapter, prompt[0].Content, layer, i)%2001)/2000 - 0.5)
		}
	}
	return state
}

func (m *fakeModel) LastStates(ctx context.Context, adapter string, prompts [][]engine.Message, layers []int,
	each func(prompt int, states [][]float32) error) error {
	order := rand.New(rand.NewPCG(m.shuffle, 2)).Perm(len(prompts))
	for _, p := range order {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		states := make([][]float32, len(layers))
		for k, l := range layers {
			states[k] = m.stateWith(adapter, prompts[p], l)
		}
		if err := each(p, states); err != nil {
			return err
		}
	}
	return nil
}

// NextLogits has a vocabulary of four; every adapter moves every prompt its own way.
func (m *fakeModel) NextLogits(ctx context.Context, adapter string, prompts [][]engine.Message, _ int,
	each func(prompt, token int, logits []float32) error) error {
	if behaves, ok := m.behaves[adapter]; ok {
		adapter = behaves
	}
	for i, p := range prompts {
		m.probed++
		text := fmt.Sprint(p)
		logits := make([]float32, 4)
		for t := range logits {
			logits[t] = float32(hash(text, t)%2001)/1000 - 1
			if adapter != "" {
				logits[t] += float32(hash(adapter, text, t)%2001) / 2000
			}
		}
		if err := each(i, 0, logits); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// makeTaxonomy has bystanders named s<source>_c<category>_<n>.
func makeTaxonomy(t testing.TB, sources, categories, bystanders int) *Taxonomy {
	t.Helper()
	type persona struct {
		ID       string `json:"id"`
		Source   string `json:"source,omitempty"`
		Category string `json:"category,omitempty"`
		Prompt   string `json:"prompt"`
	}
	var file struct {
		Sources    []persona `json:"sources"`
		Categories []string  `json:"categories"`
		Bystanders []persona `json:"bystanders"`
	}
	for c := range categories {
		file.Categories = append(file.Categories, fmt.Sprintf("category_%d", c))
	}
	for s := range sources {
		id := fmt.Sprintf("source_%d", s)
		file.Sources = append(file.Sources, persona{ID: id, Prompt: fmt.Sprintf("You are source number %d.", s)})
		for c, category := range file.Categories {
			for b := range bystanders {
				file.Bystanders = append(file.Bystanders, persona{
					ID: fmt.Sprintf("s%d_c%d_%d", s, c, b), Source: id, Category: category,
					Prompt: fmt.Sprintf("You are bystander %d of kind %d near <%d>.", b, c, s),
				})
			}
		}
	}
	data, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	tax, err := ParseTaxonomy("taxonomy.json", data)
	if err != nil {
		t.Fatal(err)
	}
	return tax
}

func makeQuestions(t testing.TB, n int) *Questions {
	t.Helper()
	var texts []string
	for i := range n {
		texts = append(texts, fmt.Sprintf("What is <%d> & why?", n-i)) // not in alphabetical order
	}
	data, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	q, err := ParseQuestions("questions.json", data)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// smallPlan is a study of seconds: two sources, eight bystanders and anchors.
func smallPlan() Plan {
	p := DefaultPlan()
	p.NumQuestions, p.NumCompletions, p.Seeds, p.Layers = 2, 3, []uint64{42, 137}, []int{10, 15}
	return p
}

func makeInputs(t testing.TB, p Plan) Inputs {
	t.Helper()
	study, err := NewStudy(p, makeTaxonomy(t, 2, 2, 2), makeQuestions(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	return inputsOf(study)
}

func inputsOf(study *Study) Inputs { return renderedBy(study, &fakeModel{}) }

func renderedBy(study *Study, m *fakeModel) Inputs {
	prompts, err := RenderPrompts(context.Background(), study, m)
	if err != nil {
		panic(err) // a fake renders everything
	}
	in := Inputs{
		Study: study, Model: File{"models/fake.gguf", "aa"}, Adapters: make(map[string]File),
		Build: "test", Device: "fake", Rows: 2,
		Prompts: prompts, Date: time.Date(2026, 12, 1, 9, 30, 0, 0, time.UTC),
	}
	for _, a := range study.Adapters() {
		in.Adapters[a.Name()] = File{"adapters/" + a.Name(), "bb" + a.Name()}
	}
	return in
}

// artefacts are the files that must not depend on how a run came about, with the
// fields masked that may.
func artefacts(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if name == dirlock.Name || name == sums.LockName || name == progressFile {
			return nil
		}
		data, err := os.ReadFile(path)
		out[name] = maskTimes(string(data))
		if entry.Name() == sums.Name && err == nil {
			out[name], err = maskList(filepath.Dir(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// maskList is a folder's list with the hashes of the masked files, where it has those of
// the files as they are.
func maskList(dir string) (string, error) {
	list, err := sums.ReadList(dir)
	if err != nil {
		return "", err
	}
	out := ""
	for _, name := range slices.Sorted(maps.Keys(list)) {
		state := "wrong"
		if f, err := sums.Read(filepath.Join(dir, name)); err == nil {
			state = fmt.Sprintf("%x", sha256.Sum256([]byte(maskTimes(string(f.Data)))))
		}
		out += state + "  " + name + "\n"
	}
	return out, nil
}

func maskTimes(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		for _, key := range []string{`"wall_minutes":`, `"timestamp":`, `"created":`} {
			if strings.HasPrefix(strings.TrimSpace(line), key) {
				lines[i] = key
			}
		}
	}
	return strings.Join(lines, "\n")
}

func sameArtefacts(t testing.TB, want, got map[string]string) {
	t.Helper()
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		} else if want[name] != got[name] {
			t.Errorf("%s differs:\nwant %.300s\ngot  %.300s", name, want[name], got[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is left over", name)
		}
	}
}
